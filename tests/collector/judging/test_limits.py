"""The limits on judging a record: exceptions in Python code, elsewhere the process ends."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from collector.judging import limits
from collector.judging.limits import OutOfTime

ROOT = Path(__file__).parents[3]


@pytest.fixture
def _handlers() -> object:
    before = signal.getsignal(signal.SIGVTALRM)
    limits.limit_time()
    yield
    signal.signal(signal.SIGVTALRM, before)


def spin() -> None:
    while True:
        pass


@pytest.mark.usefixtures("_handlers")
def test_work_beyond_its_time_is_interrupted_and_the_next_is_not() -> None:
    for _ in range(3):
        with pytest.raises(OutOfTime):
            limits.within(spin, 0.02)
        assert limits.within(lambda: "done", 5.0) == "done"
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


@pytest.mark.usefixtures("_handlers")
def test_a_rule_cannot_catch_the_end_of_its_time() -> None:
    def stubborn() -> None:
        while True:
            with contextlib.suppress(Exception):
                spin()

    with pytest.raises(OutOfTime):
        limits.within(stubborn, 0.02)


def run(code: str) -> subprocess.CompletedProcess[bytes]:
    code = f"from collector.judging import limits\nlimits.install()\n{code}"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True)


def test_work_that_runs_no_python_ends_its_process() -> None:
    done = run("limits.within(lambda: sum(range(10**13)), 0.1)")
    assert done.returncode == -signal.SIGPROF


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is limited on Linux only")
def test_memory_is_limited() -> None:
    done = run(
        "x = bytearray(100 * 2**20)\ntry:\n  bytearray(2**30)\nexcept MemoryError:\n  exit(7)"
    )
    assert done.returncode == 7, done.stderr
