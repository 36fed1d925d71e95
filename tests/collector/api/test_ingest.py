"""POST /v1/measurements on a real server, with real signatures and all kinds of faults."""

import asyncio
import base64
import gzip
import hashlib
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from collector.store import queries
from collector.store.interface import StoreUnavailable
from collector.store.sqlite import SqliteStore
from probe import codec
from probe.judge import judge as real_judge
from probe.model import Mechanism, Outcome, Record, Verdict
from tests.collector.harness import (
    LISTED,
    UNLISTED,
    Answer,
    CollectorHarness,
    SigningClient,
    collector,
    now,
    record,
    select,
    silent,
)


def test_a_record_is_stored_once_when_sent_repeatedly(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            one, two = record(), record()
            first = await sender.send(one, two)
            again = await sender.send(two, one)
            twice = await sender.send(three := record(), three)
        assert (first.stored, first.duplicates, first.rejected) == (2, 0, 0)
        assert [r.status for r in again.records] == ["duplicate", "duplicate"]
        assert [r.status for r in twice.records] == ["stored", "duplicate"]
        assert [r.id for r in again.records] == [two.id, one.id]

    asyncio.run(scenario())


def test_a_bad_record_is_rejected_alone(tmp_path: Path) -> None:
    good, lab = record(), record(lab=True)
    later, first = record(started_at="yesterday"), record(id="1")
    lines = [
        b"{}",
        codec.encode(good),
        b'{"schema":"qazprobe/2"}',
        codec.encode(lab),
        b"\xff\xfe",
        b"[" * 100_000,
        codec.encode(later),
        codec.encode(first),
        codec.encode(good).replace(b'"elapsed":1.0', b'"elapsed":1e999'),
        codec.encode(record(input_="https://x.example/\x00")),
        b'{"id":"' + b"x" * codec.LINE_LIMIT + b'"}',
        codec.encode(record(started_at=now(30 * 86400))),
        codec.encode(record(started_at="1999-01-01T00:00:00Z")),
        codec.encode(record(experiment="../../etc")),
        codec.encode(record(input_="javascript:alert(1)")),
        codec.encode(record(input_="service:<b>")),
    ]

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            reply = await sender.post(codec.pack(lines))
            assert reply.status == 200
            answers = reply.data["records"]
        assert [a["status"] for a in answers] == [
            "stored" if line == codec.encode(good) else "rejected" for line in lines
        ]
        assert all(a.get("reason") for a in answers if a["status"] == "rejected")
        assert not any("\n" in (a.get("reason") or "") for a in answers)
        assert "--lab" in answers[3]["reason"]

    asyncio.run(scenario())


Fault = Callable[[SigningClient, bytes], Awaitable[Answer]]


async def _unsigned(sender: SigningClient, batch: bytes) -> Answer:
    return await sender.harness.ask(
        "POST", "/v1/measurements", batch, {"Content-Type": codec.BATCH_TYPE}
    )


async def _altered(sender: SigningClient, batch: bytes) -> Answer:
    headers = sender.sign("POST", "/v1/measurements", batch) | {"Content-Type": codec.BATCH_TYPE}
    return await sender.harness.ask("POST", "/v1/measurements", batch + b" ", headers)


async def _other_path(sender: SigningClient, batch: bytes) -> Answer:
    headers = sender.sign("POST", "/v1/heartbeat", batch) | {"Content-Type": codec.BATCH_TYPE}
    return await sender.harness.ask("POST", "/v1/measurements", batch, headers)


async def _unknown_key(sender: SigningClient, batch: bytes) -> Answer:
    return await SigningClient(sender.harness).post(batch)


async def _late(sender: SigningClient, batch: bytes) -> Answer:
    created = int(time.time()) - 15 * 86400
    path = "/v1/measurements"
    return await sender.ask("POST", path, batch, type_=codec.BATCH_TYPE, created=created)


async def _garbled(sender: SigningClient, batch: bytes) -> Answer:
    headers = sender.sign("POST", "/v1/measurements", batch) | {"Content-Type": codec.BATCH_TYPE}
    headers["Qaz-Signature"] = "☃"
    return await sender.harness.ask("POST", "/v1/measurements", batch, headers)


async def _wrong_type(sender: SigningClient, batch: bytes) -> Answer:
    return await sender.ask("POST", "/v1/measurements", batch)


async def _encoded(sender: SigningClient, batch: bytes) -> Answer:
    headers = sender.sign("POST", "/v1/measurements", batch)
    headers |= {"Content-Type": codec.BATCH_TYPE, "Content-Encoding": "deflate"}
    return await sender.harness.ask("POST", "/v1/measurements", batch, headers)


async def _garbage(sender: SigningClient, batch: bytes) -> Answer:
    return await sender.post(b"\x00" * 5000)


async def _cut(sender: SigningClient, batch: bytes) -> Answer:
    return await sender.post(batch[:-10])


async def _continued(sender: SigningClient, batch: bytes) -> Answer:
    return await sender.post(batch + batch)


async def _bomb(sender: SigningClient, batch: bytes) -> Answer:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(b"\n" * 1_000_000) for _ in range(100)]
    return await sender.post(b"".join([*parts, packer.flush()]))


