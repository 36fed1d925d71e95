"""The order of jobs (shuffled, repeatable, spread over hosts) and the choice of reference sites."""

from contextlib import suppress
from urllib.parse import urlsplit

from hypothesis import example, given, strategies as st

from probe.experiments.interface import Reference
from probe.ordering import Job, confirm_reserve, host_of, order, port_of, references_for

HOSTS = st.lists(st.sampled_from(["a.kz", "b.kz", "c.kz", "d.org"]), max_size=30)


def jobs(hosts: list[str]) -> list[Job]:
    return [Job("web", f"https://{host}/{number}") for number, host in enumerate(hosts)]


@given(HOSTS, st.integers(0, 2**32))
def test_an_order_has_all_jobs_and_can_be_repeated(hosts: list[str], seed: int) -> None:
    found = order(jobs(hosts), seed)
    assert sorted(found, key=str) == sorted(jobs(hosts), key=str)
    assert order(reversed(jobs(hosts)), seed) == found


@given(HOSTS, st.integers(0, 2**32))
def test_the_second_job_of_a_host_follows_the_first_of_all_hosts(
    hosts: list[str], seed: int
) -> None:
    found = order(jobs(hosts), seed)
    first = len(set(hosts))
    assert len({job.host for job in found[:first]}) == first


def test_another_seed_is_another_order() -> None:
    many = jobs([f"{number}.kz" for number in range(40)])
    assert order(many, 1) != order(many, 2)
    assert order([*many, *many], 1) == order(many, 1)


def test_a_reference_site_is_unrelated_to_the_target() -> None:
    job = Job("web", "https://www.bad.kz/")
    anchors = [Reference("https://bad.kz/", "1.1.1.1"), Reference("https://good.kz/", "1.1.1.2")]
    found = [Reference("https://x.org/", "9.9.9.9"), Reference("https://y.org/", "9.9.9.8")]
    chosen = references_for(job, frozenset({"9.9.9.9"}), anchors=anchors, found=found, seed=1)
    assert {one.url for one in chosen} == {"https://good.kz/", "https://y.org/"}


def test_anchors_and_found_sites_alternate() -> None:
    anchors = [Reference(f"https://anchor{n}.kz/", f"1.1.1.{n}") for n in range(5)]
    found = [Reference(f"https://found{n}.org/", f"9.9.9.{n}") for n in range(5)]
    first = set()
    for number in range(20):
        job = Job("web", f"https://bad{number}.example/")
        chosen = references_for(job, frozenset(), anchors=anchors, found=found, seed=1)
        kinds = ["anchor" in one.url for one in chosen]
        assert kinds in ([True, False, True, False], [False, True, False, True])
        first.add(kinds[0])
    assert first == {True, False}


def test_ports_are_explicit_or_implied() -> None:
    assert [port_of(url) for url in ("http://a/", "https://a/", "https://a:8443/")] == [
        80,
        443,
        8443,
    ]


def test_confirmations_take_at_most_half_of_the_time() -> None:
    assert confirm_reserve(0, concurrency=8, each=5.0, whole=60.0) == 0
    assert confirm_reserve(16, concurrency=8, each=5.0, whole=60.0) == 10.0
    assert confirm_reserve(1000, concurrency=8, each=5.0, whole=60.0) == 30.0


@given(st.from_regex(r"https?://[a-zA-Z0-9.:@\[\]/?#-]{0,20}", fullmatch=True))
@example("https://user:1@host/")
@example("https://host:1/@x")
def test_the_host_is_that_of_urlsplit(url: str) -> None:
    with suppress(ValueError):  # a URL that urlsplit refuses
        assert host_of(url) == (urlsplit(url).hostname or "")
