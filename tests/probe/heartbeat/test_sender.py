"""One small signed request; an interval without delivery is stored and reported later."""

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
    """A collector that hears heartbeats, or is interval not to."""

    def __init__(self, collector: FakeCollector) -> None:
        self.received: list[Heartbeat] = []
        self.failing = False
        self.came = asyncio.Event()
        self._rehearsal = collector
        collector.override["/v1/heartbeat"] = self.receive

    async def receive(self, request: web.Request) -> web.StreamResponse:
        if refused := await self._rehearsal.refuse_signature(request):
            return refused
        if self.failing:
            return web.Response(status=503)
        self.came.set()
        self.received.append(msgspec.json.decode(await request.read(), type=Heartbeat))
        return reply(HeartbeatReply(time=1))


def client_context(
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


def stored(state: Path) -> UptimeHistory:
    return heartbeat.read(state)


def test_a_heartbeat_is_small(tmp_path: Path) -> None:
    async def scenario() -> tuple[Heartbeat, int]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            assert await heartbeat.send_heartbeat(client_context(tmp_path, collector.url), silent)
            return listener.received[0], len(msgspec.json.encode(listener.received[0]))

    messages, size = asyncio.run(scenario())
    assert (messages.country, messages.asn, messages.unheard) == ("KZ", 9198, ())
    assert messages.boot is None or len(messages.boot) == 8
    assert size < 250
    assert stored(tmp_path).intervals == ()


def test_undelivered_heartbeats_are_sent_later(tmp_path: Path) -> None:
    async def scenario() -> list[Heartbeat]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            context = client_context(tmp_path, collector.url)
            await heartbeat.send_heartbeat(context, silent)
            listener.failing = True
            for _ in range(2):
                assert not await heartbeat.send_heartbeat(context, silent)
            assert len(stored(tmp_path).intervals) == 1
            listener.failing = False
            for _ in range(2):
                assert await heartbeat.send_heartbeat(context, silent)
            return listener.received

    first, back, last = asyncio.run(scenario())
    assert (first.unheard, last.unheard) == ((), ())
    (interval,) = back.unheard
    assert (interval.reach, interval.country, interval.asn) == ("nothing", "KZ", 9198)
    assert 0 <= interval.until <= interval.since < 30
    assert stored(tmp_path).intervals == ()


def test_a_dead_collector_does_not_affect_another(tmp_path: Path) -> None:
    async def scenario() -> list[Heartbeat]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            context = client_context(tmp_path, "http://127.0.0.1:9", collector.url)
            assert not await heartbeat.send_heartbeat(context, silent)
            assert not await heartbeat.send_heartbeat(context, silent)
            return listener.received

    messages = asyncio.run(scenario())
    assert [one.unheard for one in messages] == [(), ()]
    assert len(stored(tmp_path).intervals) == 1  # for the other one


def test_an_unknown_key_is_enrolled_again(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            context = client_context(tmp_path, collector.url)
            await heartbeat.send_heartbeat(context, silent)
            collector.keys.clear()
            await heartbeat.send_heartbeat(context, silent)
            return len(listener.received)

    assert asyncio.run(scenario()) == 2


def test_without_separate_consent_nothing_is_sent(tmp_path: Path) -> None:
    async def scenario(context: ClientContext, listener: Listener) -> int:
        async with heartbeat.heartbeats(context, silent):
            await asyncio.sleep(0)
        return len(listener.received)

    async def scenarios() -> list[int]:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            without = client_context(tmp_path, collector.url, allowed=False)
            counts = [await scenario(without, listener)]
            counts.append(await scenario(client_context(tmp_path, collector.url), listener))
            # A run that repeats begins at once, and goes on until it ends.
            again = client_context(tmp_path, collector.url, every=900.0)
            listener.came.clear()
            async with heartbeat.heartbeats(again, silent):
                await listener.came.wait()
                await asyncio.sleep(0)
            return [*counts, len(listener.received)]

    assert asyncio.run(scenarios()) == [0, 1, 2]


def test_two_processes_send_it_once(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with FakeCollector() as collector:
            listener = Listener(collector)
            context = client_context(tmp_path, collector.url)
            await asyncio.gather(*(heartbeat.send_heartbeat(context, silent) for _ in range(3)))
            return len(listener.received)

    assert asyncio.run(scenario()) == 1


def test_an_unreadable_history_is_empty(tmp_path: Path) -> None:
    (tmp_path / heartbeat.FILE).write_text("{")
    assert heartbeat.read(tmp_path) == UptimeHistory()
