"""One run or repeated runs: lock, dependencies, run, upload, exit code.

The lock is held for each round and not between rounds, so that a user can start a run in between.
Records that a killed round was holding are kept first.
"""

import random
import secrets
import time
from contextlib import suppress

from msgspec.structs import replace

from probe import paths, uuid7
from probe.client.context import ClientContext
from probe.errors import Exit, UserError, first
from probe.judge import RULESET, judge
from probe.ordering import LIMITS
from probe.report.console import Console
from probe.report.progress import progress_listener
from probe.runner.bugs import bug_reporter
from probe.runner.deadlines import Deadlines
from probe.runner.history import History
from probe.runner.jobs import JobList
from probe.runner.journal import Journal
from probe.runner.options import run_options
from probe.runner.output import RecordWriter, Sink
from probe.runner.record_builder import RunHeader
from probe.runner.results import Results
from probe.runner.run import Run, RunResult, RunSpec
from probe.runner.wiring import run_dependencies, upload_spool
from probe.signals import Stop

# Seconds for the upload, after Ctrl-C and otherwise.
_STOPPED_UPLOAD = 3.0
_LONGEST_UPLOAD = 60.0
_JITTER = 0.05


async def repeat(
    context: ClientContext,
    jobs: JobList,
    sink: Sink,
    *,
    console: Console,
    stop: Stop,
    began: float,
) -> Exit:
    """One round, or with `every` rounds until a stop; the exit code of the last one."""
    every = context.settings.every
    lock = paths.run_lock(context.state)
    while True:
        if lock.acquire():
            try:
                await _begin_output(sink, console, stop)
                spec = _run_spec(context, jobs, began)
                code = await _round(context, spec, sink, console=console, stop=stop)
            finally:
                lock.release()
        else:
            console.warn(f"another run is active (it holds {context.state / paths.LOCK})")
            code = Exit.LOCKED
        if every is None or stop.asked:
            return code
        pause = began + every * random.uniform(1 - _JITTER, 1 + _JITTER) - time.monotonic()  # noqa: S311 - no secret
        if await stop.wait(max(pause, 1.0)):
            return code
        began = time.monotonic()


async def _begin_output(sink: Sink, console: Console, stop: Stop) -> None:
    """Open the output once the lock is held: a run that is refused must touch no file."""
    try:
        note = await sink.begin(stop)
    except OSError as error:
        raise UserError(f"-o {console.output}: {error.strerror}") from error
    if note:
        console.warn(note)


async def _round(
    context: ClientContext, spec: RunSpec, sink: Sink, *, console: Console, stop: Stop
) -> Exit:
    spool_writer = context.spool.writer([one.url for one in context.collectors])
    results = Results(context.state)
    writer = RecordWriter(
        sink,
        (spool_writer, results),
        Journal(context.state),
        show=console.show_record,
        warn=console.warn,
    )
    try:
        recovered = writer.recover(lambda record: replace(record, verdict=judge(record)))
        if recovered:
            console.note(f"{recovered} records of a run that was killed are kept now")
        result = await _measure(context, spec, writer, console=console, stop=stop)
        writer.finish_output()
        await writer.flushed()
    finally:
        writer.close()
        spool_writer.close()
    console.table(result.record)
    # Trimming may fail on a full disk; the user was warned of that already.
    with suppress(OSError):
        results.trim()
        if (dropped := context.spool.trim()).records:
            console.warn(str(dropped))
    complete = await _upload(context, spec, console, stop)
    codes = {
        Exit.BUG: bool(result.bugs or writer.trouble),
        Exit.OFFLINE: result.offline,
        Exit.MATCHED: any(writer.outcomes[outcome] for outcome in context.settings.fail_on),
        Exit.NOT_SENT: not complete,
    }
    return first(*(code for code, applies in codes.items() if applies))


async def _measure(
    context: ClientContext, spec: RunSpec, writer: RecordWriter, *, console: Console, stop: Stop
) -> RunResult:
    async with (
        run_dependencies(context) as dependencies,
        run_options(context.settings.options, spec.jobs, dependencies, context.state) as options,
        dependencies.session() as session,
    ):
        with progress_listener(quiet=console.quiet) as progress:
            run = Run(
                spec,
                dependencies,
                session,
                options=options,
                history=History(Results(context.state), spec.header.run),
                writer=writer,
                progress=progress,
                stop=stop,
                report_bug=bug_reporter(console),
            )
            await run.measure()
            return await run.judge()


def _run_spec(context: ClientContext, jobs: JobList, began: float) -> RunSpec:
    settings = context.settings
    limits = LIMITS[settings.profile]
    seconds = settings.max_time or limits.seconds
    uploads = bool(context.collectors) and settings.upload
    return RunSpec(
        jobs=jobs.jobs,
        header=RunHeader(uuid7.new(), settings.lab, RULESET),
        deadlines=Deadlines(began, seconds, uploads=uploads),
        bytes=settings.max_bytes or limits.bytes,
        seed=secrets.randbits(32) if settings.seed is None else settings.seed,
        concurrency=settings.concurrency,
        profile=settings.profile,
        # A control is outside the censor's reach: slow pages there need no explanation.
        follow_up=settings.role == "probe",
    )


async def _upload(context: ClientContext, spec: RunSpec, console: Console, stop: Stop) -> bool:
    """Whether everything that was to be uploaded was."""
    if not context.collectors or not context.settings.upload:
        return True
    longest = _STOPPED_UPLOAD if stop.asked else _LONGEST_UPLOAD
    problems = await upload_spool(context, min(spec.deadlines.left, longest))
    for problem in problems:
        console.warn(f"not uploaded, kept for later: {problem}")
    return not problems
