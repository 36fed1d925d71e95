"""A process that judges what waits: started by the collector, ended with it.

Rule: it takes lines on its standard input as signs that something waits, ends when that input ends,
and says what it did in reports on its standard output. Its memory and the time for a record are
limited, and it needs nothing of the network but the store.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from collector import log_lines, target_labels
from collector.judging import limits, reports
from collector.judging.reports import Report
from collector.judging.work import REPORT_SECONDS, Judging
from collector.record_row import Judge
from collector.store import StoreError, StoreUnavailable, open_store
from probe.certificates.roots import Roots
from probe.judge import judge as default_judge

T = TypeVar("T")

STORE = "QAZCOLLECTOR_STORE"
# Without a sign too: another collector of a shared store may have ended with work in hand.
POLL_SECONDS = 1.0
WAIT_SECONDS = (0.5, 30.0)
# Where processors are scarce, batches are acknowledged before others are judged.
NICE = 5

log = logging.getLogger("qazcollector")


class _Output:
    """The reports of this process, and when the last one was sent."""

    def __init__(self) -> None:
        self.sent = time.monotonic()

    def send(self, report: Report) -> None:
        self.sent = time.monotonic()
        sys.stdout.buffer.write(reports.encode(report) + b"\n")
        sys.stdout.buffer.flush()


async def _run_within(work: Callable[[], T]) -> T:
    return limits.within(work, limits.RECORD_SECONDS)


async def run(holder: str, targets: Sequence[str], judge: Judge, only: str = "") -> None:
    """Judge until the input ends; with `only` what one key sent."""
    labels, _ = target_labels.load(targets)
    store = await open_store(os.environ[STORE])
    try:
        output = _Output()
        judging = Judging(
            store,
            holder,
            labels=labels,
            judge=judge,
            runner=_run_within,
            report=output.send,
            roots=Roots.mozilla(),
            only=only,
        )
        limits.install()
        output.send(Report())
        woken = asyncio.Event()
        ended = asyncio.create_task(_read_input(judging, woken))
        await _judge_all(judging, woken, output)
        await ended
        await judging.stop()
    finally:
        await store.close()


async def _judge_all(judging: Judging, woken: asyncio.Event, output: _Output) -> None:
    failures = 0
    while not judging.stopping:
        woken.clear()
        try:
            found = await judging.step()
            failures = 0
        except StoreUnavailable as error:
            log.warning("%s", error)
            failures += 1
            found = False
        if time.monotonic() - output.sent > REPORT_SECONDS:
            output.send(Report())
        if not found:
            least, most = WAIT_SECONDS
            pause = min(most, least * 2**failures) if failures else POLL_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), pause)


async def _read_input(judging: Judging, woken: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        woken.set()
    judging.stopping = True
    woken.set()


def main(judge: Judge = default_judge) -> None:
    """Judge until the input ends; exit 2 when the store or the lists cannot be read."""
    parser = argparse.ArgumentParser(prog="qazcollector-judging", description=__doc__)
    parser.add_argument("--holder", required=True)
    parser.add_argument("--target-list", action="append", default=[])
    parser.add_argument("--only", default="", help="the key whose batches it judges")
    options = parser.parse_args()
    # A terminal sends them to every process; the collector ends this one by its input.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    log_lines.install()
    os.nice(NICE)
    try:
        asyncio.run(run(options.holder, options.target_list, judge, options.only))
    except (StoreError, BrokenPipeError) as error:
        sys.stderr.write(f"qazcollector: judging: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
