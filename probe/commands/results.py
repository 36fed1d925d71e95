"""`qazprobe results`: list, show, report and export what was measured here."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from probe import atomic_files, paths
from probe.errors import UserError
from probe.escape import cell, plain
from probe.model import Outcome, Record
from probe.report.explain import Explanation, explain, place
from probe.runner.results import (
    RecordHeader,
    Results,
    ResultsError,
    RunSummary,
    decoded,
    find,
    find_run,
    lines,
    summaries,
)

T = TypeVar("T")
_OUTCOMES = click.Choice([one.value for one in Outcome])
_COLUMNS = (
    "id",
    "run",
    "started_at",
    "experiment",
    "input",
    "category",
    "country",
    "asn",
    "network",
    "region",
    "outcome",
    "mechanisms",
    "stage",
    "confidence",
    "rules",
    "reason",
    "lab",
)
_COLOURS = {"ok": "green", "blocked": "red", "intercepted": "magenta", "throttled": "yellow"}
_files = click.option(
    "--file",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Read records from this file instead of what is kept here.",
)


@click.group()
def command() -> None:
    """Look at what was measured on this machine.

    \b
    qazprobe results list                     every run, newest first
    qazprobe results show meduza.io           one site, explained step by step
    qazprobe results show URL --pem certs/    and its certificates as files
    qazprobe results report --html FILE       one page to give to somebody
    qazprobe results export --format csv      everything, for a spreadsheet
    """  # noqa: D301 - click reads \b as: keep these lines


@command.command("list")
@_files
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each run.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many runs."
)
def list_(*, files: tuple[Path, ...], as_json: bool, limit: int) -> None:
    """List runs, newest first, and what each came to."""
    found = _guarded(lambda: summaries(_kept(files)))[:limit]
    if not found:
        click.echo(_nothing(files), err=True)
    for one in found:
        click.echo(_as_json(one) if as_json else _as_line(one))


@command.command("show")
@click.argument("what", metavar="RUN|ID|URL")
@_files
@click.option("--json", "as_json", is_flag=True, help="The records themselves.")
@click.option(
    "--pem", type=click.Path(path_type=Path, file_okay=False), help="Write certificates here."
)
def show(*, what: str, files: tuple[Path, ...], as_json: bool, pem: Path | None) -> None:
    """Explain one record (by its id, URL or host), or list one run (by its id, or `last`)."""
    kept = _kept(files)
    run = _guarded(lambda: find_run(kept, what))
    if run is not None:
        _tell_run(kept, run, as_json=as_json)
        return
    record = _guarded(lambda: find(kept, what))
    if as_json:
        click.echo(_record_json(record))
    else:
        _tell(explain(record))
    if pem is not None:
        _certificates(record, kept, pem, quiet=as_json)


def _nothing(files: tuple[Path, ...]) -> str:
    if files:
        return f"{', '.join(map(str, files))}: no records in it"
    return "nothing was measured yet; begin with: qazprobe run"


def _tell_run(kept: list[Path], run: str, *, as_json: bool) -> None:
    """Every record of a run; to a person the run's own says nothing."""
    told = False
    for brief, line in lines(kept):
        if brief.run == run and (as_json or brief.experiment != "run"):
            told = True
            click.echo(_ascii(line) if as_json else _brief(brief))
    if not told:
        click.echo("nothing was judged in this run", err=True)


@command.command("report")
@click.option(
    "--html",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write the page there.",
)
@click.option("--run", "runs", multiple=True, help="Only this run (id or `last`).")
@_files
def report(*, path: Path, runs: tuple[str, ...], files: tuple[Path, ...]) -> None:
    """Write one self-contained HTML page: what was found, and the evidence."""
    from probe.report.report import html

    records = tuple(_records(_chosen(_kept(files), runs, ())))
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    atomic_files.write(path.absolute(), html(records, made=made).encode("utf-8", "replace"))
    click.echo(str(path))


@command.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(("jsonl", "csv")),
    default="jsonl",
    help="Whole records, or one line of facts each.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("-"), help="There, not stdout."
)
@click.option("--run", "runs", multiple=True, help="Only this run (id or `last`).")
@click.option("--outcome", "outcomes", type=_OUTCOMES, multiple=True, help="Only this outcome.")
@_files
def export(
    *,
    form: str,
    output: Path,
    runs: tuple[str, ...],
    outcomes: tuple[str, ...],
    files: tuple[Path, ...],
) -> None:
    """Write records out: whole (jsonl), or one line of facts each (csv)."""
    chosen = _chosen(_kept(files), runs, outcomes)
    rows = _csv(chosen) if form == "csv" else (line + b"\n" for _, line in chosen)
    if output == Path("-"):
        for row in rows:
            sys.stdout.buffer.write(row)
        return
    with output.open("wb") as file:
        file.writelines(rows)


