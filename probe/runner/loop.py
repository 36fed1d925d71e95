"""One run or repeated runs: lock, dependencies, run, upload, exit code.

The lock is held for each round and not between rounds, so that a user can start a run in between.
Records that a killed round was holding are kept first. A round whose consent is withdrawn keeps
nothing.
"""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe import paths, uuid7
from probe.client.context import ClientContext
from probe.client.spool_writer import Writer as SpoolWriter
from probe.config import Settings
from probe.errors import Exit, UserError, first
from probe.i18n import _, ngettext, reason
from probe.judge import RULESET, judge
from probe.metered import obstacle
from probe.model import Record
from probe.ordering import LIMITS
from probe.permission import ConsentEnded, Lost
from probe.report import unmeasured
from probe.report.console import Console
from probe.report.progress import progress_listener
from probe.runner.bugs import bug_reporter
from probe.runner.deadlines import Deadlines
from probe.runner.history import History
from probe.runner.jobs import JobList
from probe.runner.journal import Journal
from probe.runner.options import run_options
from probe.runner.output import RecordWriter, Sink
from probe.runner.profile import share_options
from probe.runner.record_builder import RunHeader
from probe.runner.results import Results
from probe.runner.run import Run
from probe.runner.run_spec import RunResult, RunSpec
from probe.runner.wiring import run_dependencies, upload_spool
from probe.signals import Stop

if TYPE_CHECKING:
    from probe.report.textfile import Collected

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
    renew: Callable[[], JobList] | None = None,
) -> Exit:
    """One round, or with `every` rounds until a stop; the exit code of the last one.

    Args:
        renew: Finds the jobs of another round: lists may have newer versions by then.
    """
    every = context.settings.every
    lock = paths.run_lock(context.state)
    while True:
        context.permission.check()
        # A single run looked already, before it fetched any list.
        reason = None if every is None else await asyncio.to_thread(obstacle, context.settings)
        if reason is not None:
            console.warn(reason)
            code = Exit.DONE
        elif lock.acquire():
            try:
                await _begin_output(sink, console, stop)
                spec = _run_spec(context, jobs, began)
                code = await _round(context, spec, sink, console=console, stop=stop)
                if jobs.left_out_line is not None:
                    console.note(jobs.left_out_line)
            finally:
                lock.release()
        else:
            console.warn(
                _("another run is active (it holds {file})").format(file=context.state / paths.LOCK)
            )
            code = Exit.LOCKED
        if every is None or stop.asked:
            return code
        pause = began + every * random.uniform(1 - _JITTER, 1 + _JITTER) - time.monotonic()  # noqa: S311 - no secret
        if await stop.wait(max(pause, 1.0)):
            return code
        began = time.monotonic()
        context.permission.check()
        jobs = jobs if renew is None else await _renewed(renew, jobs)


async def _renewed(renew: Callable[[], JobList], before: JobList) -> JobList:
    """The jobs of another round; the same as before where a list has become unusable."""
    try:
        return await asyncio.to_thread(renew)
    except UserError:
        return before


async def _begin_output(sink: Sink, console: Console, stop: Stop) -> None:
    """Open the output once the lock is held: a run that is refused must touch no file."""
    try:
        note = await sink.begin(stop)
    except OSError as error:
        raise UserError(f"-o {console.output}: {_(error.strerror or '')}") from error
    if note:
        console.warn(note)


async def _round(
    context: ClientContext, spec: RunSpec, sink: Sink, *, console: Console, stop: Stop
) -> Exit:
    """One round. When the consent ends meanwhile, it keeps nothing and raises `ConsentEnded`."""
    spool_writer = context.spool.writer([one.url for one in context.collectors])
    results = Results(context.state)
    collected = _collected(context.settings)

    def show(record: Record) -> None:
        console.show_record(record)
        if collected is not None:
            collected.take(record)

    writer = RecordWriter(
        sink,
        (spool_writer, results),
        Journal(context.state),
        show=show,
        warn=console.warn,
    )
    lost = Lost.ROUND
    try:
        result = await _recorded(context, spec, writer, spool_writer, console=console, stop=stop)
        _tell_unmeasured(result.record, console)
        console.table(result.record)
        problems = await _published(context, spec, collected, result)
        for problem in problems:
            console.warn(problem)
        # Trimming may fail on a full disk; the user was warned of that already.
        with suppress(OSError):
            results.trim()
            if (dropped := context.spool.trim()).records:
                console.warn(str(dropped))
        lost = Lost.UNSENT
        complete = await _upload(context, spec, console, stop)
    except (asyncio.CancelledError, ConsentEnded):
        if context.permission.stands:
            raise
        for error in _discard(context, spec, sink, spool_writer):
            console.warn(_not_removed(error))
        raise ConsentEnded(lost) from None
    facts = result.record.facts
    skipped = sum(unmeasured.counts(facts).values()) if facts is not None else 0
    found = writer.outcomes | Counter(unmeasured=skipped)
    codes = {
        Exit.BUG: bool(result.bugs or writer.trouble or problems),
        Exit.OFFLINE: result.offline or _is_empty(result.record),
        Exit.MATCHED: any(found[outcome] for outcome in context.settings.fail_on),
        Exit.NOT_SENT: not complete,
    }
    return first(*(code for code, applies in codes.items() if applies))


