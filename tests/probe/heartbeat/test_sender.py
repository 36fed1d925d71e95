"""One small signed request; what is not heard is kept, and told when somebody hears again."""

import asyncio
from pathlib import Path

import msgspec
from aiohttp import web

from probe.admin import consent
from probe.api_types import Heartbeat, HeartbeatReply
from probe.client import endpoint
from probe.client.context import ClientContext
from probe.client.keys import Keys
from probe.client.spool import Spool
from probe.config import Settings
from probe.heartbeat import sender as heartbeat
from probe.heartbeat.uptime import UptimeHistory
from tests.probe.fake_collector import FakeCollector, reply


class Listener:
    """A collector that hears heartbeats, or is told not to."""

    def __init__(self, collector: FakeCollector) -> None:
        self.heard: list[Heartbeat] = []
        self.deaf = False
        self.came = asyncio.Event()
        self._rehearsal = collector
        collector.override["/v1/heartbeat"] = self.hear

    async def hear(self, request: web.Request) -> web.StreamResponse:
        if refused := await self._rehearsal.refuse_signature(request):
            return refused
        if self.deaf:
            return web.Response(status=503)
        self.came.set()
        self.heard.append(msgspec.json.decode(await request.read(), type=Heartbeat))
        return reply(HeartbeatReply(time=1))


def outfit(
    state: Path, *urls: str, allowed: bool = True, every: float | None = None
) -> ClientContext:
    """A machine in a laboratory without any site: only collectors can answer it."""
    consent.record(state, "en", heartbeat=allowed)
    settings = Settings(
        collector=urls,
        country="KZ",
        asn=9198,
        lab=True,
        anchors=("none",),
        resolvers=("none",),
        resolver="127.0.0.1:9",
        every=every,
    )
    found = tuple(endpoint.parse(url, lab=True) for url in urls)
    return ClientContext(settings, state, Keys(state), Spool(state), found, ())


def silent(_line: str) -> None:
    return


def kept(state: Path) -> UptimeHistory:
    return heartbeat.read(state)


def test_it_says_that_it_is_there_and_no_more(tmp_path: Path) -> None:
    async def story() -> tuple[Heartbeat, int]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            assert await heartbeat.beat(outfit(tmp_path, collector.url), silent)
            return listener.heard[0], len(msgspec.json.encode(listener.heard[0]))

    said, size = asyncio.run(story())
    assert (said.country, said.asn, said.unheard) == ("KZ", 9198, ())
    assert said.boot is None or len(said.boot) == 8
    assert size < 250
    assert kept(tmp_path).stays == ()


def test_what_was_not_heard_is_told_afterwards(tmp_path: Path) -> None:
    async def story() -> list[Heartbeat]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            made = outfit(tmp_path, collector.url)
            await heartbeat.beat(made, silent)
            listener.deaf = True
            for _ in range(2):
                assert not await heartbeat.beat(made, silent)
            assert len(kept(tmp_path).stays) == 1
            listener.deaf = False
            for _ in range(2):
                assert await heartbeat.beat(made, silent)
            return listener.heard

    first, back, last = asyncio.run(story())
    assert (first.unheard, last.unheard) == ((), ())
    (told,) = back.unheard
    assert (told.reach, told.country, told.asn) == ("nothing", "KZ", 9198)
    assert 0 <= told.until <= told.since < 30
    assert kept(tmp_path).stays == ()


def test_a_dead_collector_does_not_silence_a_living_one(tmp_path: Path) -> None:
    async def story() -> list[Heartbeat]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            made = outfit(tmp_path, "http://127.0.0.1:9", collector.url)
            assert not await heartbeat.beat(made, silent)
            assert not await heartbeat.beat(made, silent)
            return listener.heard

    said = asyncio.run(story())
    assert [one.unheard for one in said] == [(), ()]
    assert len(kept(tmp_path).stays) == 1  # for the other one


def test_a_collector_that_forgot_us_is_told_who_we_are(tmp_path: Path) -> None:
    async def story() -> int:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            made = outfit(tmp_path, collector.url)
            await heartbeat.beat(made, silent)
            collector.keys.clear()
            await heartbeat.beat(made, silent)
            return len(listener.heard)

    assert asyncio.run(story()) == 2


def test_without_a_yes_of_its_own_nothing_is_said(tmp_path: Path) -> None:
    async def story(made: ClientContext, listener: Listener) -> int:
        async with heartbeat.heartbeats(made, silent):
            await asyncio.sleep(0)
        return len(listener.heard)

    async def stories() -> list[int]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            without = outfit(tmp_path, collector.url, allowed=False)
            counts = [await story(without, listener)]
            counts.append(await story(outfit(tmp_path, collector.url), listener))
            # A run that repeats begins at once, and goes on until it ends.
            again = outfit(tmp_path, collector.url, every=900.0)
            listener.came.clear()
            async with heartbeat.heartbeats(again, silent):
                await listener.came.wait()
                await asyncio.sleep(0)
            return [*counts, len(listener.heard)]

    assert asyncio.run(stories()) == [0, 1, 2]


def test_two_processes_do_not_say_it_twice(tmp_path: Path) -> None:
    async def story() -> int:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            made = outfit(tmp_path, collector.url)
            await asyncio.gather(*(heartbeat.beat(made, silent) for _ in range(3)))
            return len(listener.heard)

    assert asyncio.run(story()) == 1


def test_a_history_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / heartbeat.FILE).write_text("{")
    assert heartbeat.read(tmp_path) == UptimeHistory()
