"""Where a name is acted upon, from tables of what each hop did to it."""

from typing import Literal

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Authority, Dns, Packet, Reply, Role, Tcp, Tls, Travel, Trust
from probe.reading import path
from probe.reading.path import Fate
from tests.probe.wayfarer import ADDRESS, walk

RESET = Packet(at=0.01, by="peer", ip_ttl=61, ip_id=7, flags="RA", window=0, acked=517)
ANSWER = Packet(at=0.06, by="peer", ip_ttl=50, ip_id=0, flags="A", window=500, acked=517)
ROUTER = Packet(at=0.06, by="router", ip_ttl=60, ip_id=0)


@pytest.mark.parametrize(
    ("harmless", "target", "fate", "after", "by", "stands"),
    [
        ("xxxxxa", "xxxrrr", Fate.RESET, 3, 4, None),
        ("xxxxxa", "xxxsss", Fate.SILENT, 3, 4, "in"),
        ("xxxxxa", "xxxRRr", Fate.RESET, 3, 4, "on"),
        ("xxxxxa", "xxxccc", Fate.CLOSED, 3, 4, None),
        ("xxxxxa", "xaaaaa", Fate.ANSWERED, 1, 2, None),
        ("xxxxxa", "ssssss", Fate.SILENT, 0, 1, "in"),
        # Routers 2 and 3 never say a word: silence may have begun at any of them, a reset not.
        ("xssxxa", "xsssss", Fate.SILENT, 1, 4, "in"),
        ("xssxxa", "xssrrr", Fate.RESET, 3, 4, None),
        # It resets what goes on only, and lets the answer win the race.
        ("xxxxxa", "xxxRRa", Fate.RESET, 3, 4, "on"),
        # Nothing was looked at behind it: the address was punished.
        ("xxxxxa", "xxxr  ", Fate.RESET, 3, 4, None),
    ],
)
def test_the_place_is_where_both_names_part(
    *, harmless: str, target: str, fate: Fate, after: int, by: int, stands: str | None
) -> None:
    found = path.locate(walk("tls", harmless, target), "tls")
    assert found is not None
    assert (found.fate, found.after, found.by, found.stands) == (fate, after, by, stands)
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
def test_innocent_ways_are_nobodys_doing(harmless: str, target: str) -> None:
    assert path.locate(walk("tls", harmless, target), "tls") is None


def test_once_is_not_enough() -> None:
    assert path.locate(walk("tls", "xxxa", "xxr ", tries=1), "tls") is None
    assert path.differs(walk("tls", "xxxa", "xxr ", tries=1), "tls", 3)
    assert not path.differs(walk("tls", "xxxa", "xxx ", tries=1), "tls", 3)


def test_at_the_servers_own_distance_it_may_be_the_server() -> None:
    found = path.locate(walk("tls", "xxxa", "xxxr"), "tls")
    assert found is not None
    assert (found.by, found.trigger) == (4, None)


@pytest.mark.parametrize(
    ("packets", "stands"),
    [
        ((RESET,), "in"),
        ((RESET, ANSWER), "on"),
        ((RESET, ROUTER), "on"),
        ((RESET, replace(ANSWER, ip_ttl=61)), "in"),  # from as far as the forger: his own
        ((RESET, replace(ANSWER, acked=0)), "in"),  # confirms nothing of ours
        ((RESET, replace(ANSWER, flags="SA")), "in"),  # the SYN-ACK sent again
    ],
)
def test_single_packets_tell_in_the_path_from_on_it(
    packets: tuple[Packet, ...], stands: Literal["in", "on"]
) -> None:
    found = path.locate(walk("tls", "xxxxxa", "xxxrrr", packets=packets), "tls")
    assert found is not None
    assert found.stands == stands
    assert found.injected == RESET
    assert found.own is not None
    assert found.own.ip_ttl == 50


def test_two_answers_to_one_question_stand_on_the_path() -> None:
    steps = walk("dns", "xxxa", "xxaa")
    found = path.locate(steps, "dns")
    assert found is not None
    assert (found.after, found.by, found.stands) == (2, 3, "in")
    more = Reply(at=0.2, rcode=0, answers=("198.51.100.1",))
    doubled = tuple(
        replace(s, replies=(*s.replies, more)) if isinstance(s, Dns) and s.replies else s
        for s in steps
    )
    assert getattr(path.locate(doubled, "dns"), "stands", None) == "on"


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
    found = path.locate((*far, *forged), "tls")
    assert found is not None
    assert (found.by, found.server, found.stands, found.trigger) == (3, 3, "in", "sent")
    assert path.taken_over((*far, *forged), "tls")
    assert path.locate((*far, *steps), "tls") is None


def test_how_long_an_address_is_punished() -> None:
    steps = list(walk("tls", "xxxa", "xxr "))
    begun = steps[-1].at
    poll = {"role": Role.HARMLESS, "address": ADDRESS, "port": 443}
    refused = [
        Tcp(id=100 + n, at=begun + 3.0 * n, elapsed=3.0, failure=Failure.TIMEOUT, **poll)  # type: ignore[arg-type]
        for n in range(1, 4)
    ]
    assert path.residual((*steps, *refused), "tls") == path.Residual(9.0, None)
    worked = Tls(id=110, at=begun + 12.0, elapsed=0.5, sni="h", bytes_in=9, **poll)  # type: ignore[arg-type]
    assert path.residual((*steps, *refused, worked), "tls") == path.Residual(9.0, 12.5)
    assert path.residual((*steps, worked), "tls") == path.Residual(0.0, 12.5)
    assert path.residual(steps, "tls") is None
    assert path.residual((), "tls") is None


def test_a_fate_is_read_from_what_came() -> None:
    tls = Tls(address=ADDRESS, port=443, sni="n")
    cases = {
        Fate.ANSWERED: replace(tls, bytes_in=7, failure=Failure.SSL_HANDSHAKE),
        Fate.RESET: replace(tls, failure=Failure.RESET, travel=Travel(ttl=3, expired=True)),
        Fate.EXPIRED: replace(tls, failure=Failure.TIMEOUT, travel=Travel(ttl=3, expired=True)),
        Fate.SILENT: replace(tls, failure=Failure.TIMEOUT, travel=Travel(ttl=3)),
        Fate.CLOSED: replace(tls, failure=Failure.EOF),
    }
    assert {wanted: path.fate(step) for wanted, step in cases.items()} == {w: w for w in cases}
