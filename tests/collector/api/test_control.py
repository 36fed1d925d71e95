"""Observations of controls, and rechecks."""

import asyncio
import base64
import hashlib
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from collector.api.control import is_public
from collector.controls import trim
from collector.store import sqlite
from collector.store.interface import Execute, Operation, statements
from probe import codec
from probe.api_types import ControlReply, RecheckJobs, RecheckRequest, RecheckTarget
from probe.failure import Failure
from probe.judge import judge as real_judge
from probe.model import (
    Dns,
    Http,
    Line,
    Mechanism,
    Outcome,
    Record,
    Role,
    Tcp,
    Tls,
    Vantage,
    Verdict,
)
from tests.collector.harness import (
    GOOD,
    LISTED,
    OTHER,
    UNLISTED,
    Answer,
    CollectorHarness,
    SigningClient,
    collector,
    fine,
    now,
    record,
    silent,
)

DEAD = (
    Dns(id=1, name="a.example", resolver="system"),
    Tcp(id=2, parent=1, address=GOOD, port=443, failure=Failure.TIMEOUT),
)
ABROAD = Vantage(role="control", country="NL", asn=1103)


def by_control(url: str = LISTED, **changes: Any) -> Record:
    return record(url, vantage=ABROAD, **changes)


def control_path(*inputs: str) -> str:
    return f"/v1/control?{urlencode([('input', url) for url in inputs])}"


def test_an_observation_is_returned_with_its_age(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control = await harness.probe("control")
            old, new = by_control(started_at=now(-600)), by_control(started_at=now(-60))
            ancient = by_control(started_at=now(-30 * 3600))
            await control.send(old, new, ancient, by_control(OTHER, started_at=now(-3600)))
            # The response has the spelling of the request.
            asked = ("https://LISTED.example", UNLISTED, OTHER)
            reply = (await harness.ask("GET", control_path(*asked))).read(ControlReply)
            assert [found.input for found in reply.controls] == list(asked)
            seen = reply.controls[0].observations
            assert [one.id for one in seen] == [new.id, old.id]
            assert [round(one.age / 10) for one in seen] == [-6, -60]
            assert seen[0].steps == fine()
            assert reply.controls[1].observations == ()
            assert len(reply.controls[2].observations) == 1
            # Without inputs: all observations of the last quarter of an hour.
            every = (await harness.ask("GET", "/v1/control")).read(ControlReply)
            assert [found.input for found in every.controls] == [LISTED]

    asyncio.run(scenario())


def test_a_large_response_is_compressed_if_the_client_accepts_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control = await harness.probe("control")
            await control.send(*(by_control(f"https://site{n}.example/") for n in range(30)))
            sizes = {}
            for encoding in ("gzip", "identity"):
                headers = {"Accept-Encoding": encoding}
                reply = await harness.ask("GET", "/v1/control", headers=headers)
                assert reply.headers.get("Content-Encoding", "identity") == encoding
                assert len(reply.read(ControlReply).controls) == 30
                sizes[encoding] = int(reply.headers["Content-Length"])
            assert sizes["gzip"] * 4 < sizes["identity"]

    asyncio.run(scenario())


def test_only_the_compared_steps_are_passed_on() -> None:
    page = Http(
        id=9, url="http://a.example/", address="192.0.2.1", port=80, host="a.example", body="QQ=="
    )
    seen = trim(by_control(steps=(*silent(), page)))
    assert {step.role for step in seen} == {Role.TARGET}
    assert not any(isinstance(step, Http) and step.body for step in seen)


@pytest.mark.parametrize(
    "changes",
    [
        {"line": Line(alive_after=False), "steps": DEAD},
        {"line": Line(alive_before=False), "steps": DEAD},
        {"line": Line(alive_before=False), "steps": ()},
        {"line": Line(references=4, references_failed=4)},
        {"outcome": Outcome.INCONCLUSIVE, "mechanisms": (Mechanism.ACCESS_OFFLINE,)},
        {"experiment": "throttle"},
    ],
)
def test_a_control_with_a_dead_line_observed_nothing(changes: dict[str, Any]) -> None:
    assert trim(by_control(**changes)) == ()
    assert trim(by_control()) != ()


@pytest.mark.parametrize("last", [None, Failure.REFUSED])
def test_an_answer_of_its_only_target_proves_a_controls_line(last: Failure | None) -> None:
    steps = (*DEAD, Tcp(id=3, address=GOOD, port=443, failure=last, try_=2))
    assert trim(by_control(line=Line(alive_before=False, alive_after=False), steps=steps)) == steps


def test_a_denied_name_proves_a_controls_line() -> None:
    denied = Dns(id=1, name="a.example", resolver="system", failure=Failure.DNS_NXDOMAIN)
    assert trim(by_control(line=Line(alive_before=False), steps=(denied,))) == (denied,)


def test_a_verdict_uses_observations_that_the_probe_did_not_have(tmp_path: Path) -> None:
    """The judge gets the observations around the record, besides those in it."""
    seen: list[Record] = []

    def judge(judged: Record) -> Verdict:
        seen.append(judged)
        return real_judge(judged)

    async def scenario() -> None:
        async with collector(tmp_path, judge=judge) as harness:
            control, probe = await harness.probe("control"), await harness.probe()
            await control.send(near := by_control(started_at=now(-30)))
            await control.send(by_control(started_at=now(-3600)))
            await probe.send(record(steps=silent()))
        assert [one.id for one in seen[-1].control] == [near.id]
        assert -31 < seen[-1].control[0].age < -28

    asyncio.run(scenario())


async def recheck(sender: SigningClient, *inputs: str, wait: float = 5.0, **more: object) -> Answer:
    asks = tuple(RecheckTarget(input=url, **more) for url in inputs)  # type: ignore[arg-type]
    return await sender.ask(
        "POST", "/v1/recheck", codec.encode(RecheckRequest(asks=asks, wait=wait))
    )


async def jobs(control: SigningClient, wait: float = 5.0) -> RecheckJobs:
    reply = await control.ask("GET", f"/v1/recheck?wait={wait:g}")
    assert reply.status == 200, reply.body
    return reply.read(RecheckJobs)


async def until_polled(harness: CollectorHarness) -> None:
    """Until a control waits for jobs."""
    async with asyncio.timeout(30):
        while not harness.service.rechecks.has_controls:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0.01)


