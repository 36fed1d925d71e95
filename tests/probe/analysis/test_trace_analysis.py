"""The position of a middlebox, from tables of the results at each hop."""

from typing import Literal

import pytest
from msgspec.structs import replace

from probe.analysis import trace_analysis, trace_hops
from probe.analysis.trace_hops import HopResult
from probe.failure import Failure
from probe.model import Authority, Dns, Packet, Reply, Role, Tcp, Tls, Travel, Trust
from tests.probe.wayfarer import ADDRESS, walk

RESET = Packet(at=0.01, by="peer", ip_ttl=61, ip_id=7, flags="RA", window=0, acked=517)
ANSWER = Packet(at=0.06, by="peer", ip_ttl=50, ip_id=0, flags="A", window=500, acked=517)
ROUTER = Packet(at=0.06, by="router", ip_ttl=60, ip_id=0)


@pytest.mark.parametrize(
    ("harmless", "target", "result", "after", "by", "position"),
    [
        ("xxxxxa", "xxxrrr", HopResult.RESET, 3, 4, None),
        ("xxxxxa", "xxxsss", HopResult.SILENT, 3, 4, "in"),
        ("xxxxxa", "xxxRRr", HopResult.RESET, 3, 4, "on"),
        ("xxxxxa", "xxxccc", HopResult.CLOSED, 3, 4, None),
        ("xxxxxa", "xaaaaa", HopResult.ANSWERED, 1, 2, None),
        ("xxxxxa", "ssssss", HopResult.SILENT, 0, 1, "in"),
        # Routers 2 and 3 never say a word: silence may have begun at any of them, a reset not.
        ("xssxxa", "xsssss", HopResult.SILENT, 1, 4, "in"),
        ("xssxxa", "xssrrr", HopResult.RESET, 3, 4, None),
        # It resets what goes on only, and lets the answer win the race.
        ("xxxxxa", "xxxRRa", HopResult.RESET, 3, 4, "on"),
        # Nothing was tried behind it: the address was punished.
        ("xxxxxa", "xxxr  ", HopResult.RESET, 3, 4, None),
    ],
)
def test_the_middlebox_is_where_the_results_of_both_names_differ(
    *, harmless: str, target: str, result: HopResult, after: int, by: int, position: str | None
) -> None:
    found = trace_analysis.locate(walk("tls", harmless, target), "tls")
    assert found is not None
    assert (found.result, found.after, found.by, found.position) == (result, after, by, position)
    assert (found.server, found.trigger) == (6, "sent")


@pytest.mark.parametrize(
    ("harmless", "target"),
    [
        ("xxxxxa", "xxxxxa"),
        ("xxxsxa", "xxxxxa"),
        ("xxxxxa", "xxxsxa"),  # a router that does not always answer
        ("xxxxxa", "xxsssa"),
        ("ssssss", "ssssss"),
        ("", "rrrrrr"),  # no measure, no finding
        ("xxxxxx", "      "),
    ],
)
def test_paths_without_a_middlebox_locate_none(harmless: str, target: str) -> None:
    assert trace_analysis.locate(walk("tls", harmless, target), "tls") is None


def test_one_attempt_is_not_enough() -> None:
    assert trace_analysis.locate(walk("tls", "xxxa", "xxr ", tries=1), "tls") is None
    assert trace_analysis.differs(walk("tls", "xxxa", "xxr ", tries=1), "tls", 3)
    assert not trace_analysis.differs(walk("tls", "xxxa", "xxx ", tries=1), "tls", 3)


def test_silence_counts_only_where_the_harmless_name_is_heard_again() -> None:
    """Else the line died, or the router stopped reporting."""
    assert trace_analysis.locate(walk("tls", "xxxxxa", "xxxsss"), "tls")
    never = walk("tls", "xxxxxa", "xxxsss", again=False)
    assert trace_analysis.locate(never, "tls") is None
    silent = tuple(
        replace(s, failure=Failure.TIMEOUT, travel=Travel(ttl=4, expired=False))
        if isinstance(s, Tls) and s.try_ == 50 and s.travel and s.travel.ttl == 4
        else s
        for s in walk("tls", "xxxxxa", "xxxsss")
    )
    assert trace_analysis.locate(silent, "tls") is None
    assert trace_analysis.single_look(silent, "tls") is not None


def test_a_timeout_that_comes_late_shows_a_busy_machine_and_no_silence() -> None:
    steps = tuple(
        replace(s, limit=2.0, elapsed=3.1) if isinstance(s, Tls) else s
        for s in walk("tls", "xxxxxa", "xxxsss")
    )
    assert trace_analysis.locate(steps, "tls") is None
    assert trace_analysis.single_look(steps, "tls") is not None, "nor were they alike"


