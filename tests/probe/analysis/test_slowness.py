"""Slow pages are recognised, and no others."""

import pytest

from probe.analysis.slowness import cut_short, slowed, usual
from probe.failure import Failure
from probe.model import Http, Role


def page(size: int = 100_000, seconds: float = 1.0, **changes: object) -> Http:
    from msgspec.structs import replace

    made = Http(
        url="https://x.example/",
        address="203.0.113.1",
        port=443,
        host="x.example",
        status=200,
        received_bytes=size,
        bytes_in=size,
        complete=True,
        elapsed=seconds,
    )
    return replace(made, **changes)


LINE = [[page()] for _ in range(5)]


@pytest.mark.parametrize(
    ("seen", "slow"),
    [
        (page(), False),
        (page(complete=False), True),
        (page(complete=False, failure=Failure.TIMEOUT), True),
        (page(complete=False, failure=Failure.RESET), False),
        (page(0, complete=False, failure=Failure.TIMEOUT), False),
        (page(complete=False, status=None), True),  # within its first TLS record
        (page(0, complete=False, status=None, bytes_in=9000, failure=Failure.TIMEOUT), True),
        (page(0, complete=False, status=None, bytes_in=900, failure=Failure.TIMEOUT), False),
        (page(complete=False, malformed=True), False),
    ],
)
def test_a_page_is_cut_short_by_time_and_by_nothing_else(seen: Http, slow: bool) -> None:  # noqa: FBT001 - a table
    assert cut_short(seen) is slow
    assert (slowed([seen], None) == 0.0) is slow


def test_a_page_is_compared_with_what_is_usual_on_this_line() -> None:
    rate = usual(LINE)
    assert rate == 100_000
    assert slowed([page(seconds=10.0)], rate) == pytest.approx(0.1)
    assert slowed([page(seconds=3.5)], rate) is None
    assert slowed([page(seconds=10.0)], None) is None


def test_a_small_page_and_a_quick_one_are_not_slow() -> None:
    assert slowed([page(size=10_000, seconds=10.0)], 100_000) is None
    assert slowed([page(seconds=2.0)], 10_000_000) is None


def test_on_a_slow_line_everything_is_usual() -> None:
    crawling = [[page(seconds=20.0)] for _ in range(5)]
    assert slowed(crawling[0], usual(crawling)) is None


def test_with_few_pages_nothing_is_usual() -> None:
    assert usual(LINE[:4]) is None


def test_only_the_last_page_of_the_target_itself_counts() -> None:
    assert slowed([page(complete=False), page()], None) is None
    assert slowed([page(complete=False, role=Role.HARMLESS)], None) is None
