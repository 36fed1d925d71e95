"""Consent that is withdrawn under a running process: it ends within seconds and keeps nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probe import consent_record, paths, permission
from probe.runner.journal import Journal

ROOT = Path(__file__).parents[3]
OK, SLOW, BAD = "https://a.example/", "https://slow.test/", "https://bad.test/"
BEHAVIOURS = json.dumps({"slow.test": "slow", "bad.test": "reset"})
# What a measurement leaves: none of it may be there after a withdrawal.
KEPT = ("results/*.jsonl", "spool/*.jsonl", "spool/*.state", "held.jsonl", "running/*")

End = Callable[[Path], object]


def environment(home: Path) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("QAZPROBE_")}
    more = {"QAZPROBE_HOME": str(home), "QAZPROBE_EXPERIMENTS": "web", "PYTHONPATH": str(ROOT)}
    return kept | more | {"HOME": str(home.parent), "PATH": "/nowhere", "LANG": "C.UTF-8"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    consent_record.record(folder, "en", heartbeat=False)
    return folder


@pytest.fixture
def begin(home: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command with a fake network; it is killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.probe.fake_cli", BEHAVIOURS, *words],
            env=environment(home),
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def ended(process: "subprocess.Popen[str]", within: float = 5.0) -> tuple[int, str]:
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < within
    return process.returncode, err


def between_rounds(home: Path) -> bool:
    """Whether no round holds the lock of the run."""
    lock = paths.run_lock(home)
    if not lock.acquire():
        return False
    lock.release()
    return True


def withdraw(home: Path) -> None:
    command = [sys.executable, "-m", "probe.cli", "consent", "--withdraw"]
    subprocess.run(command, env=environment(home), check=True, capture_output=True)


def delete_the_file(home: Path) -> None:
    (home / consent_record.FILE).unlink()


def agree_again(home: Path) -> None:
    consent_record.record(home, "en", heartbeat=False)


def agree_to_an_older_text(home: Path) -> None:
    given = consent_record.Consent(version=1, at="2020-01-01T00:00:00Z", language="en")
    consent_record.write(home, given)


@pytest.mark.parametrize("how", [withdraw, delete_the_file, agree_again, agree_to_an_older_text])
def test_a_round_under_way_ends_and_keeps_nothing(
    home: Path, begin: Callable[..., "subprocess.Popen[str]"], how: End
) -> None:
    out = home.parent / "out.jsonl"
    out.write_text('{"id":"earlier"}\n')
    collector = ("--collector", "http://127.0.0.1:9", "--control", "none")
    running = begin("run", OK, BAD, SLOW, "--every", "1h", "-o", str(out), *collector)
    wait_for(lambda: any((home / "results").glob("*.jsonl")))  # one is finished and kept
    wait_for(lambda: Journal(home).held())  # one is held
    assert out.read_text().count("\n") == 2
    how(home)
    code, err = ended(running)
    assert code == 2
    assert err.splitlines()[-1] == (
        "qazprobe: Consent was withdrawn: the run has ended, "
        "and what this round had measured is discarded."
    )
    assert [path for pattern in KEPT for path in home.glob(pattern)] == []
    assert out.read_text() == '{"id":"earlier"}\n'


def test_a_replaced_file_stays_as_it_was(
    home: Path, begin: Callable[..., "subprocess.Popen[str]"]
) -> None:
    out = home.parent / "out.jsonl"
    out.write_text("old\n")
    running = begin("run", OK, SLOW, "-o", str(out))
    wait_for(lambda: any((home / "results").glob("*.jsonl")))
    withdraw(home)
    assert ended(running)[0] == 2
    assert [path.name for path in home.parent.glob("out*")] == ["out.jsonl"]
    assert out.read_text() == "old\n"


def test_what_cannot_be_removed_is_named(
    home: Path, begin: Callable[..., "subprocess.Popen[str]"]
) -> None:
    running = begin("run", OK, SLOW)
    wait_for(lambda: any((home / "results").glob("*.jsonl")))
    (kept,) = (home / "results").glob("*.jsonl")
    kept.rename(home.parent / "moved")
    kept.mkdir()
    withdraw(home)
    code, err = ended(running)
    assert code == 2
    assert f"could not be removed; delete it yourself: {kept} (" in err


def test_between_rounds_it_ends_and_earlier_rounds_stay(
    home: Path, begin: Callable[..., "subprocess.Popen[str]"]
) -> None:
    out = home.parent / "out.jsonl"
    running = begin("run", OK, "--every", "1h", "-o", str(out))
    wait_for(lambda: out.exists() and out.read_text().count("\n") == 2)
    wait_for(lambda: between_rounds(home))
    withdraw(home)
    code, err = ended(running)
    assert (code, err.splitlines()[-1]) == (
        2,
        "qazprobe: Consent was withdrawn, so the program has ended.",
    )
    assert len(list((home / "results").glob("*.jsonl"))) == 1
    assert out.read_text().count("\n") == 2


def test_what_a_killed_run_was_holding_is_not_kept_for_the_next_consent(
    home: Path, begin: Callable[..., "subprocess.Popen[str]"]
) -> None:
    running = begin("run", BAD, SLOW)
    wait_for(lambda: Journal(home).held())
    running.kill()
    running.communicate()
    withdraw(home)
    assert Journal(home).held() == ()


@pytest.mark.parametrize("role", ["probe", "control"])
def test_erase_ends_what_runs_and_waits_for_it(
    home: Path, begin: Callable[..., "subprocess.Popen[str]"], role: str
) -> None:
    running = begin("run", OK, SLOW, "--every", "1h", "--role", role)
    wait_for(lambda: any((home / "results").glob("*.jsonl")))
    erasing = begin("erase", "--yes")
    code, err = ended(erasing, within=60.0)
    assert code == 0, err
    assert f"waiting for run --every (process {running.pid}) to end" in err
    assert running.wait(timeout=30) == 2
    time.sleep(0.5)
    assert not home.exists()


def test_erase_says_what_did_not_end_and_removes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, begin: Callable[..., "subprocess.Popen[str]"]
) -> None:
    running = begin("run", SLOW)
    wait_for(lambda: any((home / permission.FOLDER).glob("*")))
    time.sleep(0.5)
    running.send_signal(signal.SIGSTOP)
    waited: list[str] = []
    left = permission.wait_until_ended(home, 0.3, lambda *one: waited.append(" ".join(one)))
    assert (left, waited) == ((str(running.pid),), [f"{running.pid} run"])
    monkeypatch.setenv("QAZPROBE_HOME", str(home))
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("probe.commands.erase.PATIENCE", 0.3)
    from click.testing import CliRunner

    from probe.commands.erase import command
    from probe.errors import Exit, UserError

    said = CliRunner().invoke(command, ["--yes"])
    assert isinstance(said.exception, UserError)
    assert said.exception.code == Exit.LOCKED
    assert str(running.pid) in str(said.exception)
    assert not (home / consent_record.FILE).exists()
    assert (home / "run.lock").exists()
    running.send_signal(signal.SIGCONT)
    assert ended(running)[0] == 2
    assert CliRunner().invoke(command, ["--yes"]).exit_code == 0
    assert not home.exists()


def test_entries_of_processes_that_were_killed_hold_up_nothing(home: Path) -> None:
    folder = home / permission.FOLDER
    folder.mkdir()
    (folder / "1-dead").write_text("run")
    assert permission.wait_until_ended(home, 0.0, lambda *_: None) == ()
    assert list(folder.iterdir()) == []


def test_a_folder_that_takes_no_entry_prevents_no_measurement(home: Path) -> None:
    (home / permission.FOLDER).write_text("a file")
    with permission.entered(home, "run") as entry:
        assert entry is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 5000, b"run\x1b[31m"])
def test_an_entry_with_any_content_is_told_in_plain_text(home: Path, content: bytes) -> None:
    with permission.entered(home, "run") as entry:
        assert entry is not None
        entry.write_bytes(content)
        ((number, what),) = permission.ask_to_end(home).items()
        assert number == str(os.getpid())
        assert what.isprintable()
        assert not permission.Permission(entry=entry).stands
