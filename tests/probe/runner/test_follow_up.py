"""Which slow pages are looked at again, and which are followed up."""

from msgspec.structs import replace

from probe.experiments.throttle import EXPERIMENT
from probe.model import Http, Steps
from probe.ordering import Job
from probe.runner.follow_up import SlowPages, follow_up_jobs
from tests.build import page


def came(host: str, size: int, seconds: float) -> Steps:
    """A page of so many bytes, and the seconds in which they came."""
    made: Http = page(f"https://{host}/")
    return (replace(made, received_bytes=size, bytes_in=size, elapsed=seconds, arriving=seconds),)


def jobs_of(pages: dict[str, Steps]) -> list[str]:
    by_job = {Job("web", f"https://{host}/"): steps for host, steps in pages.items()}
    return [job.host for job in follow_up_jobs(EXPERIMENT, (), by_job.items)]


FAST = {f"site{n}.example{n}": came("x", 72_000, 0.2) for n in range(6)}
FAST = {host: came(host, 72_000, 0.2) for host in FAST}


def test_a_page_that_crawls_is_looked_at_again_before_anything_is_known_of_the_line() -> None:
    slow = SlowPages()
    assert slow.suspects("https://a.example/", came("a.example", 18_000, 4.5))
    assert not slow.suspects("https://b.test/", came("b.test", 18_000, 0.9))
    assert not slow.suspects("https://c.test/", came("c.test", 2000, 4.5))


def test_on_a_line_where_all_pages_crawl_only_the_first_are_looked_at_again() -> None:
    slow = SlowPages()
    seen = [
        slow.suspects(f"https://{n}.example{n}/", came(f"{n}.example{n}", 18_000, 4.5))
        for n in range(9)
    ]
    assert seen == [True] * 3 + [False] * 6


def test_a_throttled_page_among_fast_ones_is_followed_up() -> None:
    crawling = {"crawling.net": came("crawling.net", 18_000, 4.5)}
    assert jobs_of({**FAST, **crawling}) == ["crawling.net"]
    assert jobs_of(FAST) == []


def test_a_large_page_shows_a_limit_of_512_kbit() -> None:
    limited = {"limited.net": came("limited.net", 72_000, 1.1)}
    assert jobs_of({**FAST, **limited}) == ["limited.net"]
    small = {"limited.net": came("limited.net", 18_000, 0.3)}
    assert jobs_of({**FAST, **small}) == []


def test_a_long_page_shows_a_limit_of_1_mbit_behind_a_burst_of_a_second() -> None:
    """128 KiB came at once; 160 KiB more, at the limit's rate, took 1.3 s."""
    (long,) = came("policed.net", 327_680, 1.6)
    assert isinstance(long, Http)
    policed = {"policed.net": (replace(long, later_bytes=163_840, later_arriving=1.3),)}
    assert jobs_of({**FAST, **policed}) == ["policed.net"]
    unlimited = {"policed.net": (replace(long, later_bytes=163_840, later_arriving=0.9),)}
    assert jobs_of({**FAST, **unlimited}) == []


def test_a_page_that_came_fast_the_second_time_is_not_followed_up() -> None:
    twice = (*came("twice.net", 18_000, 4.5), *came("twice.net", 18_000, 0.1))
    assert jobs_of({**FAST, "twice.net": twice}) == []


def test_at_most_three_are_followed_up_the_slowest_first() -> None:
    slow = {f"slow{n}.net": came(f"slow{n}.net", 18_000, 4.0 + n) for n in range(5)}
    assert jobs_of({**FAST, **slow}) == ["slow4.net", "slow3.net", "slow2.net"]