async def _newlines(sender: SigningClient, batch: bytes) -> Answer:
    reply = await sender.post(gzip.compress(b"\n" * 10_000_000))
    assert reply.data["records"] == []
    return reply


async def _too_large(sender: SigningClient, batch: bytes) -> Answer:
    return await sender.post(b"\x1f\x8b" + b"x" * (17 * 1024 * 1024))


async def _too_many(sender: SigningClient, batch: bytes) -> Answer:
    return await sender.post(codec.pack([b"{}"] * (codec.BATCH_RECORDS + 1)))


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (_unsigned, 401),
        (_altered, 401),
        (_other_path, 401),
        (_unknown_key, 401),
        (_late, 401),
        (_garbled, 401),
        (_wrong_type, 415),
        (_encoded, 415),
        (_garbage, 400),
        (_cut, 400),
        (_continued, 400),
        (_bomb, 400),
        (_newlines, 200),
        (_too_large, 413),
        (_too_many, 413),
    ],
)
def test_a_faulty_batch_is_refused_with_a_reason_and_not_stored(
    tmp_path: Path, fault: Fault, status: int
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            reply = await fault(sender, codec.pack([codec.encode(record())]))
            assert reply.status == status, reply.body
            if status != 200:
                assert len(reply.data["error"]) > 10
            rows = await harness.service.store.read(select("count_all"))
            assert rows[0][0] == 0
            # The collector still works.
            assert (await sender.send(record())).stored == 1

    asyncio.run(scenario())


def test_the_collector_does_not_use_the_claimed_verdict(tmp_path: Path) -> None:
    wrong = record(steps=silent(), outcome=Outcome.OK)

    async def scenario() -> tuple[object, ...]:
        async with collector(tmp_path, judge=real_judge) as harness:
            sender = await harness.probe()
            assert (await sender.send(wrong)).stored == 1
            page = await harness.service.store.read(select("totals"))
            return tuple(page[0])

    experiment, outcome, country, asn, n = asyncio.run(scenario())
    assert real_judge(wrong).outcome is not Outcome.OK
    assert (experiment, outcome, country, asn, n) == (
        "web",
        real_judge(wrong).outcome,
        "KZ",
        9198,
        1,
    )


def test_a_record_is_stored_despite_a_bug_in_a_rule(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_record: Record) -> Verdict:
        raise ZeroDivisionError

    async def scenario() -> dict[str, float]:
        async with collector(tmp_path, judge=broken) as harness:
            assert (await (await harness.probe()).send(record())).stored == 1
            return await harness.metrics()

    shown = asyncio.run(scenario())
    assert shown["qazcollector_judge_errors_total"] == 1
    assert "ZeroDivisionError" in caplog.text
    assert "127.0.0.1" not in caplog.text


def test_the_role_of_a_record_must_be_that_of_the_key(tmp_path: Path) -> None:
    as_control = record(vantage=msgspec.structs.replace(record().vantage, role="control"))

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            probe, control = await harness.probe(), await harness.probe("control")
            assert (await probe.send(as_control)).rejected == 1
            assert (await control.send(record())).rejected == 1
            assert (await control.send(as_control)).stored == 1
            shown = await harness.metrics()
        assert not [name for name in shown if name.startswith("qazprobe_")]

    asyncio.run(scenario())


def test_a_lab_accepts_lab_records(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, lab=True) as harness:
            assert (await (await harness.probe()).send(record(lab=True))).stored == 1

    asyncio.run(scenario())


def test_certificates_are_stored_once_and_only_with_a_correct_hash(tmp_path: Path) -> None:
    der = b"forged certificate"
    sha256 = hashlib.sha256(der).hexdigest()
    certs = {sha256: base64.b64encode(der).decode(), "0" * 64: "AAAA", "x": "not base64"}
    records = [record(certs=certs) for _ in range(3)]

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(*records)
            store = harness.service.store
            assert (await store.read(select("count_all")))[0][4] == 1
            seqs = await store.read(select("measurement_seqs", id=records[1].id))
            found = await store.read(queries.stored(seqs[0][0]))
        assert found is not None
        raw, kept = found
        assert kept == {sha256: der}
        assert msgspec.json.decode(raw, type=Record).certs == {}

    asyncio.run(scenario())


def test_interference_is_confirmed_by_another_run(tmp_path: Path) -> None:
    def blocked(run: str) -> Record:
        bad = (Mechanism.TLS_TIMEOUT,)
        return record(run=run, outcome=Outcome.BLOCKED, mechanisms=bad)

    runs = [f"00000000-0000-7000-8000-00000000000{n}" for n in range(2)]

    async def scenario() -> list[str]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            stages = []
            for run in (runs[0], runs[0], runs[1]):
                await sender.send(blocked(run))
                rows = await harness.service.store.read(select("current_votes", since=0.0))
                stages.append(rows[0][7])
            return stages

    assert asyncio.run(scenario()) == ["suspected", "suspected", "confirmed"]


def test_a_rate_limit_has_a_retry_after(tmp_path: Path) -> None:
    from collector.settings import CollectorLimits

    limits = CollectorLimits(key_burst=2, key_rate=0.01)

    async def scenario() -> None:
        async with collector(tmp_path, limits=limits) as harness:
            sender = await harness.probe()
            batch = codec.pack([codec.encode(record())])
            replies = [await sender.post(batch) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert int(replies[2].headers["Retry-After"]) > 10

    asyncio.run(scenario())


def test_an_unlisted_target_never_becomes_a_label(tmp_path: Path) -> None:
    async def scenario() -> CollectorHarness:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            odd = record(UNLISTED, category='EV"IL')
            await sender.send(odd, record(LISTED))
            text = "\n".join(await harness.metrics())
            assert "secret" not in text
            assert "IL" not in text.replace("FAILURE", "")
            assert 'target="unlisted",category=""' in text
            assert 'target="listed.example",category="NEWS"' in text
            return harness

    asyncio.run(scenario())


def test_an_unknown_experiment_never_becomes_a_label(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, list[str]]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            sent = (record(), *(record(experiment=f"new{n}") for n in range(3)))
            refused = (await sender.send(*sent)).rejected
            shown = await harness.metrics()
            counted = (f"{name} {value}" for name, value in shown.items() if "ments_total{" in name)
            return refused, list(counted)

    refused, series = asyncio.run(scenario())
    assert (refused, len(series)) == (3, 1)


def test_a_collector_whose_store_refuses_writes_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("store: database or disk is full")

    async def scenario() -> list[int]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            batch = codec.pack([codec.encode(record())])
            seen = [(await harness.ask("GET", "/readyz")).status]
            with monkeypatch.context() as patch:
                patch.setattr(SqliteStore, "write", refuse)
                seen.append((await sender.post(batch)).status)
            seen.append((await harness.ask("GET", "/readyz")).status)
            seen.append((await sender.post(batch)).status)
            seen.append((await harness.ask("GET", "/readyz")).status)
        return seen

    assert asyncio.run(scenario()) == [200, 503, 503, 200, 200]