def test_a_recheck_returns_the_new_observation(tmp_path: Path) -> None:
    async def control_work(harness: CollectorHarness, control: SigningClient) -> None:
        (job,) = (await jobs(control)).jobs
        assert job.input == LISTED
        assert job.addresses == ("93.184.216.34",)
        await control.send(by_control(steps=fine()))
        assert (await jobs(control, 0)).jobs == ()

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control, probe = await harness.probe("control"), await harness.probe()
            working = asyncio.create_task(control_work(harness, control))
            await until_polled(harness)
            addresses = ("93.184.216.34", "10.0.0.1", "224.0.0.1", "junk")
            began = time.monotonic()
            reply = await recheck(probe, LISTED, addresses=addresses, wait=50)
            found = reply.read(ControlReply).controls
            assert [one.input for one in found] == [LISTED]
            assert found[0].observations[0].steps == fine()
            assert time.monotonic() - began < 25
            await working

    asyncio.run(scenario())


def test_a_recheck_without_an_observation_ends_in_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control, probe = await harness.probe("control"), await harness.probe()
            began = time.monotonic()
            # No control polls for jobs, so there is nothing to wait for.
            assert (await recheck(probe, LISTED, wait=50)).status == 200
            assert time.monotonic() - began < 25
            assert len((await jobs(control, 0)).jobs) == 1
            began = time.monotonic()
            assert (await recheck(probe, OTHER, wait=0.3)).status == 200
            assert time.monotonic() - began > 0.2

    asyncio.run(scenario())


