"""Permission is looked at before each request, so that no batch or heartbeat follows its end."""

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import web
from msgspec.structs import replace

from probe import consent_record
from probe.client import context, endpoint
from probe.client.context import ClientContext
from probe.client.keys import Keys
from probe.client.spool import Spool
from probe.client.upload import Sender, upload
from probe.config import Settings
from probe.heartbeat import sender as heartbeat
from probe.permission import ConsentEnded, Permission
from tests.probe.fake_collector import FakeCollector, record


def agreed(home: Path) -> Permission:
    given = consent_record.record(home, "en", heartbeat=True)
    return Permission(home, given.id)


def client(
    home: Path, url: str, permission: Permission, every: float | None = None
) -> ClientContext:
    settings = Settings(
        collector=(url,),
        country="KZ",
        asn=9198,
        lab=True,
        anchors=("none",),
        resolvers=("none",),
        resolver="127.0.0.1:9",
        every=every,
    )
    return context.assemble(settings, home, permission)


def test_no_batch_follows_a_withdrawal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = Spool(tmp_path)
            with spool.writer((server.url,)) as writer:
                for number in range(1200):
                    writer.add(record(number))

            async def last(request: web.Request) -> web.StreamResponse:
                consent_record.withdraw(tmp_path)
                return await server.measurements(request)

            server.override["/v1/measurements"] = last
            who = Sender(Keys(tmp_path), permission=agreed(tmp_path))
            with pytest.raises(ConsentEnded):
                await upload(spool, [endpoint.parse(server.url)], who)
            assert server.requests.count("POST /v1/measurements") == 1
            assert spool.lock.acquire()  # it is not left locked
            spool.lock.release()

    asyncio.run(scenario())


def test_nothing_is_enrolled_and_no_key_is_made_after_a_withdrawal(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = Spool(tmp_path)
            with spool.writer((server.url,)) as writer:
                writer.add(record(1))
            permission = agreed(tmp_path)
            consent_record.withdraw(tmp_path)
            who = Sender(Keys(tmp_path), permission=permission)
            with pytest.raises(ConsentEnded):
                await upload(spool, [endpoint.parse(server.url)], who)
            there = client(tmp_path, server.url, permission)
            with pytest.raises(ConsentEnded):
                await heartbeat.send_heartbeat(there, lambda _: None)
            assert server.requests == []
            assert not (tmp_path / "keys").exists()

    asyncio.run(scenario())


def test_a_repeating_run_sends_its_heartbeats_by_the_consent_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "EVERY", 0.0)
    monkeypatch.setattr(heartbeat, "_JITTER", 0.0)
    asked: list[bool] = []
    sent: list[ClientContext] = []
    really_allowed = heartbeat.allowed

    async def send(context: ClientContext, _log: heartbeat.Log) -> bool:
        sent.append(context)
        return True

    def allowed(settings: Settings, state: Path) -> bool:
        asked.append(really_allowed(settings, state))
        return asked[-1]

    async def until_asked(*, answer: bool) -> None:
        async with asyncio.timeout(60):
            while answer not in asked:  # noqa: ASYNC110 - a loop tells nothing
                await asyncio.sleep(0.01)

    async def scenario() -> list[int]:
        monkeypatch.setattr(heartbeat, "send_heartbeat", send)
        monkeypatch.setattr(heartbeat, "allowed", allowed)
        permission = agreed(tmp_path)
        given = consent_record.read(tmp_path)
        assert given is not None
        counts = []
        there = client(tmp_path, "http://127.0.0.1:9", permission, every=900.0)
        async with heartbeat.heartbeats(there, lambda _: None):
            for wanted in (True, False, True):
                changed = consent_record.Consent(
                    version=given.version,
                    at=given.at,
                    language="en",
                    heartbeat=wanted,
                    id=given.id,
                )
                consent_record.write(tmp_path, changed)
                asked.clear()
                sent.clear()
                await until_asked(answer=wanted)
                counts.append(len(sent))
        return counts

    first, none, again = asyncio.run(scenario())
    assert (first > 0, none, again > 0) == (True, 0, True)


def test_what_is_supervised_ends_within_a_second_and_its_result_is_returned(tmp_path: Path) -> None:
    permission = agreed(tmp_path)
    cleaned: list[bool] = []

    async def quick() -> int:
        return 7

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    async def scenario() -> float:
        assert await permission.supervise(quick()) == 7
        asyncio.get_running_loop().call_later(0.2, consent_record.withdraw, tmp_path)
        began = time.monotonic()
        with pytest.raises(ConsentEnded):
            await permission.supervise(long())
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 1.5
    assert cleaned == [True]


def test_errors_of_what_is_supervised_come_through(tmp_path: Path) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(agreed(tmp_path).supervise(broken()))


def test_a_control_needs_no_consent(tmp_path: Path) -> None:
    assert Permission(tmp_path).stands
    assert Permission().stands
    assert not replace(Permission(tmp_path), consent="x").stands


def test_a_writer_of_the_spool_takes_back_what_it_wrote(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with spool.writer(("https://c.example",)) as earlier:
        earlier.add(record(1))
    with spool.writer(("https://c.example",)) as writer:
        writer.add(record(2))
        writer.discard()
    batch = spool.batch("https://c.example")
    assert batch is not None
    assert batch.lines == (record(1),)
    assert len(list((tmp_path / "spool").glob("*.state"))) == 1
