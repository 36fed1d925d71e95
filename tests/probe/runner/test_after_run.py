"""The text file and the notification after a run, with programs that only note what they got."""

import asyncio
import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families as parsed

from probe.config import Settings
from probe.errors import UserError
from probe.report.textfile import Collected
from probe.runner import after_run, notify
from tests.probe import sample
from tests.probe.runner.test_changes import BLOCKED, OK, SUSPECTED, Runs
from tests.probe.runner.test_loop import BAD, Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are scripts")

NOTES = """#!{python}
import json, os, sys
with open({path!r}, "a") as file:
    text = "" if {desktop} else sys.stdin.read()
    json.dump([sys.argv[1:], text, dict(os.environ)], file)
    file.write("\\n")
"""


class Noted:
    """A program that notes its arguments, input and environment."""

    def __init__(self, folder: Path, name: str, *, desktop: bool = False) -> None:
        self.path = folder / f"{name}.notes"
        self.program = folder / name
        text = NOTES.format(python=sys.executable, path=str(self.path), desktop=desktop)
        self.program.write_text(text)
        self.program.chmod(0o755)

    @property
    def calls(self) -> list[tuple[list[str], str, dict[str, str]]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [tuple(json.loads(line)) for line in lines]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "home")


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def publish(runs: Runs, settings: Settings, *, unlisted: tuple[str, ...] = ()) -> list[str]:
    run = replace(sample.facts(), run=runs.names[-1])
    collected = Collected()
    collected.take(sample.blocked("b"))
    return asyncio.run(
        after_run.publish(
            settings,
            runs.results.folder.parent,
            collected,
            run,
            unlisted=frozenset(unlisted),
            offline=False,
        )
    )


def test_the_text_file_is_replaced_at_once_and_readable_by_all(runs: Runs, tmp_path: Path) -> None:
    runs.add(OK)
    path = tmp_path / "metrics" / "qazprobe.prom"
    path.parent.mkdir()
    path.write_text("old")
    opened = path.open()
    before = os.umask(0o077)
    try:
        assert publish(runs, Settings(textfile=str(path))) == []
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert "qazprobe_target_outcome" in {one.name for one in parsed(path.read_text())}
    assert opened.read() == "old", "the old file was left as it was"
    opened.close()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_text_file_that_cannot_be_written_is_told(runs: Runs, tmp_path: Path) -> None:
    runs.add(OK)
    (tmp_path / "file").write_text("")
    (problem,) = publish(runs, Settings(textfile=str(tmp_path / "file" / "x.prom")))
    assert problem.startswith("textfile: ")


@pytest.mark.parametrize("path", [".", "no/such/folder/x.prom"])
def test_a_path_that_cannot_work_stops_the_start(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="textfile"):
        after_run.check(Settings(textfile=path))
    after_run.check(Settings(textfile="x.prom"))


