"""The pace of pages, compared with what the line gave other sites."""

from statistics import median

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from probe.analysis.pace import Paces, drags, pace, slow_for_its_size
from probe.failure import Failure
from probe.judge import judge
from probe.model import Http, Line, Outcome, Role
from tests.build import GOOD, URL, again, control, dns, page, record, reference, tcp, tls


def came(size: int, seconds: float, gap: float = 0.0, url: str = URL) -> Http:
    """A page of so many bytes, and the seconds in which they came."""
    made = replace(page(url), received_bytes=size, bytes_in=size, elapsed=seconds + 0.1)
    return replace(made, arriving=seconds - gap)


def test_the_pace_leaves_out_the_time_in_which_a_server_thinks() -> None:
    assert pace(came(20_000, 5.0)) == 4000
    assert pace(came(20_000, 5.0, gap=4.9)) == pytest.approx(200_000)
    assert pace(came(3000, 5.0)) is None
    assert pace(replace(came(20_000, 5.0), arriving=None)) is None
    assert pace(replace(came(20_000, 5.0), failure=Failure.TIMEOUT)) is None


@pytest.mark.parametrize(
    ("seen", "usual", "slow"),
    [
        (came(20_000, 5.0), 100_000.0, True),
        (came(20_000, 5.0), 20_000.0, False),  # the whole line is slow
        (came(20_000, 5.0), None, False),
        (came(20_000, 0.9), 1e9, False),  # a few round trips
        (came(20_000, 3.0, gap=2.9), 100_000.0, False),
    ],
)
def test_a_page_drags_where_the_line_gives_others_many_times_as_much(
    seen: Http,
    usual: float | None,
    slow: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert drags(seen, usual) is slow


def test_pages_that_were_read_further_show_faster_limits() -> None:
    near = (replace(tcp(), elapsed=0.03),)
    assert slow_for_its_size(came(72_000, 1.1), 500_000.0, near)
    assert slow_for_its_size(came(72_000, 0.56), 1_000_000.0, near)
    assert not slow_for_its_size(came(72_000, 1.1), 200_000.0, near)
    assert not slow_for_its_size(came(18_000, 1.1), 500_000.0, near)
    far = (replace(tcp(), elapsed=0.3),)
    assert not slow_for_its_size(came(72_000, 1.1), 500_000.0, far)


def test_what_is_usual_is_the_median_of_the_other_hosts() -> None:
    known = Paces()
    for n, seconds in enumerate((0.1, 0.2, 0.4)):
        known.add([came(20_000, seconds, url=f"https://site{n}.example{n}/")])
    assert known.usual("slow.example") == 100_000
    assert known.usual("site2.example2") == 150_000
    known.add([replace(came(20_000, 9.0, url="https://h.test/"), role=Role.HARMLESS)])
    assert known.usual("slow.example") == 100_000
    assert known.usual_of_large("slow.example") is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50)), max_size=40), st.integers(0, 11))
def test_the_median_is_that_of_the_best_of_each_other_host(
    seen: list[tuple[int, int]], but: int
) -> None:
    known = Paces()
    best: dict[int, float] = {}
    for host, tenths in seen:
        known.add([came(20_000, tenths / 10, url=f"https://site{host}.example{host}/")])
        best[host] = max(best.get(host, 0.0), 20_000 / (tenths / 10))
    others = [rate for host, rate in best.items() if host != but]
    expected = median(others) if len(others) > 1 else None
    assert known.usual(f"site{but}.example{but}") == expected


def test_handshakes_stand_in_where_hardly_any_page_is_known() -> None:
    known = Paces()
    for name in ("a.test", "b.org"):
        shaken = replace(tls(), sni=name, bytes_in=4000, elapsed=0.1)
        known.add([reference(shaken)])
    assert known.usual("slow.example") == 40_000


SLOW = came(20_000, 5.0)


@pytest.mark.parametrize(
    ("rate", "there", "outcome", "rule"),
    [
        (100_000.0, None, Outcome.INCONCLUSIVE, "unclear.slow_for_this_site"),
        (100_000.0, came(20_000, 0.2), Outcome.INCONCLUSIVE, "unclear.slow_for_this_site"),
        (100_000.0, came(20_000, 4.0), Outcome.OK, "ok.proven"),  # slow for the control too
        (10_000.0, None, Outcome.OK, "ok.proven"),  # slow for every site here
        (None, None, Outcome.OK, "ok.proven"),
    ],
)
def test_a_page_that_drags_is_not_ok(
    rate: float | None, there: Http | None, outcome: Outcome, rule: str
) -> None:
    seen = (tcp(), tls(), SLOW)
    controls = () if there is None else (control(dns(GOOD), tcp(), tls(), there),)
    line = Line(alive_before=True, alive_after=True, page_rate=rate)
    verdict = judge(record(dns(GOOD), *seen, *again(*seen), controls=controls, line=line))
    assert (verdict.outcome, verdict.rules[0].id) == (outcome, rule)


def test_a_page_that_came_fast_once_is_ok_and_says_what_it_could_not_have_seen() -> None:
    line = Line(page_rate=100_000.0)
    fast = (tcp(), tls(), came(18_000, 0.1))
    verdict = judge(record(dns(GOOD), tcp(), tls(), SLOW, *again(*fast), line=line))
    assert verdict.outcome is Outcome.OK
    reason = verdict.rules[0].reason
    assert (
        "a limit above 140 kbit/s could not have been seen, nor one that begins after 18" in reason
    )
    tiny = judge(record(dns(GOOD), tcp(), tls(), came(900, 0.0)))
    assert "so little came" in tiny.rules[0].reason
