"""A signed request is carried out once, within minutes of its signing, whoever sends it again."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.store import Store, heartbeats, replays
from collector.store.keys import Key
from probe import codec
from probe.api_types import EnrolRequest, Heartbeat
from tests.collector.harness import (
    JSON,
    Answer,
    CollectorHarness,
    SigningClient,
    collector,
    record,
    select,
)

BEAT = codec.encode(Heartbeat(country="KZ", asn=9198))
BATCH = codec.pack([codec.encode(record())])


class Captured:
    """A request as somebody on the way has it, with its signature."""

    def __init__(self, sender: SigningClient, method: str, path: str, body: bytes = b"") -> None:
        self.method, self.path, self.body = method, path, body
        type_ = codec.BATCH_TYPE if body == BATCH else "application/json"
        self.headers = {"Content-Type": type_, **sender.sign(method, path, body)}

    async def send(self, harness: CollectorHarness) -> Answer:
        return await harness.ask(self.method, self.path, self.body, self.headers)


@asynccontextmanager
async def later(harness: CollectorHarness, seconds: float) -> AsyncIterator[None]:
    """The collector's clock, ahead."""
    usual = harness.service.clock
    harness.service.clock = lambda: usual() + seconds
    yield
    harness.service.clock = usual


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        ("probe", "POST", "/v1/heartbeat", BEAT),
        ("probe", "POST", "/v1/measurements", BATCH),
        ("probe", "POST", "/v1/recheck", b'{"asks":[],"wait":0}'),
        ("control", "GET", "/v1/recheck?wait=0", b""),
    ],
)
def test_a_request_is_carried_out_once_and_not_again_after_a_restart(
    tmp_path: Path, role: str, method: str, path: str, body: bytes
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe("control" if role == "control" else "probe")
            captured = Captured(sender, method, path, body)
            assert (await captured.send(harness)).status == 200
            again = await captured.send(harness)
            assert (again.status, "carried out before" in again.data["error"]) == (409, True)
            # The probe's own next request is another one, even with the same body.
            assert (await Captured(sender, method, path, body).send(harness)).status == 200
        async with collector(tmp_path) as harness:
            assert (await captured.send(harness)).status == 409

    asyncio.run(scenario())


def test_another_collector_of_the_store_does_not_carry_it_out_again(
    tmp_path: Path, postgres: str
) -> None:
    async def scenario() -> None:
        async with (
            collector(tmp_path, store=postgres) as one,
            collector(tmp_path, store=postgres) as two,
        ):
            sender = await one.probe()
            for method, path, body in (
                ("POST", "/v1/heartbeat", BEAT),
                ("POST", "/v1/measurements", BATCH),
                ("DELETE", "/v1/probes/me", b""),
            ):
                captured = Captured(sender, method, path, body)
                # At once, too: one of the two is refused.
                replies = await asyncio.gather(captured.send(one), captured.send(two))
                statuses = [reply.status for reply in replies]
                assert (min(statuses), max(statuses) in {401, 409}) == (200, True)
                assert (await captured.send(two)).status in {401, 409}

    asyncio.run(scenario())


def test_an_erasure_is_not_repeated_after_the_key_came_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            await sender.send(record())
            upload = Captured(sender, "POST", "/v1/measurements", BATCH)
            assert (await upload.send(harness)).status == 200
            erasure = Captured(sender, "DELETE", "/v1/probes/me")
            assert (await erasure.send(harness)).data == {"erased": 2}
            await sender.enrol(await harness.invite("probe"))
            await sender.send(record())
            assert (await erasure.send(harness)).status == 409
            assert (await upload.send(harness)).status == 409
            async with later(harness, 13 * 86400):
                refused = await erasure.send(harness)
                assert refused.status == 401
            (row,) = await harness.service.store.read(select("count_all"))
            assert row[0] == 1

    asyncio.run(scenario())


def test_a_late_heartbeat_keeps_no_dead_probe_alive(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            captured = Captured(sender, "POST", "/v1/heartbeat", BEAT)
            async with later(harness, replays.WINDOW + 2):
                refused = await captured.send(harness)
                assert refused.status == 401
                # The collector's time, for a probe whose clock is wrong.
                assert abs(int(refused.headers["Qaz-Time"]) - time.time() - 302) < 30
            kept = await harness.service.store.read(heartbeats.heartbeats_since(0))
            assert {beat.key_id for beat in kept} == {heartbeats.COLLECTOR_KEY}

    asyncio.run(scenario())


def test_what_failed_may_be_sent_again_with_the_same_bytes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            captured = Captured(sender, "POST", "/v1/heartbeat", BEAT)
            await sender.ask("DELETE", "/v1/probes/me")
            # The key is still in the cache of a collector beside this one.
            harness.service.remember_key(keys_of(sender))
            assert (await captured.send(harness)).status == 401
            await sender.enrol(await harness.invite("probe"))
            assert (await captured.send(harness)).status == 200
            kept = await harness.service.store.read(heartbeats.heartbeats_since(0))
            assert sender.key_id in {beat.key_id for beat in kept}

    asyncio.run(scenario())


def test_an_enrolment_is_not_repeated_after_an_erasure(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = SigningClient(harness)
            request = enrolment(sender, time.time())
            assert (await harness.ask("POST", "/v1/enroll", request, JSON)).status == 200
            await sender.ask("DELETE", "/v1/probes/me")
            assert (await harness.ask("POST", "/v1/enroll", request, JSON)).status == 409
            old = await harness.ask("POST", "/v1/enroll", enrolment(sender, 1e9), JSON)
            assert (old.status, "Qaz-Time" in old.headers) == (401, True)
            rows = await harness.service.store.read(select("key_get", key_id=sender.key_id))
            assert list(rows) == []

    asyncio.run(scenario())


def enrolment(sender: SigningClient, at: float) -> bytes:
    created = f"{int(at)}.5"
    proof = sender.key.sign(codec.enrol_bytes(sender.public, None, "probe", created))
    key, signature = (base64.b64encode(one).decode() for one in (sender.public, proof))
    return codec.encode(EnrolRequest(key=key, proof=signature, created=created))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {**JSON, "Origin": "https://page.example"},
        {**JSON, "Origin": "null"},
    ],
)
def test_a_web_page_enrols_none_of_its_visitors(tmp_path: Path, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            request = enrolment(SigningClient(harness), time.time())
            for path in ("/v1/enroll", "/v1/heartbeat", "/v1/measurements", "/v1/recheck"):
                reply = await harness.ask("POST", path, request, headers)
                assert reply.status in {403, 415}, path
            # Nor does a browser learn beforehand that it may ask.
            asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
            reply = await harness.ask("OPTIONS", "/v1/enroll", headers=asked)
            assert reply.status == 405
            assert "Access-Control-Allow-Origin" not in reply.headers
            (row,) = await harness.service.store.read(select("count_all"))
            assert row[2] == 0

    asyncio.run(scenario())


def keys_of(sender: SigningClient) -> Key:
    return Key(sender.key_id, sender.public, sender.role)


async def marks(store: Store) -> int:
    (row,) = await store.read(select("requests_seen"))
    return int(row[0])


def test_marks_are_kept_for_minutes_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            for _ in range(3):
                await sender.ask("POST", "/v1/heartbeat", BEAT)
            store, now = harness.service.store, time.time()
            await store.write(replays.forget(now + replays.WINDOW))
            assert await marks(store) == 4  # with the enrolment
            await store.write(replays.forget(now + replays.KEPT_SECONDS + 60))
            assert await marks(store) == 0

    asyncio.run(scenario())
