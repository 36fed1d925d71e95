import asyncio
import os
import sys
from pathlib import Path

import pytest

from probe.admin import consent, schedule
from probe.admin.check import Check, CheckState
from probe.admin.doctor import Subject, examine
from probe.client import endpoint
from probe.client.spool import Spool
from tests.probe.fake_collector import FakeCollector, credentials, record


@pytest.fixture(autouse=True)
def _no_timers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


def named(checks: list[Check], name: str) -> list[Check]:
    return [check for check in checks if check.name == name]


def examined(home: Path, *urls: str, ca_file: Path | None = None) -> list[Check]:
    ends = [endpoint.parse(url, ca_file=ca_file, lab=True) for url in urls]
    return asyncio.run(examine(Subject(home, ends)))


def test_a_fresh_machine_needs_consent_first(tmp_path: Path) -> None:
    found = examined(tmp_path / "home")
    (agreement,) = named(found, "consent")
    assert (agreement.state, agreement.fix) == (CheckState.BAD, "qazprobe consent")
    assert not (tmp_path / "home").exists()
    consent.record(tmp_path / "home", "en", heartbeat=False)
    (agreement,) = named(examined(tmp_path / "home"), "consent")
    assert agreement.state is CheckState.FINE


def test_every_problem_comes_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    found = examined(tmp_path / "home", "http://127.0.0.1:1")
    assert all(check.fix for check in found if check.state is CheckState.BAD)
    (folder,) = named(found, "state folder")
    assert folder.fix.startswith("chmod 700")


@pytest.mark.parametrize(
    ("allowed", "timer", "url", "said"),
    [
        (True, False, True, "no timer sends it"),
        (False, True, True, "it is not allowed"),
        (None, True, True, "it is not allowed"),
        (True, True, False, "no collector is configured"),
        (True, True, True, "sent by a timer"),
        (False, False, True, None),
    ],
)
def test_consent_and_timer_of_the_heartbeat_must_agree(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    allowed: bool | None,
    timer: bool,
    url: bool,
    said: str | None,
) -> None:
    home = tmp_path / "home"
    if allowed is not None:
        consent.record(home, "en", heartbeat=allowed)
    monkeypatch.setattr(schedule, "heartbeat_installed", lambda: timer)
    ends = [endpoint.parse("http://127.0.0.1:1", lab=True)] if url else []
    found = named(asyncio.run(examine(Subject(home, ends))), "heartbeat")
    assert [said in check.message for check in found if said] == [True] * (said is not None)
    assert all(check.fix for check in found if check.state is CheckState.NOTE)
    assert named(asyncio.run(examine(Subject(home, ends, role="control"))), "heartbeat") == []


def test_before_consent_no_collector_is_contacted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            found = await examine(Subject(tmp_path, [endpoint.parse(server.url)]))
            (check,) = named(found, "collector")
            assert (check.state, check.fix) == (CheckState.NOTE, "qazprobe consent")
            assert server.requests == []

    asyncio.run(scenario())


def test_a_collector_is_checked_without_making_a_key(tmp_path: Path) -> None:
    consent.record(tmp_path, "en", heartbeat=False)

    async def scenario() -> None:
        async with FakeCollector() as server:
            with Spool(tmp_path).writer((server.url,)) as writer:
                writer.add(record(1))
            found = await examine(Subject(tmp_path, [endpoint.parse(server.url)]))
            assert [check.state for check in named(found, "clock")] == [CheckState.FINE]
            assert "accepts new probes" in named(found, "key")[0].message
            assert named(found, "spool")[0].fix == "qazprobe upload"
            assert server.requests == ["GET /v1/service"]

    asyncio.run(scenario())
    assert not (tmp_path / "keys").exists()


def test_a_wrong_clock_and_a_forged_collector_are_bad(tmp_path: Path) -> None:
    made = credentials(tmp_path)
    consent.record(tmp_path, "en", heartbeat=False)

    async def scenario() -> None:
        async with (
            FakeCollector(date_ahead=600) as server,
            FakeCollector(tls=made.context) as forged,
        ):
            ends = [endpoint.parse(server.url), endpoint.parse(forged.url)]
            found = await examine(Subject(tmp_path, ends))
            (clock,) = named(found, "clock")
            assert clock.state is CheckState.BAD
            assert "600 seconds behind" in clock.message or "599 seconds behind" in clock.message
            bad = [check for check in named(found, "collector") if check.state is CheckState.BAD]
            assert "may be intercepted" in bad[0].message

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_read_only_state_folder_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    # What the system says of a read-only disk; root may write anywhere else.
    monkeypatch.setattr(os, "access", lambda *_: False)
    (folder,) = named(examined(tmp_path / "home"), "state folder")
    assert (folder.state, "is not writable" in folder.message) == (CheckState.BAD, True)
    assert folder.fix
