"""The commands in separate processes against a real socket."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from probe.admin import consent
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


def test_the_spool_is_sent_when_the_collector_is_back(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            url, port = server.url, server.port
        with Spool(tmp_path / "home").writer((url,)) as writer:
            writer.add(record(1))
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


def test_erase_remote_deletes_everything(tmp_path: Path, environment: dict[str, str]) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            with Spool(tmp_path / "home").writer((server.url,)) as writer:
                writer.add(record(1))
            await qazprobe(environment, "upload")
            assert server.stored
            code, out, _ = await qazprobe(environment, "erase", "--dry-run")
            assert (code, "keys" in out) == (0, True)
            code, _, _ = await qazprobe(environment, "erase", "--remote")  # no answer on stdin
            assert code != 0
            assert server.stored
            code, _, err = await qazprobe(environment, "erase", "--remote", "--yes")
            assert (code, server.stored) == (0, {})
            assert "deleted our records" in err
        assert not (tmp_path / "home").exists()

    asyncio.run(scenario())


def test_erase_keeps_the_keys_while_a_collector_cannot_be_asked(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            with Spool(tmp_path / "home").writer((server.url,)) as writer:
                writer.add(record(1))
            await qazprobe(environment, "upload")
        code, _, err = await qazprobe(environment, "erase", "--remote", "--yes")
        assert (code, "the keys are kept" in err) == (4, True)
        assert (tmp_path / "home/keys/seed").exists()

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
