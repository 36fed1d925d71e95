"""Files of exports: one for everybody who asks for the same, and no more than fit."""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from collector.api import export_files
from collector.api.export_files import ExportFiles


class Maker:
    """Writes files, and counts them."""

    def __init__(self, size: int = 10) -> None:
        self.made = 0
        self.size = size

    async def __call__(self, path: Path) -> None:
        self.made += 1
        await asyncio.to_thread(path.write_bytes, b"x" * self.size)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_who_asks_for_the_same_gets_the_same_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        make, files = Maker(), ExportFiles()
        found = await asyncio.gather(*(files.get("a", make) for _ in range(5)))
        assert (make.made, len({*found})) == (1, 1)
        assert await files.get("b", make) != found[0]

    asyncio.run(scenario())


def test_a_file_is_made_anew_after_some_minutes(tmp_path: Path) -> None:
    async def scenario() -> None:
        now, make = 0.0, Maker()
        files = ExportFiles(clock=lambda: now)
        first = await files.get("a", make)
        now = export_files.KEPT_SECONDS + 1
        second = await files.get("a", make)
        # Who was given it last may not have opened it yet.
        assert (make.made, first.exists(), second.exists()) == (2, True, True)
        now += export_files.GRACE_SECONDS
        await files.get("b", make)
        assert (first.exists(), second.exists()) == (False, True)

    asyncio.run(scenario())


def test_the_oldest_files_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_files, "KEPT_BYTES", 25)

    async def scenario() -> None:
        now, make = 0.0, Maker()
        files = ExportFiles(clock=lambda: now)
        found = []
        for name in "abcd":
            now += 1
            found.append(await files.get(name, make))
        assert [path.exists() for path in found] == [False, True, True, True]

    asyncio.run(scenario())


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = ExportFiles()

        async def fail(path: Path) -> None:
            await asyncio.to_thread(path.write_bytes, b"half")
            raise RuntimeError("out of ideas")

        with pytest.raises(RuntimeError):
            await files.get("a", fail)
        path = await files.get("a", Maker())
        assert path.read_bytes() == b"x" * 10
        assert [*path.parent.iterdir()] == [path]

    asyncio.run(scenario())


def test_files_go_with_their_collector_or_when_the_next_one_starts(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = ExportFiles()
        folder = (await files.get("a", Maker())).parent
        assert folder.stat().st_mode & 0o077 == 0
        del files
        assert not folder.exists()

    asyncio.run(scenario())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        (tmp_path / f"qazcollector-export-{pid}-x").mkdir()
    kept = ExportFiles()
    assert not (tmp_path / f"qazcollector-export-{dead.pid}-x").exists()
    assert (tmp_path / f"qazcollector-export-{os.getpid()}-x").exists()
    del kept
