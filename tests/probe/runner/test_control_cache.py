"""Control measurements, with their age relative to each record."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from probe.model import Control, Dns, Reply, Tcp
from probe.ordering import Job
from probe.runner.control_cache import PREFETCH_TARGETS, ControlCache, addresses
from probe.runner.dependencies import Controls
from probe.runner.record_builder import Measurement
from tests.probe.fake_run import FakeControls, FakeSession, FakeTargetNet

URL = "https://a.example/"


def test_ages_are_relative_to_the_record() -> None:
    source = FakeControls(known={URL: (Control(id="c", age=-60.0), Control(id="d", age=-5.0))})
    cache = ControlCache(source)
    asyncio.run(cache.fetch([URL]))
    now = time.time()
    near, far = cache.of(URL, now + 10.0)
    assert (near.id, far.id) == ("d", "c")
    assert near.age == pytest.approx(-15.0, abs=0.5)
    after = cache.of(URL, now - 100.0)
    assert {one.id: round(one.age) for one in after} == {"c": 40, "d": 95}


def test_one_control_measurement_counts_once() -> None:
    source = FakeControls(known={URL: (Control(id="c", age=-60.0),)})
    cache = ControlCache(source)
    asyncio.run(cache.fetch([URL]))
    asyncio.run(cache.fetch([URL]))
    assert len(cache.of(URL, time.time())) == 1
    assert cache.of("https://other.example/", time.time()) == ()


def test_certificates_from_a_recheck_survive_the_next_answer() -> None:
    source = FakeControls(known={URL: (Control(id="c", age=-60.0, certs={"ab" * 32: "AA=="}),)})
    cache = ControlCache(source)
    asyncio.run(cache.fetch([URL]))
    source.known = {URL: (Control(id="c", age=-70.0),)}
    asyncio.run(cache.fetch([URL]))
    (one,) = cache.of(URL, time.time())
    assert one.certs == {"ab" * 32: "AA=="}


def test_targets_without_control_measurements_are_fetched_again_with_the_recheck() -> None:
    source = FakeControls(known={URL: (Control(id="c", age=-60.0),)})
    cache = ControlCache(source)
    measurement = Measurement(
        "id", Job("web", URL), datetime.now(UTC), 0.0, FakeTargetNet(FakeSession(), 0.0), (), 1.0
    )
    asyncio.run(cache.recheck([measurement]))
    assert [one.id for one in cache.of(URL, time.time())] == ["c"]


def test_addresses_are_those_answered_and_dialled_in_order() -> None:
    reply = Reply(at=0.0, rcode=0, answers=("192.0.2.1", "192.0.2.2"))
    steps = (
        Dns(name="a", resolver="system", replies=(reply,)),
        Tcp(address="192.0.2.2", port=443),
        Tcp(address="192.0.2.3", port=443),
    )
    assert list(addresses(steps)) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_of_a_long_list_only_held_targets_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.runner.control_cache._FETCH_INTERVAL", 0.01)
    source = FakeControls(known={URL: (Control(id="c", age=-60.0),)})
    cache = ControlCache(source)
    held: dict[Job, None] = {}
    many = [f"https://{number}.example/" for number in range(PREFETCH_TARGETS)]

    async def scenario() -> None:
        following = asyncio.ensure_future(cache.follow([*many, URL], held))
        await asyncio.sleep(0.05)  # some intervals
        assert cache.of(URL, time.time()) == ()
        held[Job("web", URL)] = None
        async with asyncio.timeout(30):
            while not cache.of(URL, time.time()):  # noqa: ASYNC110 - it tells of no changes
                await asyncio.sleep(0.01)
        following.cancel()

    asyncio.run(scenario())
    assert [one.id for one in cache.of(URL, time.time())] == ["c"]


def test_a_short_list_is_prefetched() -> None:
    source = FakeControls(known={URL: (Control(id="c", age=-60.0),)})
    cache = ControlCache(source)
    assert not cache.asked(URL)
    asyncio.run(cache.follow([URL], ()))
    assert cache.asked(URL)
    assert [one.id for one in cache.of(URL, time.time())] == ["c"]


def test_a_long_list_is_fetched_and_packed_in_parts_until_no_collector_answers() -> None:
    parts: list[Sequence[str]] = []

    class Source(FakeControls):
        async def controls(self, inputs: Sequence[str]) -> Controls:
            parts.append(inputs)
            return await super().controls(inputs)

    urls = [f"https://site{number}.example/" for number in range(120)]
    known = {url: (Control(id=url, age=-60.0),) for url in urls}
    cache = ControlCache(Source(known=known, answered=True))
    asyncio.run(cache.fetch(urls))
    assert [url for part in parts for url in part] == urls
    assert max(map(len, parts)) <= 50
    assert all(cache.of(url, time.time()) for url in urls)
    parts.clear()
    asyncio.run(ControlCache(Source()).fetch(urls))
    assert len(parts) == 1


def test_after_the_recheck_collectors_that_answered_are_asked_once_more() -> None:
    source = FakeControls()
    cache = ControlCache(source)

    async def ended() -> None:
        source.known = {URL: (Control(id="later", age=-1.0),)}

    asyncio.run(cache.settle(ended(), [Job("web", URL)]))
    assert not cache.of(URL, time.time())
    source.answered = True
    asyncio.run(cache.settle(ended(), [Job("web", URL)]))
    assert [one.id for one in cache.of(URL, time.time())] == ["later"]