def test_a_command_gets_the_changes(
    runs: Runs, bin_: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QAZPROBE_INVITE", "secret")
    monkeypatch.setenv("QAZPROBE_HOME", "kept")
    noted = Noted(bin_, "tell")
    runs.add(OK)
    runs.add(BLOCKED)
    assert publish(runs, Settings(notify=("tell", "a b", "$(x)"))) == []
    ((arguments, text, environ),) = noted.calls
    assert arguments == ["a b", "$(x)"]
    assert text == "began: https://a.example: ok → blocked (tls.timeout) [web]\n"
    assert environ["CHANGES_TOTAL"] == environ["CHANGES_BEGAN"] == "1"
    assert environ["CHANGES_ENDED"] == environ["CHANGES_CHANGED"] == "0"
    assert environ["CHANGES_RUN"] == runs.names[-1]
    assert "QAZPROBE_INVITE" not in environ
    assert environ["QAZPROBE_HOME"] == "kept"


def test_nothing_is_told_when_nothing_changed(runs: Runs, bin_: Path) -> None:
    noted = Noted(bin_, "tell")
    for one in (OK, SUSPECTED, OK):
        runs.add(one)
        assert publish(runs, Settings(notify=("tell",))) == []
    assert noted.calls == []


def test_each_change_is_told_once(runs: Runs, bin_: Path) -> None:
    noted = Noted(bin_, "tell")
    for one in (OK, SUSPECTED, BLOCKED, BLOCKED, SUSPECTED, OK, OK):
        runs.add(one)
        publish(runs, Settings(notify=("tell",)))
    assert [text.partition(":")[0] for _arguments, text, _environ in noted.calls] == [
        "began",
        "ended",
    ]


@pytest.mark.parametrize("program", ["notify-send", "termux-notification"])
def test_a_desktop_notification_has_numbers_and_no_names(
    program: str, runs: Runs, bin_: Path
) -> None:
    noted = Noted(bin_, program, desktop=True)
    runs.add(OK)
    runs.add(BLOCKED)
    assert publish(runs, Settings(notify="desktop")) == []
    ((arguments, _text, _environ),) = noted.calls
    assert "1 began, 0 ended, 0 changed; to see it: qazprobe results diff" in arguments
    assert "example" not in " ".join(arguments)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_have_their_own_program(
    system: str, bin_: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"darwin": "osascript", "win32": "powershell"}[system]
    Noted(bin_, name)
    monkeypatch.setattr(shutil, "which", lambda word: f"/x/{word}" if word == name else None)
    monkeypatch.setattr(sys, "platform", system)
    call = notify._desktop([])
    assert call is not None
    assert call.argv[0] == f"/x/{name}"
    body = (*call.argv, *call.environ.values())
    assert any("qazprobe results diff" in word for word in body)


def test_without_a_program_that_is_a_problem(runs: Runs, bin_: Path) -> None:
    runs.add(OK)
    runs.add(BLOCKED)
    (problem,) = publish(runs, Settings(notify="desktop"))
    assert "no program" in problem


def test_a_command_that_fails_or_hangs_is_told(
    runs: Runs, bin_: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.add(OK)
    runs.add(BLOCKED)
    for name, body in (("fails", "raise SystemExit(3)"), ("hangs", "import time; time.sleep(99)")):
        (bin_ / name).write_text(f"#!{sys.executable}\n{body}\n")
        (bin_ / name).chmod(0o755)
    (failed,) = publish(runs, Settings(notify=("fails",)))
    assert failed == "notify: fails: exit code 3"
    monkeypatch.setattr(notify, "_LONGEST", 0.3)
    (hung,) = publish(runs, Settings(notify=("hangs",)))
    assert "stopped after" in hung
    (bin_ / "fails").write_bytes(b"\x00")
    (broken,) = publish(runs, Settings(notify=("fails",)))
    assert broken.startswith("notify: fails: ")


def test_a_command_that_is_not_there_stops_the_start(bin_: Path) -> None:
    Noted(bin_, "tell")
    for wrong in ("https://meduza.io/", "meduza.io", ("no-such-command",), "", "tell 'x", ()):
        with pytest.raises(UserError, match="notify"):
            after_run.check(Settings(notify=wrong))
    assert notify.command("tell 'a b' c") == ("tell", "a b", "c")
    assert notify.command("desktop") == notify.command(("desktop",)) == ("desktop",)
    assert notify.command(None) is None


@pytest.fixture
def home(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Home:
    folder = tmp_path / "volunteer"
    folder.mkdir()
    home = Home(folder, capfd)
    assert home.call("consent", "--yes").returncode == 0
    return home


def test_a_run_writes_the_text_file_and_refuses_a_path_or_command_that_cannot_work(
    home: Home,
) -> None:
    (home.folder / "list.txt").write_text("https://a.example/\nhttps://bad.test/\n")
    words = ("run", "https://mine.example/", "--targets", "list.txt", "-e", "web")
    done = home.call(*words, "--textfile", "x.prom", behaviours=BAD)
    assert done.returncode == 0, done.stderr
    text = (home.folder / "x.prom").read_text()
    families = {one.name: one.samples for one in parsed(text)}
    outcomes = {
        one.labels["target"]: one.labels["outcome"] for one in families["qazprobe_target_outcome"]
    }
    assert outcomes == {"a.example": "ok", "bad.test": "blocked", "unlisted": "ok"}
    assert families["qazprobe_run_targets"][0].value == 3

    wrong = home.call(*words, "--textfile", "no/folder/x.prom")
    assert (wrong.returncode, "textfile" in wrong.stderr) == (2, True)
    wrong = home.call("run", "--notify", "https://a.example/", "-e", "web")
    assert (wrong.returncode, "no such command" in wrong.stderr) == (2, True)


def test_notify_alone_means_the_desktop(home: Home) -> None:
    done = home.call("run", "https://a.example/", "-e", "web", "--notify")
    assert done.returncode == 0, done.stderr
    (home.folder / "qazprobe.toml").write_text('notify = ["no-such-command", "x"]\n')
    assert home.call("run", "https://a.example/").returncode == 2