def _kept(files: tuple[Path, ...]) -> list[Path]:
    return list(files) or Results(paths.find().state).files()


def _chosen(
    files: list[Path], runs: tuple[str, ...], outcomes: tuple[str, ...]
) -> Iterator[tuple[RecordHeader, bytes]]:
    """Records of these runs with these outcomes; of all when none is named."""
    wanted = {_run(files, run) for run in runs}
    for brief, line in lines(files):
        outcome = brief.verdict.outcome.value if brief.verdict else ""
        if (not runs or brief.run in wanted) and (not outcomes or outcome in outcomes):
            yield brief, line


def _run(files: list[Path], wanted: str) -> str:
    found = _guarded(lambda: find_run(files, wanted))
    if found is None:
        raise UserError(f"{plain(wanted)}: no such run; see: qazprobe results list")
    return found


def _records(chosen: Iterable[tuple[RecordHeader, bytes]]) -> Iterator[Record]:
    """Whole records; one that a later version wrote is said and passed over."""
    for brief, line in chosen:
        try:
            yield decoded(line)
        except ResultsError as error:
            click.echo(f"{plain(brief.id)}: {plain(str(error))}", err=True)


def _csv(chosen: Iterable[tuple[RecordHeader, bytes]]) -> Iterator[bytes]:
    yield _row(_COLUMNS)
    for brief, _ in chosen:
        if brief.verdict is not None:
            yield _row(_cells(brief))


def _row(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow([cell(one) for one in cells])
    return text.getvalue().encode("utf-8", "replace")


def _cells(brief: RecordHeader) -> Iterator[str]:
    verdict, vantage = brief.verdict, brief.vantage
    yield from (brief.id, brief.run, brief.started_at, brief.experiment, brief.input)
    yield from (brief.category or "", vantage.country or "", str(vantage.asn or ""))
    yield from (vantage.network or "", vantage.region or "")
    if verdict is not None:
        yield from (verdict.outcome, ";".join(verdict.mechanisms), verdict.stage)
        yield from (f"{verdict.confidence:g}", ";".join(hit.id for hit in verdict.rules))
        yield verdict.rules[0].reason if verdict.rules else ""
        yield "true" if brief.lab else "false"


def _as_line(one: RunSummary) -> str:
    counts = [f"{count} {outcome}" for outcome, count in one.outcomes.most_common()]
    where = place(one.vantage.country, one.vantage.asn, one.vantage.network)
    early = f"  (ended early: {one.ended})" if one.ended not in (None, "finished") else ""
    lab = "  (laboratory)" if one.lab else ""
    told = f"{one.started_at[:16]}  {where}  {', '.join(counts) or 'nothing judged'}"
    return plain(f"{one.run}  {told}{early}{lab}")


def _as_json(one: RunSummary) -> str:
    vantage = one.vantage
    body = {
        "run": one.run,
        "started_at": one.started_at,
        "country": vantage.country,
        "asn": vantage.asn,
        "network": vantage.network,
        "records": one.records,
        "outcomes": dict(one.outcomes),
        "ended": one.ended,
        "lab": one.lab,
    }
    return json.dumps(body)


def _brief(brief: RecordHeader) -> str:
    if brief.verdict is None:
        return plain(f"{'':13} {brief.experiment}  {brief.input}")
    verdict = brief.verdict
    why = verdict.rules[0].reason if verdict.rules else ""
    how = f" ({', '.join(verdict.mechanisms)})" if verdict.mechanisms else ""
    colour = _COLOURS.get(verdict.outcome)
    outcome = click.style(f"{verdict.outcome:13}", fg=colour)
    return f"{outcome} {plain(f'{brief.input}{how}  {why}')}"


def _tell(told: Explanation) -> None:
    click.secho(plain(told.headline, 500), bold=True)
    for section in told.sections:
        click.echo()
        click.secho(section.title, underline=True)
        for line in section.lines:
            click.echo(f"  {plain(line, 500)}")


def _certificates(record: Record, kept: list[Path], folder: Path, *, quiet: bool) -> None:
    from probe.report.certificate_export import export as write

    same = (pair for pair in lines(kept) if pair[0].input == record.input)
    written = write(record, _records(same), folder)
    if not quiet:
        click.echo()
        for path in written:
            click.echo(f"wrote {path}")
    if not written:
        click.echo("no certificate came in this record", err=True)


def _record_json(record: Record) -> str:
    from probe import codec

    return _ascii(codec.encode(record))


def _ascii(line: bytes) -> str:
    """The same JSON with everything but ASCII spelt out: it may be read on a terminal."""
    return json.dumps(json.loads(line), separators=(",", ":"))


def _guarded(action: Callable[[], T]) -> T:
    """What is not there is one line, not a traceback."""
    try:
        return action()
    except ResultsError as error:
        raise UserError(plain(str(error))) from error
