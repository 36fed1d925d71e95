"""Enrolment and erasure of keys."""

import asyncio
import time
from pathlib import Path

import pytest

from collector.store import replays
from collector.store.keys import _hash, erase
from probe import codec
from probe.api_types import EnrolReply
from probe.model import Mechanism, Outcome
from tests.collector.harness import JSON, SigningClient, collector, record, select


def test_an_open_collector_enrols_any_probe_but_no_control(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            probe = SigningClient(harness)
            reply = (await probe.enrol()).read(EnrolReply)
            assert reply.key_id == probe.key_id
            assert reply.collector_id == harness.service.store.collector_id
            # An unknown invite does not matter where none is needed.
            assert (await SigningClient(harness).enrol("qaz1-old")).status == 200
            refused = await SigningClient(harness, "control").enrol()
            assert refused.status == 403
            assert "invite" in refused.data["error"]

    asyncio.run(scenario())


def test_a_token_collector_wants_an_invite_for_the_role(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, enrolment="token") as harness:
            invite = await harness.invite("probe", uses=2)
            assert (await SigningClient(harness).enrol()).status == 403
            assert (await SigningClient(harness).enrol("qaz1-guess")).status == 403
            assert (await SigningClient(harness, "control").enrol(invite)).status == 403
            first = SigningClient(harness)
            assert (await first.enrol(invite)).status == 200
            # The same key again, even without the invite, costs no use of it.
            assert (await first.enrol(invite)).status == 200
            assert (await first.enrol()).status == 200
            assert (await SigningClient(harness).enrol(invite)).status == 200
            spent = await SigningClient(harness).enrol(invite)
            assert spent.status == 403
            assert "used up" in spent.data["error"]
            expired = await SigningClient(harness).enrol(await harness.invite("probe", days=-1))
            assert "expired" in expired.data["error"]

    asyncio.run(scenario())


def test_a_closed_collector_still_knows_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, enrolment="open") as harness:
            sender = await harness.probe()
        async with collector(tmp_path, enrolment="closed") as harness:
            assert (await SigningClient(harness).enrol(await harness.invite("probe"))).status == 403
            sender.harness = harness
            assert (await sender.enrol()).status == 200
            assert (await sender.send(record())).stored == 1

    asyncio.run(scenario())


def test_only_who_has_the_key_may_enrol_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            thief = SigningClient(harness)
            assert (await thief.enrol(proof=b"\x00" * 64)).status == 401
            nonsense = await harness.ask("POST", "/v1/enroll", b'{"key":"AA==","proof":""}', JSON)
            assert nonsense.status == 400
            for body in (b"", b"[]", b"[" * 60_000, b'{"key":1}', b"\xff"):
                assert (await harness.ask("POST", "/v1/enroll", body, JSON)).status == 400
            assert (await harness.ask("POST", "/v1/enroll", b" " * 70_000, JSON)).status == 413

    asyncio.run(scenario())


def test_a_key_keeps_its_role(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            sender.role = "control"
            assert (await sender.enrol(await harness.invite("control"))).status == 409

    asyncio.run(scenario())


def test_erasing_a_key_erases_its_records_and_counts(tmp_path: Path) -> None:
    bad = {"outcome": Outcome.BLOCKED, "mechanisms": (Mechanism.TLS_RESET,)}

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            stays, leaves = await harness.probe(), await harness.probe()
            await stays.send(record(), record(certs={}))
            before = _counts(await harness.metrics())
            await leaves.send(*(record(**bad) for _ in range(3)), record())  # type: ignore[arg-type]
            assert _counts(await harness.metrics()) != before
            reply = await leaves.ask("DELETE", "/v1/probes/me")
            assert reply.data == {"erased": 4}
            assert _counts(await harness.metrics()) == before
            for name, count in (("count_all", 2), ("key_count", 1)):
                rows = await harness.service.store.read(select(name))
                assert rows[0][0 if name == "count_all" else 1] == count
            # The key is unknown now, and may enrol again.
            assert (await leaves.ask("DELETE", "/v1/probes/me")).status == 401
            assert (await leaves.enrol()).status == 200
            assert (await leaves.ask("DELETE", "/v1/probes/me")).data == {"erased": 0}

    asyncio.run(scenario())


def _counts(shown: dict[str, float]) -> dict[str, float]:
    """The values of the large families, rounded because sums of floats are inexact."""
    return {name: round(n, 6) for name, n in shown.items() if name.startswith("qazprobe_")}


@pytest.mark.parametrize("invite", ["qaz1-secret", "☃" * 10])
def test_the_store_contains_no_invites(tmp_path: Path, invite: str) -> None:
    async def scenario() -> str:
        async with collector(tmp_path) as harness:
            made = await harness.invite("probe")
            await SigningClient(harness).enrol(invite)
            return made

    made = asyncio.run(scenario())
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("store.sqlite3*"))
    assert made.encode() not in kept


def test_no_record_is_stored_after_an_erasure(tmp_path: Path) -> None:
    """The process still has the key in its cache, the store does not."""

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            await sender.send(record())
            await harness.service.store.write(erase(sender.key_id, 0.0))
            reply = await sender.post(codec.pack([codec.encode(record())]))
            assert reply.status == 401
            assert (await harness.service.store.read(select("count_all")))[0][0] == 0

    asyncio.run(scenario())


def test_a_captured_proof_without_a_time_brings_no_erased_key_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            old = SigningClient(harness)
            invite = await harness.invite("probe", uses=5)
            # An old probe that got no reply sends the same again.
            for _ in range(3):
                assert (await old.enrol(invite, timeless=True)).status == 200
            assert (await old.ask("DELETE", "/v1/probes/me")).status == 200
            replayed = await old.enrol(invite, timeless=True)
            assert (replayed.status, "before" in replayed.data["error"]) == (409, True)
            await harness.service.store.write(replays.forget(time.time() + 1e9))
            assert (await old.enrol(invite, timeless=True)).status == 409
            (count,) = await harness.service.store.read(select("invite_get", hash=_hash(invite)))
            assert count[1] == 4
            # Who has the key may enrol it again.
            assert (await old.enrol(invite)).status == 200

    asyncio.run(scenario())


def test_a_refused_proof_without_a_time_may_be_sent_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        sender = None
        for mode, status in (("token", 403), ("open", 200)):
            async with collector(tmp_path, enrolment=mode) as harness:
                sender = sender or SigningClient(harness)
                sender.harness = harness
                assert (await sender.enrol(timeless=True)).status == status

    asyncio.run(scenario())
