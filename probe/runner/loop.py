"""A run from lock to exit code, once or again and again.

The lock is held for each round and not between rounds, so that a person can look in between. What a
killed round was still holding is handed on first.
"""

import dataclasses
import random
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from probe import atomic_files, crash_log, uuid7
from probe.client.context import ClientContext
from probe.errors import Exit, first
from probe.judge import RULESET, judge
from probe.ordering import LIMITS, Job
from probe.report.console import Console
from probe.report.progress import progress_listener
from probe.runner.deadlines import Deadlines
from probe.runner.history import History
from probe.runner.jobs import JobList
from probe.runner.journal import Journal
from probe.runner.options import provided
from probe.runner.output import RecordWriter, Sink
from probe.runner.record_builder import RunHeader
from probe.runner.results import Results
from probe.runner.run import Run, RunResult, RunSpec
from probe.runner.wiring import kit, send
from probe.signals import Stop

LOCK = "run.lock"
# A person who pressed Ctrl-C waits for this much of sending, and no more.
_HASTY_UPLOAD = 3.0
_LONGEST_UPLOAD = 60.0
_JITTER = 0.05


async def repeat(
    outfit: ClientContext,
    assignment: JobList,
    sink: Sink,
    *,
    console: Console,
    stop: Stop,
    began: float,
) -> Exit:
    """Rounds until somebody stops us, or one when nothing else is wanted; the last one's code."""
    every = outfit.settings.every
    while True:
        code = await one_round(outfit, assignment, sink, console=console, stop=stop, began=began)
        if every is None or stop.asked:
            return code
        pause = began + every * random.uniform(1 - _JITTER, 1 + _JITTER) - time.monotonic()  # noqa: S311 - no secret
        if await stop.wait(max(pause, 1.0)):
            return code
        began = time.monotonic()


async def one_round(
    outfit: ClientContext,
    assignment: JobList,
    sink: Sink,
    *,
    console: Console,
    stop: Stop,
    began: float,
) -> Exit:
    """One round, under the lock."""
    lock = atomic_files.Lock(outfit.state / LOCK)
    if not lock.acquire():
        console.warn(f"another run is under way (it holds {outfit.state / LOCK})")
        return Exit.LOCKED
    try:
        return await _locked(outfit, assignment, sink, console=console, stop=stop, began=began)
    finally:
        lock.release()


async def _locked(
    outfit: ClientContext,
    assignment: JobList,
    sink: Sink,
    *,
    console: Console,
    stop: Stop,
    began: float,
) -> Exit:
    order = _order(outfit, assignment, began)
    writer = outfit.spool.writer([one.url for one in outfit.collectors])
    results = Results(outfit.state)
    outlet = RecordWriter(
        sink, (writer, results), Journal(outfit.state), seen=console.show_record, warn=console.warn
    )
    try:
        ending = await _measured(order, outfit, outlet, console=console, stop=stop)
        await outlet.flushed()
    finally:
        outlet.close()
        writer.close()
    console.table(ending.record)
    # Tidying may fail on a full disk; that was said already.
    with suppress(OSError):
        results.trim()
        if (dropped := outfit.spool.trim()).records:
            console.warn(dropped.told())
    unsent = await _upload(outfit, order, console, stop)
    return _exit(ending, outlet, outfit, unsent=unsent)


async def _measured(
    order: RunSpec, outfit: ClientContext, outlet: RecordWriter, *, console: Console, stop: Stop
) -> RunResult:
    left = outlet.hand_on_left_over(lambda record: replace(record, verdict=judge(record)))
    if left:
        console.note(f"{left} records of a run that was cut short are kept now")
    async with (
        kit(outfit) as tools,
        provided(order.options, order.jobs, tools, outfit.state) as provision,
        tools.session() as session,
    ):
        order = dataclasses.replace(order, options=provision.options)
        # A control has nothing to compare: nobody slows it.
        comparing = provision.comparing if outfit.settings.role == "probe" else None
        recall = History(Results(outfit.state), order.heading.run)
        with progress_listener(quiet=console.quiet) as watcher:
            run = Run(
                order,
                dataclasses.replace(tools, earlier=recall.earlier, comparing=comparing),
                session,
                outlet=outlet,
                watcher=watcher,
                stop=stop,
                bug=_bug_teller(console),
            )
            await run.measure()
            return await run.judge()


def _order(outfit: ClientContext, assignment: JobList, began: float) -> RunSpec:
    settings = outfit.settings
    limits = LIMITS[settings.profile]
    seconds = settings.max_time or limits.seconds
    return RunSpec(
        jobs=assignment.jobs,
        heading=RunHeader(uuid7.new(), settings.lab, RULESET),
        timetable=Deadlines(began, seconds, uploads=bool(outfit.collectors) and settings.upload),
        bytes=settings.max_bytes or limits.bytes,
        seed=secrets.randbits(32) if settings.seed is None else settings.seed,
        concurrency=settings.concurrency,
        profile=settings.profile,
        options=settings.options,
    )


async def _upload(outfit: ClientContext, order: RunSpec, console: Console, stop: Stop) -> bool:
    """Whether something was to be sent and was not."""
    if not outfit.collectors or not outfit.settings.upload:
        return False
    longest = _HASTY_UPLOAD if stop.asked else _LONGEST_UPLOAD
    problems = await send(outfit, min(order.timetable.left, longest))
    for problem in problems:
        console.warn(f"not uploaded, kept for later: {problem}")
    return bool(problems)


def _exit(ending: RunResult, outlet: RecordWriter, outfit: ClientContext, *, unsent: bool) -> Exit:
    matched = any(outlet.outcomes[outcome] for outcome in outfit.settings.fail_on)
    found = {
        Exit.BUG: bool(ending.bugs or outlet.trouble),
        Exit.OFFLINE: ending.offline,
        Exit.MATCHED: matched,
        Exit.NOT_SENT: unsent,
    }
    return first(*(code for code, holds in found.items() if holds))


def _bug_teller(console: Console) -> Callable[[Job, BaseException], None]:
    def tell(job: Job, error: BaseException) -> None:
        where = crash_log.save_traceback(error, job.url)
        console.warn(f"a bug of ours while looking at {job.url} ({type(error).__name__}); {where}")

    return tell
