"""The probe's client against a real collector: every message in both directions."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings as how, strategies as st

from collector.api.ingest import _parse_line
from collector.record_row import BatchContext, instant
from probe import codec
from probe.api_types import RecheckTarget, RecordReply
from probe.client.collector_client import CollectorClient, CollectorRefused
from probe.client.endpoint import parse
from probe.client.keys import Keys
from probe.model import Vantage
from tests.collector.harness import LISTED, CollectorHarness, collector, record


async def enrolled(harness: CollectorHarness, home: Path, role: str = "probe") -> CollectorClient:
    """A client with a key that the collector knows; the caller enters it."""
    keys = Keys(home)
    identity = keys.identity(harness.url, role=role)  # type: ignore[arg-type]
    invite = await harness.invite(role)  # type: ignore[arg-type]
    async with CollectorClient(parse(harness.url)) as client:
        reply = await client.enrol(identity, invite, role)  # type: ignore[arg-type]
    return CollectorClient(parse(harness.url), keys.remember(identity, reply.collector_id))


def test_every_message_is_understood(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, enrolment="token") as harness:  # noqa: SIM117 - they need it
            async with (
                await enrolled(harness, tmp_path / "probe") as probe,
                await enrolled(harness, tmp_path / "control", "control") as control,
            ):
                service = await probe.service()
                assert service.collector_id == harness.service.store.collector_id
                assert service.enrolment == "token"
                assert (await probe.vantage()).time
                sent = record()
                reply = await probe.upload(codec.pack([codec.encode(sent)]))
                assert (reply.stored, reply.records[0].id) == (1, sent.id)
                assert (await control.recheck_jobs(wait=0)).jobs == ()
                asking = asyncio.create_task(probe.recheck([RecheckTarget(input=LISTED)], wait=5))
                (job,) = (await control.recheck_jobs(wait=5)).jobs
                seen = record(job.input, vantage=Vantage(role="control"))
                await control.upload(codec.pack([codec.encode(seen)]))
                assert (await asking).controls[0].observations[0].id == seen.id
                assert (await probe.controls([LISTED])).controls[0].input == LISTED
                first = await probe.targets("targets", None)
                assert first.body
                assert (await probe.targets("targets", first.etag)).body is None
                await probe.erase()
                with pytest.raises(CollectorRefused, match="enrol"):
                    await probe.upload(b"")

    asyncio.run(scenario())


def test_a_probe_with_a_wrong_clock_can_upload(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            known = await enrolled(harness, tmp_path / "probe")
            client = CollectorClient(known.endpoint, known.identity, clock=lambda: 1e9)
            async with client:
                reply = await client.upload(codec.pack([codec.encode(record())]))
            assert reply.stored == 1

    asyncio.run(scenario())


CONTEXT = BatchContext("k", "probe", lab=False, now=1.8e9)
LINE = codec.encode(record())


@how(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, len(LINE)), st.integers(0, 40), st.binary(max_size=40))
def test_any_line_is_accepted_or_rejected(at: int, cut: int, junk: bytes) -> None:
    line = (LINE[:at] + junk + LINE[at + cut :]).replace(b"\n", b"")
    parsed = _parse_line(3, line, replace(CONTEXT, now=1.8e9))
    if isinstance(parsed, RecordReply):
        assert parsed.status == "rejected"
        assert parsed.reason
        assert "\n" not in parsed.reason


@given(st.text(max_size=60))
def test_any_text_is_an_instant_or_none(text: str) -> None:
    found = instant(text)
    assert found is None or isinstance(found, float)
