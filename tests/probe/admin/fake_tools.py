"""Fake system tools on a PATH of their own, with the messages of the real ones."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

# A crontab like cronie's and Debian's; FAKE_* files in $HOME make it fail.
CRONTAB = """#!/bin/sh
case "$1" in
-l)
  test -e "$HOME/crontab" || { echo "no crontab for me" >&2; exit 1; }
  cat "$HOME/crontab";;
-r)
  test -e "$HOME/crontab" || { echo "no crontab for me" >&2; exit 1; }
  rm "$HOME/crontab";;
-)
  cat > "$HOME/crontab";;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/systemctl.log"
units="$HOME/.config/systemd/user"
case "$*" in
*is-enabled*) test -e "$units/qazprobe.timer";;
*enable*qazprobe-heartbeat.timer*) test ! -e "$HOME/fail-heartbeat" || {
    echo "Failed to enable unit: Read-only file system" >&2; exit 1; };;
*daemon-reload*) test ! -e "$HOME/fail-reload" || {
    echo "Failed to connect to bus: No medium found" >&2; exit 1; };;
esac
"""
REAL = ("cat", "env", "head", "mkdir", "printf", "rm", "sh", "sleep", "tail", "test")


def user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate user whose PATH has only the tools of the test."""
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setenv("QAZPROBE_HOME", str(folder / "state"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    (folder / "bin").mkdir()
    for name in REAL:
        if found := shutil.which(name, path=os.defpath):
            (folder / "bin" / name).symlink_to(found)
    return folder


def tool(home: Path, name: str, script: str) -> None:
    path = home / "bin" / name
    path.write_text(script)
    path.chmod(0o755)


def tree(folder: Path) -> Iterator[str]:
    """Every file and folder below, except the tools."""
    for path in sorted(folder.rglob("*")):
        if "bin" not in path.parts:
            yield path.relative_to(folder).as_posix()
