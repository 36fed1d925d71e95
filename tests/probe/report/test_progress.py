"""Progress is shown on terminals only."""

import io
import sys

import pytest

from probe.ordering import Job
from probe.report.progress import NullProgress, progress_listener


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("quiet", [True, False])
def test_without_a_terminal_no_progress_is_shown(
    monkeypatch: pytest.MonkeyPatch, *, quiet: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if quiet else io.StringIO())
    with progress_listener(quiet=quiet) as watcher:
        watcher.phase("looking", 1)
        watcher.done(Job("web", "https://a.example/"), None)
        assert isinstance(watcher, NullProgress)


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_listener(quiet=False) as watcher:
        watcher.done(Job("web", "https://early.example/"), None)
        watcher.phase("looking", 2)
        watcher.done(Job("web", "https://a\x07.example/"), None)
    said = terminal.getvalue()
    assert "looking" in said
    assert "1/2" in said
    assert "\x07" not in said


def test_results_stay_on_a_stdout_that_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setenv("TERM", "xterm")
    with progress_listener(quiet=False) as watcher:
        watcher.phase("looking", 1)
        sys.stdout.write("{}\n")
        watcher.done(Job("web", "https://a.example/"), None)
    assert file.getvalue() == "{}\n"
    assert "{}" not in terminal.getvalue()


def screen(written: str) -> list[str]:
    """The lines that a terminal shows: a carriage return goes back to the start of its line."""
    lines: list[str] = []
    for line in written.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return lines


def test_messages_are_shown_above_the_bar_and_nothing_of_it_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_listener(quiet=False) as watcher:
        watcher.phase("looking", 2)
        sys.stderr.write("a note\n")
        watcher.done(Job("web", "https://a.example/"), None)
        during = screen(terminal.getvalue())
        sys.stdout.write("a result\n")
    assert during[0] == "a note"
    assert "1/2" in during[1]
    assert screen(terminal.getvalue()) == ["a note", "a result", ""]
    assert sys.stderr is terminal


def test_the_bar_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    with progress_listener(quiet=False) as watcher:
        watcher.phase("looking", 100)
        watcher.done(Job("web", f"https://{'long.' * 9}example/"), None)
    assert max(map(len, terminal.getvalue().split("\r"))) < 40


def test_a_terminal_that_goes_away_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    class Gone(Terminal):
        def write(self, text: str) -> int:
            tried.append(text)
            raise OSError

    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setenv("TERM", "xterm")
    with progress_listener(quiet=False) as watcher:
        watcher.phase("looking", 1)
        watcher.done(Job("web", "https://a.example/"), None)
    assert tried
