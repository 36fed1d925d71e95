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