def test_a_late_silence_is_no_router_that_both_names_pass() -> None:
    steps = tuple(
        replace(s, limit=2.0, elapsed=3.1)
        if isinstance(s, Tls) and s.travel is not None and s.travel.ttl == 4
        else s
        for s in walk("tls", "xxxxxxxa", "xxxsssss")
    )
    found = trace_analysis.locate(steps, "tls")
    assert found is not None
    assert (found.after, found.by) == (3, 5), "it may be before hop 4 or behind it"


def test_at_the_servers_own_distance_it_may_be_the_server() -> None:
    found = trace_analysis.locate(walk("tls", "xxxa", "xxxr"), "tls")
    assert found is not None
    assert (found.by, found.trigger) == (4, None)


@pytest.mark.parametrize(
    ("packets", "position"),
    [
        ((RESET,), "in"),
        ((RESET, ANSWER), "on"),
        ((RESET, ROUTER), "on"),
        ((RESET, replace(ANSWER, ip_ttl=61)), "in"),  # from as far as the forger: his own
        ((RESET, replace(ANSWER, acked=0)), "in"),  # confirms nothing of ours
        ((RESET, replace(ANSWER, flags="SA")), "in"),  # the SYN-ACK sent again
    ],
)
def test_single_packets_distinguish_in_path_from_on_path(
    packets: tuple[Packet, ...], position: Literal["in", "on"]
) -> None:
    found = trace_analysis.locate(walk("tls", "xxxxxa", "xxxrrr", packets=packets), "tls")
    assert found is not None
    assert found.position == position
    assert found.injected == RESET
    assert found.own is not None
    assert found.own.ip_ttl == 50


def test_two_answers_to_one_query_are_on_path() -> None:
    steps = walk("dns", "xxxa", "xxaa")
    found = trace_analysis.locate(steps, "dns")
    assert found is not None
    assert (found.after, found.by, found.position) == (2, 3, "in")
    more = Reply(at=0.2, rcode=0, answers=("198.51.100.1",))
    doubled = tuple(
        replace(s, replies=(*s.replies, more)) if isinstance(s, Dns) and s.replies else s
        for s in steps
    )
    assert getattr(trace_analysis.locate(doubled, "dns"), "position", None) == "on"


def test_a_proxy_answers_for_both_names_and_forges_one() -> None:
    steps = walk("tls", "xxa", "xxa")
    known = Trust(valid=False, authority=Authority(id="k", kind="interception", proof="verified"))
    forged = tuple(
        replace(s, trust=known, chain=("c",))
        if isinstance(s, Tls) and s.role is Role.TARGET and s.bytes_in
        else s
        for s in steps
    )
    from tests.probe.wayfarer import router

    far = tuple(replace(router(ttl), id=100 + ttl) for ttl in (1, 2, 3, 4, 5))
    found = trace_analysis.locate((*far, *forged), "tls")
    assert found is not None
    # A rewritten TTL looks the same: then the names differ at the server.
    assert (found.by, found.server, found.position, found.trigger) == (3, 3, None, None)
    assert found.nearer
    assert trace_hops.taken_over((*far, *forged), "tls")
    assert trace_analysis.locate((*far, *steps), "tls") is None


def test_residual_blocking_is_timed() -> None:
    steps = list(walk("tls", "xxxa", "xxr ", again=False))
    begun = steps[-1].at
    poll = {"role": Role.HARMLESS, "address": ADDRESS, "port": 443}
    refused = [
        Tcp(id=100 + n, at=begun + 3.0 * n, elapsed=3.0, failure=Failure.TIMEOUT, **poll)  # type: ignore[arg-type]
        for n in range(1, 4)
    ]
    assert trace_analysis.residual((*steps, *refused), "tls") == trace_analysis.Residual(9.0, None)
    worked = Tls(id=110, at=begun + 12.0, elapsed=0.5, sni="h", bytes_in=9, **poll)  # type: ignore[arg-type]
    assert trace_analysis.residual((*steps, *refused, worked), "tls") == trace_analysis.Residual(
        9.0, 12.5
    )
    assert trace_analysis.residual((*steps, worked), "tls") == trace_analysis.Residual(0.0, 12.5)
    assert trace_analysis.residual(steps, "tls") is None
    assert trace_analysis.residual((), "tls") is None


def test_a_result_is_read_from_the_step() -> None:
    tls = Tls(address=ADDRESS, port=443, sni="n")
    cases = {
        HopResult.ANSWERED: replace(tls, bytes_in=7, failure=Failure.SSL_HANDSHAKE),
        HopResult.RESET: replace(tls, failure=Failure.RESET, travel=Travel(ttl=3, expired=True)),
        HopResult.EXPIRED: replace(
            tls, failure=Failure.TIMEOUT, travel=Travel(ttl=3, expired=True)
        ),
        HopResult.SILENT: replace(tls, failure=Failure.TIMEOUT, travel=Travel(ttl=3)),
        HopResult.CLOSED: replace(tls, failure=Failure.EOF),
    }
    assert {wanted: trace_hops.result_of(step) for wanted, step in cases.items()} == {
        w: w for w in cases
    }
