"""A repeating run with real sockets and a real collector: consent that ends, ends everything."""

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A machine with no network but loopback: its targets and its collector are the only ones there.
ALONE = {"ANCHORS": "none", "RESOLVERS": "none", "RESOLVER": "127.0.0.1:9", "LAB": "true"}


class Site(BaseHTTPRequestHandler):
    """A site whose `/slow` answers only when it is told to."""

    hold = threading.Event()
    asked = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.asked.set()
            self.hold.wait(30)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        return


@dataclass
class Machine:
    """A volunteer's machine, the sites it measures, and its collector."""

    folder: Path
    port: int
    collector: str
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def fast(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def slow(self) -> str:
        return f"http://127.0.0.2:{self.port}/slow"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "probe.cli", *words]

    def environment(self) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("QAZPROBE_")}
        settings = {f"QAZPROBE_{name}": text for name, text in ALONE.items()}
        where = {"QAZPROBE_HOME": str(self.home), "HOME": str(self.folder), "PATH": "/nowhere"}
        return kept | settings | where | {"PYTHONPATH": str(ROOT), "LANGUAGE": "en"}

    def call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def repeat(self, urls: Sequence[str], every: str) -> "subprocess.Popen[str]":
        words = ("run", *urls, "-e", "web", "--every", every, "--collector", self.collector)
        process = subprocess.Popen(
            self.command(*words, "-o", str(self.folder / "out.jsonl")),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def at_the_collector(self) -> dict[str, int]:
        """The rows of our records, keys and heartbeats."""
        with contextlib.closing(sqlite3.connect(self.folder / "store.sqlite3")) as store:
            count = "SELECT count(*) FROM {}"
            tables = ("measurement", "probe", "beat WHERE key_id <> ''")  # '': the collector's own
            found = [store.execute(count.format(table)).fetchone()[0] for table in tables]
        return dict(zip(("measurement", "probe", "beat"), found, strict=True))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    Site.hold.clear()
    Site.asked.clear()
    sites = ThreadingHTTPServer(("0.0.0.0", 0), Site)
    threading.Thread(target=sites.serve_forever, daemon=True).start()
    port = free_port()
    listen = ("--listen", f"127.0.0.1:{port}", "--store", f"sqlite:///{tmp_path}/store.sqlite3")
    collect = [sys.executable, "-c", "from collector.cli import main; main()"]
    serve = [*collect, "serve", *listen, "--enrolment", "open"]
    with (tmp_path / "collector.log").open("w") as log:
        collector = subprocess.Popen([*serve, "--lab"], cwd=ROOT, stdout=log, stderr=log)
    made = Machine(tmp_path, sites.server_port, f"http://127.0.0.1:{port}")
    try:
        until(lambda: answers(port))
        assert made.call("consent", "--yes", "--heartbeat").returncode == 0
        yield made
    finally:
        Site.hold.set()
        for process in made.started:
            process.kill()
            process.communicate()
        collector.terminate()
        collector.wait(timeout=20)
        sites.shutdown()
        sites.server_close()


def ended(process: "subprocess.Popen[str]", within: float) -> str:
    began = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < within
    assert process.returncode == 2, err
    return err.splitlines()[-1]


def rounds(machine: Machine) -> list[str]:
    lines = (machine.folder / "out.jsonl").read_text().splitlines()
    return [record["run"] for record in map(json.loads, lines)]


def test_a_withdrawal_in_a_round_ends_it_and_nothing_of_it_is_sent(machine: Machine) -> None:
    running = machine.repeat((machine.fast, machine.slow), "1s")
    until(Site.asked.is_set)
    Site.hold.set()  # the first round ends
    until(lambda: machine.at_the_collector()["measurement"] == 3)
    Site.hold.clear()
    Site.asked.clear()
    until(Site.asked.is_set)  # the second round is under way
    before = machine.at_the_collector()
    assert before["beat"] == 1
    said = machine.call("consent", "--withdraw")
    assert (said.returncode, "Withdrawn" in said.stdout) == (0, True)
    assert ended(running, within=3.0).endswith("what this round had measured is discarded.")
    assert len(set(rounds(machine))) == 1
    assert len(list((machine.home / "results").iterdir())) == 1
    assert list((machine.home / "spool").glob("*.jsonl")) == []
    assert not (machine.home / "held.jsonl").exists()
    for words in (("upload", "--collector", machine.collector), ("run", machine.fast)):
        assert machine.call(*words).returncode == 2
    assert machine.at_the_collector() == before


@pytest.mark.parametrize("when", ["in a round", "between rounds"])
def test_after_erase_nothing_is_made_enrolled_or_sent_again(machine: Machine, when: str) -> None:
    urls = (machine.fast,) if when == "between rounds" else (machine.fast, machine.slow)
    running = machine.repeat(urls, "2s")
    if when == "between rounds":
        until(lambda: machine.at_the_collector()["measurement"] >= 4)
    else:
        until(Site.asked.is_set)
        Site.hold.set()
        until(lambda: machine.at_the_collector()["measurement"] == 3)
        Site.hold.clear()
        Site.asked.clear()
        until(Site.asked.is_set)
    assert machine.at_the_collector()["probe"] == 1
    said = machine.call("erase", "--yes")
    assert said.returncode == 0, said.stderr
    assert f"(process {running.pid}) to end" in said.stderr
    assert "your records were deleted" in said.stderr
    assert ended(running, within=1.0).startswith("qazprobe: Consent was withdrawn")
    gone = machine.at_the_collector()
    assert (gone["measurement"], gone["beat"]) == (0, 0)
    Site.hold.set()
    time.sleep(4)  # two rounds
    assert machine.at_the_collector() == gone
    assert not machine.home.exists()
