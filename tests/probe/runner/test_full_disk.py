"""A full state disk: what could be measured is shown, `-o` is complete, and records are sent."""

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import pytest
from aiohttp import web

from probe import atomic_files, codec
from probe.model import Record
from tests.probe.fake_collector import FakeCollector, answering, problem

ROOT = Path(__file__).parents[3]
URLS = ("https://a.example/", "https://bad.test/")
# Files may not grow: the same as a full disk for everything but pipes.
LIMITED = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
sys.argv = ["fake_cli", *sys.argv[1:]]
runpy.run_module("tests.probe.fake_cli", run_name="__main__")
"""
# A small disk for the state folder, filled to the last byte, in a mount namespace of its own.
SMALL_DISK = """
mount -t tmpfs -o size=256k,nr_inodes=64 tmpfs "$QAZPROBE_HOME" || exit 77
cp -a "$SAVED/." "$QAZPROBE_HOME" && mkdir "$QAZPROBE_HOME/filler" || exit 77
dd if=/dev/zero of="$QAZPROBE_HOME/filler/0" bs=4k 2>/dev/null
n=1; while [ "$FILES" = no ] && (: >"$QAZPROBE_HOME/filler/$n") 2>/dev/null; do n=$((n+1)); done
"$@"; code=$?
rm -r "$QAZPROBE_HOME/filler"; cp -a "$QAZPROBE_HOME/." "$SAVED"
exit $code
"""


class Collector:
    """A collector that runs in a thread of its own."""

    def __init__(self) -> None:
        self.server = FakeCollector()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    async def _run(self) -> None:
        async with self.server:
            self._ready.set()
            await self._done.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)
        self._loop.close()

    @property
    def experiments(self) -> list[str]:
        """The experiment of each record that arrived."""
        return sorted(codec.decode(line).experiment for line in self.server.stored.values())


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def state(tmp_path: Path, collector: Collector) -> Path:
    """The state of a volunteer who has consented, and whose key the collector knows."""
    folder = tmp_path / "state"
    folder.mkdir()
    assert call(folder, "consent", "--yes").returncode == 0
    assert measure(folder, collector).returncode == 0
    collector.server.stored.clear()
    return folder


def environment(state: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QAZPROBE_")}
    return {**kept, "QAZPROBE_HOME": str(state), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


def call(
    state: Path, *words: str, before: tuple[str, ...] = (), files: str = "yes"
) -> "subprocess.CompletedProcess[str]":
    start = before or (sys.executable, "-m", "tests.probe.fake_cli")
    return subprocess.run(
        [*start, '{"bad.test": "reset"}', *words],
        env={**environment(state), "SAVED": str(state.parent / "saved"), "FILES": files},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def measure(
    state: Path,
    collector: Collector,
    *more: str,
    before: tuple[str, ...] = (),
    files: str = "yes",
) -> "subprocess.CompletedProcess[str]":
    words = ("run", *URLS, "-e", "web", "--collector", collector.server.url, *more)
    return call(state, *words, before=before, files=files)


def records(text: str) -> list[Record]:
    return [codec.decode(line.encode()) for line in text.splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="needs setrlimit")
def test_what_reached_no_spool_is_sent_in_the_same_run(state: Path, collector: Collector) -> None:
    done = measure(state, collector, before=(sys.executable, "-c", LIMITED))
    assert done.returncode == 1, done.stderr
    assert "2 measured: 1 blocked, 1 ok" in done.stdout
    assert done.stderr.count("cannot write") == 1
    assert "neither saved nor sent" not in done.stderr
    assert collector.experiments == ["run", "web", "web"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs setrlimit")
def test_what_is_neither_saved_nor_sent_is_told(state: Path, collector: Collector) -> None:
    collector.server.override["/v1/measurements"] = answering(lambda: problem(403, "no"))
    done = measure(state, collector, "-o", "-", before=(sys.executable, "-c", LIMITED))
    assert done.returncode == 1
    assert len(records(done.stdout)) == 3
    assert "3 records are neither saved nor sent: the disk refuses them" in done.stderr


@pytest.mark.lab
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here")
@pytest.mark.parametrize("files", ["yes", "no"], ids=["no bytes left", "no files left"])
def test_a_small_disk_that_is_full(
    state: Path, collector: Collector, tmp_path: Path, files: str
) -> None:
    saved = tmp_path / "saved"
    shutil.copytree(state, saved, ignore=shutil.ignore_patterns("*.lock", "spool", "results"))
    out = tmp_path / "out.jsonl"
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh")
    fake = (sys.executable, "-m", "tests.probe.fake_cli")
    done = measure(state, collector, "-o", str(out), before=(*unshare, *fake), files=files)
    if done.returncode == 77:
        pytest.skip("a disk may not be mounted here")
    assert done.returncode == 1, done.stderr
    assert "2 measured: 1 blocked, 1 ok" in done.stdout
    assert [one.experiment for one in records(out.read_text())] == ["web", "web", "run"]
    assert collector.experiments == ["run", "web", "web"]
    assert "Traceback" not in done.stderr
    assert not (saved / "bugs.log").exists()


def test_a_refused_record_is_told_with_its_reason_and_where_it_is(
    state: Path, collector: Collector
) -> None:
    reply = {
        "stored": 1,
        "duplicates": 0,
        "rejected": 2,
        "records": [{"line": n, "status": "rejected", "reason": "too \x1b large"} for n in (0, 1)],
    }
    collector.server.override["/v1/measurements"] = answering(
        lambda: web.Response(body=msgspec.json.encode(reply), content_type="application/json")
    )
    done = measure(state, collector, "--quiet")
    kept = state / "spool" / "rejected.jsonl"
    url = collector.server.url
    assert done.stderr == f"qazprobe: {url}: rejected 2: too \\u001b large; kept in {kept}\n"
    assert len(kept.read_text().splitlines()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot lock a folder")
def test_without_room_for_a_lock_file_the_folder_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_files, "private_file", full)
    first, second = (atomic_files.Lock(tmp_path / "lock") for _ in range(2))
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()
