"""A run that would cost too much measures nothing, says so in one line and is no failure."""

import subprocess
import sys
from pathlib import Path

import pytest

from probe import consent_record
from probe.errors import Exit
from tests.probe.admin.fake_tools import tool

ROOT = Path(__file__).parents[3]
METERED = """#!/bin/sh
echo >> "$0.log"
case "$*" in *Metered) echo 'v u 1';; *OnBattery) echo 'v b true';; *) echo 'v d 20';; esac
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tools of Linux")


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    behaviours = '{"one.test": "ok"}'
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.probe.fake_cli",
            behaviours,
            "run",
            "--quiet",
            "-e",
            "web",
            *words,
        ],
        cwd=ROOT,
        env={
            "QAZPROBE_HOME": str(home / "state"),
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    consent_record.record(tmp_path / "state", "en", heartbeat=False)
    tool(tmp_path, "busctl", METERED)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--unmetered-only",), "this connection is metered (NetworkManager)"),
        (("--min-battery", "30"), "on battery with 20%, below 30%"),
    ],
)
def test_a_skipped_run_is_one_line_and_no_failure(
    home: Path, words: tuple[str, ...], why: str
) -> None:
    output = home / "records.jsonl"
    output.write_text("earlier\n")
    done = run(home, "https://one.test/", "-o", str(output), *words)
    assert done.returncode == Exit.DONE
    assert done.stderr == f"qazprobe: skipped: {why}; nothing was measured\n"
    assert done.stdout == ""
    assert output.read_text() == "earlier\n"
    assert not list((home / "state").rglob("*.jsonl*"))


@pytest.mark.parametrize(
    "words", [(), ("--unmetered-only", "--metered-too"), ("--min-battery", "20")]
)
def test_a_run_that_was_not_asked_to_spare_measures(home: Path, words: tuple[str, ...]) -> None:
    done = run(home, "https://one.test/", "-o", "-", *words)
    assert done.returncode == Exit.DONE, done.stderr
    assert '"input":"https://one.test/"' in done.stdout
    assert (home / "bin/busctl.log").exists() == ("--min-battery" in words)


def test_consent_comes_before_everything(home: Path) -> None:
    (home / "state" / consent_record.FILE).unlink()
    assert run(home, "https://one.test/", "--unmetered-only").returncode == Exit.USAGE


def test_each_round_looks_again(home: Path) -> None:
    tool(
        home,
        "busctl",
        METERED.replace(
            "echo 'v u 1'", 'test -e "$0.free" && echo v u 2 || echo v u 1; touch "$0.free"'
        ),
    )
    words = (
        "https://one.test/",
        "-e",
        "web",
        "--lab",
        "--every",
        "1s",
        "--unmetered-only",
        "-o",
        "-",
    )
    with subprocess.Popen(
        [sys.executable, "-m", "tests.probe.fake_cli", '{"one.test": "ok"}', "run", *words],
        cwd=ROOT,
        env={
            "QAZPROBE_HOME": str(home / "state"),
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:/usr/bin:/bin",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        assert running.stdout is not None
        assert "this connection is metered" in running.stderr.readline()
        assert '"input":"https://one.test/"' in running.stdout.readline()
        running.terminate()


@pytest.mark.parametrize("charge", ["-1", "101", "half"])
def test_a_charge_is_a_percentage(home: Path, charge: str) -> None:
    assert run(home, "https://one.test/", "--min-battery", charge).returncode == Exit.USAGE
