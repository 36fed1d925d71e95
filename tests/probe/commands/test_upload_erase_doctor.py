"""The commands in separate processes against a real socket."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from probe.admin import consent
from probe.admin.erase import PENDING
from probe.client.spool import Spool
from probe.paths import VARIABLE
from tests.probe.fake_collector import FakeCollector, record

Done = tuple[int, str, str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("QAZPROBE_")}
    return kept | {VARIABLE: str(tmp_path / "home"), "HOME": str(tmp_path), "PATH": "/nowhere"}


async def qazprobe(environment: dict[str, str], *arguments: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "probe.cli",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def spool(home: Path, *urls: str) -> None:
    """A record that waits, and a volunteer who agreed."""
    consent.record(home, "en", heartbeat=False)
    with Spool(home).writer(urls) as writer:
        writer.add(record(1))


def test_the_spool_is_sent_when_the_collector_is_back(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            url, port = server.url, server.port
        spool(tmp_path / "home", url)
        code, out, err = await qazprobe(environment, "upload", "--max-time", "1")
        assert (code, "1 waiting" in out, err.count("\n")) == (4, True, 1)
        async with FakeCollector(port=port) as server:
            code, out, err = await qazprobe(environment, "upload")
            assert (code, err) == (0, "")
            assert "1 stored, 0 duplicates, 0 rejected, 0 waiting" in out
            assert set(server.stored) == {"r1"}
            code, out, err = await qazprobe(environment, "upload", "--collector", url, "--quiet")
            assert (code, out, err) == (0, "", "")

    asyncio.run(scenario())


def test_upload_without_a_collector_names_the_option(
    environment: dict[str, str],
) -> None:
    code, _, err = asyncio.run(qazprobe(environment, "upload"))
    assert (code, "--collector" in err) == (2, True)


@pytest.mark.parametrize("option", [(), ("--remote",)])
def test_erase_also_deletes_at_the_collector(
    tmp_path: Path, environment: dict[str, str], option: tuple[str, ...]
) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool(tmp_path / "home", server.url)
            await qazprobe(environment, "upload")
            assert server.stored
            code, out, _ = await qazprobe(environment, "erase", "--dry-run")
            assert (code, "keys" in out) == (0, True)
            assert f"your records at {server.url}" in out
            code, _, _ = await qazprobe(environment, "erase", *option)  # no answer on stdin
            assert code == 2
            assert server.stored
            code, _, err = await qazprobe(environment, "erase", "--yes", *option)
            assert (code, server.stored) == (0, {})
            assert "your records were deleted" in err
        assert not (tmp_path / "home").exists()

    asyncio.run(scenario())


def test_local_only_asks_no_collector(tmp_path: Path, environment: dict[str, str]) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool(tmp_path / "home", server.url)
            await qazprobe(environment, "upload")
            server.requests.clear()
            _, out, _ = await qazprobe(environment, "erase", "--local-only", "--dry-run")
            assert "your records at" not in out
            code, _, _ = await qazprobe(environment, "erase", "--local-only", "--yes")
            assert (code, server.requests, len(server.stored)) == (0, [], 1)
        assert not (tmp_path / "home").exists()
        code, _, err = await qazprobe(environment, "erase", "--local-only", "--remote", "--yes")
        assert (code, "choose one" in err) == (2, True)

    asyncio.run(scenario())


def test_erase_keeps_what_a_later_erase_needs_to_ask_again(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with FakeCollector() as there, FakeCollector() as server:
            spool(tmp_path / "home", server.url, there.url)
            await qazprobe(environment, "upload")
            keys, stored, port = server.keys, server.stored, server.port
            await server._runner.cleanup()
            code, _, err = await qazprobe(environment, "erase", "--yes")
            assert (code, there.stored) == (4, {})
        kept = tmp_path / "home" / PENDING
        assert list((tmp_path / "home").rglob("*")) == [kept]
        assert f"erased, except {kept}" in err
        assert "Run qazprobe erase again" in err
        async with FakeCollector(port=port) as server:
            server.keys, server.stored = keys, stored
            code, out, _ = await qazprobe(environment, "erase", "--yes")
            assert f"your records at {server.url}" in out
            assert there.url not in out
            assert (code, server.stored) == (0, {})
        assert not (tmp_path / "home").exists()

    asyncio.run(scenario())


def test_a_broken_configuration_does_not_prevent_erasing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    consent.record(tmp_path / "home", "en", heartbeat=False)
    (tmp_path / "home/qazprobe.toml").write_text("nonsense = [")
    code, _, err = asyncio.run(qazprobe(environment, "erase", "--yes"))
    assert (code, "not TOML" in err) == (0, True)
    assert not (tmp_path / "home").exists()


def test_without_consent_upload_contacts_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            spool(tmp_path / "home", server.url)
            consent.withdraw(tmp_path / "home")
            code, _, err = await qazprobe(environment, "upload")
            assert (code, err.count("\n"), server.requests) == (2, 1, [])
            assert "qazprobe consent" in err

    asyncio.run(scenario())


def test_doctor_prints_json_and_exits_by_its_findings(environment: dict[str, str]) -> None:
    async def scenario() -> None:
        code, out, _ = await qazprobe(environment, "doctor", "--json")
        checks = {line["name"]: line for line in map(json.loads, out.splitlines())}
        assert (code, checks["consent"]["state"]) == (1, "bad")
        code, out, _ = await qazprobe(environment, "doctor")
        assert "qazprobe consent" in out

    asyncio.run(scenario())


def test_erase_without_an_answer_removes_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    consent.record(tmp_path / "home", "en", heartbeat=False)
    code, _, err = asyncio.run(qazprobe(environment, "erase"))
    assert (code, err.splitlines()[-1]) == (
        2,
        "qazprobe: no answer; in a script use: qazprobe erase --yes",
    )
    assert consent.read(tmp_path / "home") is not None


def test_a_schedule_that_cannot_be_looked_at_is_told_by_the_exit_code_of_erase(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    crontab = tools / "crontab"
    crontab.write_text("#!/bin/sh\necho 'crontab: cannot open spool: Bad message' >&2\nexit 3\n")
    crontab.chmod(0o755)
    spool(tmp_path / "home")
    searched = environment | {"PATH": str(tools)}
    code, _, err = asyncio.run(qazprobe(searched, "erase", "--yes", "--local-only"))
    assert (code, "a schedule may be left" in err) == (2, True)
    assert not (tmp_path / "home").exists()


def test_upload_needs_some_time(environment: dict[str, str]) -> None:
    code, _, err = asyncio.run(qazprobe(environment, "upload", "--max-time", "0"))
    assert (code, "--max-time" in err) == (2, True)
