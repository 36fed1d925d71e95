"""A run over real sockets keeps its time and byte budgets, and ends cleanly on a signal."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe import codec
from probe.lab.catalogue import catalogue
from probe.lab.harness import Harness
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.model import Record

SCENARIOS = ("tls.reset", "tls.drop_hello", "http.page_200", "innocent.fine")


@pytest.fixture(scope="module")
def testbed() -> Iterator[LoopbackTestbed]:
    wanted = [each for each in catalogue() if each.name in SCENARIOS]
    with LoopbackTestbed(wanted) as made:
        Harness(made).consent()
        yield made


class Volunteer:
    """A probe without a collector on loopback."""

    def __init__(self, testbed: LoopbackTestbed) -> None:
        self.testbed = testbed
        self.out = testbed.folder / "found.jsonl"

    def begin(self, *more: str) -> subprocess.Popen[str]:
        self.out.unlink(missing_ok=True)
        argv = Harness(self.testbed).probe_argv(self.testbed.urls(), self.out, "--no-upload", *more)
        argv += ["--control", "none"]
        env = {**os.environ, **Harness(self.testbed).probe_env()}
        return subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True)

    def run(self, *more: str) -> tuple[float, list[Record]]:
        started = time.monotonic()
        running = self.begin("--quiet", *more)
        _, err = running.communicate(timeout=60)
        assert (running.returncode, err) == (0, "")
        return time.monotonic() - started, self.records()

    def records(self) -> list[Record]:
        return [codec.decode(line) for line in self.out.read_bytes().splitlines()]


@pytest.fixture
def volunteer(testbed: LoopbackTestbed) -> Volunteer:
    return Volunteer(testbed)


def ended(records: list[Record]) -> str:
    facts = records[-1].facts
    assert facts is not None
    assert facts.measured + len(facts.skipped) == facts.targets
    return facts.ended


def spent(records: list[Record]) -> int:
    facts = records[-1].facts
    assert facts is not None
    return facts.bytes_in + facts.bytes_out


def test_a_byte_budget_is_kept_to_within_one_connection(volunteer: Volunteer) -> None:
    _, whole = volunteer.run()
    assert ended(whole) == "finished"
    budget = spent(whole) // 2
    _, records = volunteer.run("--max-bytes", str(budget))
    assert ended(records) == "bytes"
    largest = max(getattr(step, "bytes_in", 0) for record in whole for step in record.steps)
    assert budget <= spent(records) <= budget + max(largest, 32_000)


def test_a_time_budget_is_kept_to_within_a_second(volunteer: Volunteer) -> None:
    began = time.monotonic()
    volunteer.begin("--dry-run").communicate(timeout=60)
    startup = time.monotonic() - began  # before the probe's clock starts
    seconds, records = volunteer.run("--max-time", "5")
    assert seconds < 5 + 1 + startup
    assert ended(records) == "time"


def test_a_signal_leaves_whole_records(volunteer: Volunteer) -> None:
    running = volunteer.begin()
    deadline = time.monotonic() + 20
    partial = volunteer.out.with_name(f"{volunteer.out.name}.partial")
    while time.monotonic() < deadline and not _has_line(partial):
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=10)
    assert running.returncode == 0, err
    assert ended(volunteer.records()) == "interrupted"


def test_there_is_no_false_positive(volunteer: Volunteer) -> None:
    _, records = volunteer.run()
    found = {one.input: one.verdict.outcome for one in records if one.verdict}
    expected = {url: volunteer.testbed.expect(url).outcome for url in volunteer.testbed.urls()}
    interfered = {url for url, outcome in found.items() if outcome not in {"ok", "inconclusive"}}
    assert interfered <= {url for url, outcome in expected.items() if outcome != "ok"}
    assert set(found) == set(expected)


def _has_line(path: Path) -> bool:
    return path.exists() and b"\n" in path.read_bytes()