def test_which_rechecks_are_allowed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control, probe = await harness.probe("control"), await harness.probe()
            assert (await recheck(probe, UNLISTED, wait=0)).status == 403
            assert (await recheck(probe, "file:///etc/passwd", wait=0)).status == 403
            await control.send(by_control(UNLISTED))
            assert (await recheck(probe, UNLISTED, wait=0)).status == 200
            assert (await recheck(SigningClient(harness), LISTED, wait=0)).status == 401
            odd = LISTED.replace("example/", "example:22/")
            await control.send(by_control(odd))
            assert (await recheck(probe, odd, wait=0)).status == 403
            assert (await probe.ask("GET", "/v1/recheck?wait=0")).status == 403
            assert (await control.ask("GET", "/v1/recheck?wait=soon")).status == 400
            assert (await harness.ask("GET", control_path(*[LISTED] * 501))).status in {400, 414}

    asyncio.run(scenario())


def test_several_requests_make_one_job(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control = await harness.probe("control")
            probes = [await harness.probe() for _ in range(5)]
            assert (await jobs(control, 0)).jobs == ()
            asking = [asyncio.create_task(recheck(one, LISTED)) for one in probes]
            taken = await jobs(control)
            assert [job.input for job in taken.jobs] == [LISTED]
            await control.send(by_control())
            replies = [one.read(ControlReply) for one in await asyncio.gather(*asking)]
            assert all(one.controls[0].observations for one in replies)
            assert (await jobs(control, 0)).jobs == ()

    asyncio.run(scenario())


def test_stopping_ends_waiting_requests(tmp_path: Path) -> None:
    async def scenario() -> float:
        async with collector(tmp_path) as harness:
            control = await harness.probe("control")
            waiting = asyncio.create_task(jobs(control, 50))
            await until_polled(harness)
            began = time.monotonic()
            harness.service.rechecks.close()
            assert (await waiting).jobs == ()
            return began

    assert time.monotonic() - asyncio.run(scenario()) < 25


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:21f::1", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("", False),
    ],
)
def test_rechecks_have_public_addresses_only(
    address: str,
    expected: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    assert is_public(address, lab=False) is expected


def test_an_observation_is_stored_unchanged(tmp_path: Path) -> None:
    steps = tuple(
        msgspec.structs.replace(step, failure=Failure.RESET, detail="x") for step in fine()
    )

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe("control")).send(by_control(steps=steps))
            reply = (await harness.ask("GET", control_path(LISTED))).read(ControlReply)
            assert reply.controls[0].observations[0].steps == steps

    asyncio.run(scenario())


def test_a_recheck_returns_the_leaf_certificates_of_controls(tmp_path: Path) -> None:
    der = b"not parsed in this test"
    sha256 = hashlib.sha256(der).hexdigest()
    lookup, connect, shaken, page = fine()
    assert isinstance(shaken, Tls)
    steps = (lookup, connect, msgspec.structs.replace(shaken, chain=(sha256, "b" * 64)), page)

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control = await harness.probe("control")
            certs = {sha256: base64.b64encode(der).decode()}
            await control.send(by_control(steps=steps, certs=certs))
            plain = (await harness.ask("GET", control_path(LISTED))).read(ControlReply)
            assert plain.controls[0].observations[0].certs == {}
            body = codec.encode(RecheckRequest(asks=(RecheckTarget(input=LISTED),), wait=0.0))
            asker = await harness.probe()
            reply = (await asker.ask("POST", "/v1/recheck", body)).read(ControlReply)
            assert reply.controls[0].observations[0].certs == certs

    asyncio.run(scenario())


def test_an_observation_that_is_not_readable_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = {"observation_set": "UPDATE observation SET body = :body WHERE id = :id"}
    monkeypatch.setattr(sqlite, "statements", lambda: {**statements(), **added})
    first, second = by_control(LISTED), by_control(LISTED)

    def damage(body: bytes) -> Operation[None]:
        yield Execute("observation_set", [{"id": first.id, "body": body}])

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            control, probe = await harness.probe("control"), await harness.probe()
            await control.send(first, second)
            for body in (b"no zlib", zlib.compress(b"[1]"), zlib.compress(b'[{"op":"new"}]')):
                await harness.service.store.write(damage(body))
                for path in ("/v1/control", f"/v1/control?input={LISTED}"):
                    reply = (await harness.ask("GET", path)).read(ControlReply)
                    (seen,) = reply.controls
                    assert [one.id for one in seen.observations] == [second.id]
                assert (await probe.send(record())).stored == 1

    asyncio.run(scenario())
