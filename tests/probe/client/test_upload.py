import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest
from aiohttp import web
from msgspec.structs import replace

from probe.api_types import BatchReply
from probe.client import endpoint
from probe.client.collector_client import CollectorClient
from probe.client.keys import Keys
from probe.client.spool import Spool
from probe.client.upload import Sender, UploadSummary, upload
from tests.probe.fake_collector import FakeCollector, answering, problem, record, reply


async def no_pause(_: float) -> None:
    await asyncio.sleep(0)


def sender(home: Path, **changes: object) -> Sender:
    return replace(Sender(Keys(home), pause=no_pause, budget=10), **changes)


def fill(home: Path, lines: list[bytes], *to: str) -> Spool:
    spool = Spool(home)
    with spool.writer(to) as writer:
        for line in lines:
            writer.add(line)
    return spool


async def send(spool: Spool, who: Sender, *urls: str) -> UploadSummary:
    return await upload(spool, [endpoint.parse(url) for url in urls], who)


def test_everything_arrives_once_in_batches_of_500(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = fill(tmp_path, [record(n) for n in range(1100)], server.url)
            summary = await send(spool, sender(tmp_path), server.url)
            assert summary.complete
            assert summary.deliveries[0].stored == 1100
            assert len(server.stored) == 1100
            assert server.requests.count("POST /v1/measurements") == 3
            assert len(server.connections) == 1
            assert 0 < summary.bytes_out < 100_000
            assert (await send(spool, sender(tmp_path), server.url)).complete
            assert server.requests.count("POST /v1/measurements") == 3

    asyncio.run(scenario())


def test_where_nothing_waits_no_client_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heartbeat every five minutes would read all roots for it."""

    async def opened(_: CollectorClient) -> CollectorClient:
        raise AssertionError

    monkeypatch.setattr(CollectorClient, "__aenter__", opened)
    url = "https://collector.example"
    summary = asyncio.run(send(fill(tmp_path, [], url), sender(tmp_path), url))
    assert summary.complete


def test_what_was_made_offline_is_sent_by_the_next_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            url, port = server.url, server.port
        spool = fill(tmp_path, [record(0)], url)
        offline = await send(spool, sender(tmp_path), url)
        assert not offline.complete
        assert offline.deliveries[0].waiting == 1
        assert "unreachable" in offline.problems[0]
        async with FakeCollector(port=port) as server:
            fill(tmp_path, [record(1)], url)
            assert (await send(spool, sender(tmp_path), url)).complete
            assert set(server.stored) == {"r0", "r1"}

    asyncio.run(scenario())


def test_a_full_disk_is_reported_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = fill(tmp_path, [record(0)])
            monkeypatch.setattr(os, "fsync", full)
            summary = await send(spool, sender(tmp_path), server.url)
            (said,) = summary.problems
            assert said.startswith(str(tmp_path / "keys"))
            assert said.endswith(": No space left on device")

    asyncio.run(scenario())


def test_a_rejected_record_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = fill(tmp_path, [record(0), b'{"id":"bad1"}', record(2)], server.url)
            summary = await send(spool, sender(tmp_path), server.url)
            assert summary.complete
            assert (summary.deliveries[0].stored, summary.deliveries[0].rejected) == (2, 1)
            assert summary.deliveries[0].reasons == {"bad record": 1}
            assert (tmp_path / "spool/rejected.jsonl").exists()
            await send(spool, sender(tmp_path), server.url)
            assert server.requests.count("POST /v1/measurements") == 1

    asyncio.run(scenario())


def test_an_answer_that_was_lost_is_no_second_count(tmp_path: Path) -> None:
    """The collector stored the batch, and the line died before its answer came."""

    async def scenario() -> None:
        async with FakeCollector() as server:
            lost = 0

            async def lose(request: web.Request) -> web.StreamResponse:
                nonlocal lost
                answer = await server.measurements(request)
                if lost == 0 and answer.status == 200:
                    lost += 1
                    assert request.transport is not None
                    request.transport.close()
                return answer

            server.override["/v1/measurements"] = lose
            spool = fill(tmp_path, [record(0), record(1)], server.url)
            summary = await send(spool, sender(tmp_path), server.url)
            assert summary.complete
            assert (lost, len(server.stored)) == (1, 2)
            assert summary.deliveries[0].duplicates == 2

    asyncio.run(scenario())


def test_one_dead_collector_does_not_hold_up_the_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as dead:
            nowhere, port = dead.url, dead.port
        async with FakeCollector() as server:
            spool = fill(tmp_path, [record(0)], nowhere, server.url)
            summary = await send(spool, sender(tmp_path), nowhere, server.url)
            assert [one.waiting for one in summary.deliveries] == [1, 0]
            assert not summary.complete
            async with FakeCollector(port=port) as back:
                assert (await send(spool, sender(tmp_path), nowhere, server.url)).complete
                assert set(back.stored) == {"r0"}
            assert server.duplicates == 0

    asyncio.run(scenario())


def test_a_collector_that_forgot_us_gets_our_key_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = fill(tmp_path, [record(0)], server.url)
            assert (await send(spool, sender(tmp_path), server.url)).complete
            server.keys.clear()
            server.collector_id = "another"
            fill(tmp_path, [record(1)], server.url)
            assert (await send(spool, sender(tmp_path), server.url)).complete
            assert server.requests.count("POST /v1/enroll") == 2

    asyncio.run(scenario())


def test_an_invite_is_used_where_one_is_needed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector(enrolment="token") as server:
            spool = fill(tmp_path, [record(0)], server.url)
            refused = await send(spool, sender(tmp_path), server.url)
            assert "an invite is needed" in refused.problems[0]
            assert refused.deliveries[0].waiting == 1
            assert (await send(spool, sender(tmp_path, invite="invite"), server.url)).complete

    asyncio.run(scenario())


def test_too_large_a_batch_is_halved_until_it_fits(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:

            async def narrow(request: web.Request) -> web.StreamResponse:
                if len(await request.read()) > 400:
                    return problem(413, "too large")
                return await server.measurements(request)

            server.override["/v1/measurements"] = narrow
            lines = [record(n) for n in range(100)]
            noise = hashlib.shake_256(b"x").hexdigest(2000)
            lines.insert(50, f'{{"id":"huge","p":"{noise}"}}'.encode())
            spool = fill(tmp_path, lines, server.url)
            summary = await send(spool, sender(tmp_path), server.url)
            assert summary.complete
            assert (summary.deliveries[0].stored, summary.deliveries[0].rejected) == (100, 1)
            assert summary.deliveries[0].reasons == {"too large for the collector": 1}

    asyncio.run(scenario())


def test_retry_after_is_respected(tmp_path: Path) -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    async def scenario() -> None:
        async with FakeCollector() as server:

            async def busy(request: web.Request) -> web.StreamResponse:
                if len(waits) < 2:
                    return web.Response(status=503, headers={"Retry-After": "7"})
                return await server.measurements(request)

            server.override["/v1/measurements"] = busy
            spool = fill(tmp_path, [record(0)], server.url)
            assert (await send(spool, sender(tmp_path, pause=pause), server.url)).complete
            assert waits == [7.0, 7.0]

    asyncio.run(scenario())


def test_waits_are_fully_jittered_and_few(tmp_path: Path) -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    async def scenario() -> None:
        async with FakeCollector() as server:
            server.override["/v1/measurements"] = answering(lambda: problem(500, "oops"))
            spool = fill(tmp_path, [record(0)], server.url)
            patient = sender(tmp_path, pause=pause, draw=lambda: 0.5)
            summary = await send(spool, patient, server.url)
            assert summary.deliveries[0].waiting == 1
            assert waits == [0.5, 1.0, 2.0]

    asyncio.run(scenario())


def test_a_reply_must_account_for_every_record(tmp_path: Path) -> None:
    lies = [
        BatchReply(stored=9, duplicates=0, rejected=0),
        BatchReply(stored=0, duplicates=0, rejected=1),
    ]

    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = fill(tmp_path, [record(0)], server.url)
            for lie in lies:
                server.override["/v1/measurements"] = answering(lambda lie=lie: reply(lie))  # type: ignore[misc]
                summary = await send(spool, sender(tmp_path), server.url)
                assert "does not account for" in summary.problems[0]
                assert summary.deliveries[0].waiting == 1

    asyncio.run(scenario())


def test_the_budget_is_kept(tmp_path: Path) -> None:
    async def mute(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return web.Response()

    async def scenario() -> None:
        async with FakeCollector(override={"/v1/measurements": mute}) as server:
            spool = fill(tmp_path, [record(0)], server.url)
            summary = await send(spool, sender(tmp_path, budget=0.3), server.url)
            assert "not finished within" in summary.problems[0]
            assert summary.deliveries[0].waiting == 1

    asyncio.run(scenario())


def test_two_uploads_take_turns(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool = fill(tmp_path, [record(n) for n in range(20)], server.url)
            both = await asyncio.gather(
                send(spool, sender(tmp_path), server.url),
                send(Spool(tmp_path), sender(tmp_path), server.url),
            )
            assert all(one.complete for one in both)
            assert server.duplicates == 0

    asyncio.run(scenario())


def test_without_records_no_request_is_made(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            assert (await send(Spool(tmp_path), sender(tmp_path), server.url)).complete
            assert server.requests == []

    asyncio.run(scenario())