def _collected(settings: Settings) -> "Collected | None":
    """What is kept for the text file, where one is wanted."""
    if settings.textfile is None:
        return None
    from probe.report.textfile import Collected

    return Collected()


async def _published(
    context: ClientContext, spec: RunSpec, collected: "Collected | None", result: RunResult
) -> list[str]:
    """Write the text file and tell changes, where that is wanted; return what did not work."""
    settings = context.settings
    if settings.textfile is None and not settings.notify:
        return []
    from probe.runner.after_run import publish

    return await publish(
        settings,
        context.state,
        collected,
        result.record,
        unlisted=spec.unlisted,
        offline=result.offline,
    )


async def _recorded(
    context: ClientContext,
    spec: RunSpec,
    writer: RecordWriter,
    spool_writer: SpoolWriter,
    *,
    console: Console,
    stop: Stop,
) -> RunResult:
    """Measure, and write the records; all of it under one consent."""
    try:
        recovered = writer.recover(lambda record: replace(record, verdict=judge(record)))
        if recovered:
            console.note(
                ngettext(
                    "{number} record that an earlier run could not keep (it was killed, or the"
                    " disk was full) is kept now",
                    "{number} records that an earlier run could not keep (it was killed, or the"
                    " disk was full) are kept now",
                    recovered,
                ).format(number=recovered)
            )
        result = await _measure(context, spec, writer, console=console, stop=stop)
        context.permission.check()
        writer.finish_output()
        await writer.flushed()
    finally:
        writer.close()
        spool_writer.close()
    return result


def _not_removed(error: OSError) -> str:
    warning = _("a file of this round could not be removed; delete it yourself: {file} ({reason})")
    return warning.format(file=error.filename, reason=reason(str(error.strerror)))


def _discard(
    context: ClientContext, spec: RunSpec, sink: Sink, spool_writer: SpoolWriter
) -> Iterator[OSError]:
    """Remove what a round kept: the output file's records, spool, results and journal.

    Yields:
        Why a file stays.
    """
    removals: tuple[Callable[[], object], ...] = (
        sink.discard,
        spool_writer.discard,
        lambda: Results(context.state).discard(spec.header.run),
        Journal(context.state).clear,
    )
    for remove in removals:
        try:
            remove()
        except OSError as error:
            yield error


async def _measure(
    context: ClientContext, spec: RunSpec, writer: RecordWriter, *, console: Console, stop: Stop
) -> RunResult:
    configured = share_options(spec.shares, context.settings.options)
    async with (
        run_dependencies(context) as dependencies,
        run_options(configured, spec.jobs, dependencies, context.state) as options,
        dependencies.session() as session,
    ):
        resolver_asn = await dependencies.networks.asn_of(session.net(0.0).resolvers[0].address)
        header = replace(spec.header, resolver_asn=resolver_asn)
        with progress_listener(quiet=console.quiet) as progress:
            run = Run(
                replace(spec, header=header),
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
        shares=jobs.profile.shares if jobs.profile is not None else {},
        # A control is outside the censor's reach: slow pages there need no explanation.
        follow_up=settings.role == "probe",
        unlisted=jobs.unlisted,
    )


def _tell_unmeasured(run: Record, console: Console) -> None:
    """Say how many targets were not measured, where the table does not say it."""
    line = unmeasured.sentence(run.facts) if run.facts is not None else None
    if line is not None and not console.wants_table:
        console.note(line)


def _is_empty(run: Record) -> bool:
    """Whether time or bytes were spent before anything was measured."""
    facts = run.facts
    return facts is not None and not facts.measured and facts.ended in {"time", "bytes"}


async def _upload(context: ClientContext, spec: RunSpec, console: Console, stop: Stop) -> bool:
    """Whether everything that was to be uploaded was."""
    complete = True
    if context.collectors and context.settings.upload:
        longest = _STOPPED_UPLOAD if stop.asked else _LONGEST_UPLOAD
        summary = await upload_spool(context, min(spec.deadlines.left, longest))
        complete = summary.complete
        for line in summary.refusals:
            console.warn(line)
        for problem in summary.problems:
            console.warn(_("not uploaded, kept for later: {problem}").format(problem=problem))
    if lost := context.spool.save_memory([one.url for one in context.collectors]):
        warning = _("{number} records are neither saved nor sent: the disk refuses them")
        console.warn(warning.format(number=lost))
    return complete
