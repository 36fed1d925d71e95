"""`qazprobe results`: list, explain, report and export the results kept on this machine."""

import errno
import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import click

from probe import i18n, user_files
from probe.commands import results_csv, results_diff, results_publish
from probe.commands.results_chosen import (
    choose,
    decoded_records,
    guarded,
    kept_files,
    no_run,
)
from probe.config import duration
from probe.errors import Exit, UserError
from probe.escape import plain
from probe.i18n import _
from probe.model import Outcome, Record
from probe.report.explain import Explanation, Section, explain, network_label
from probe.report.glossary import WORDS, counted, word
from probe.report.names import answers_to, host_of_or_none, shown_url
from probe.runner.results import (
    RunSummary,
    find,
    find_run,
    lines,
    summaries,
)
from probe.translated_help import SummarisedGroup

T = TypeVar("T")
_OUTCOMES = click.Choice([one.value for one in Outcome])
_files = click.option(
    "--file",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Read records from this file instead of the results kept here.",
)


@click.group(cls=SummarisedGroup)
def command() -> None:
    """List, explain, report and export the results of this machine.

    \b
    qazprobe results list                   every run, newest first
    qazprobe results show meduza.io         one site, explained step by step
    qazprobe results show URL --pem certs   the same, with certificates as files
    qazprobe results diff                   what changed since the run before
    qazprobe results report --html FILE     one self-contained page to share
    qazprobe results export --format csv    all results, for a spreadsheet
    """  # noqa: D301 - \b tells click to keep these lines


@command.command("list")
@_files
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    default=20,
    show_default=True,
    help="List at most this many runs.",
)
def list_(*, files: tuple[Path, ...], as_json: bool, limit: int) -> None:
    """List runs, newest first, with the number of each outcome."""
    found = guarded(lambda: summaries(kept_files(files)))[:limit]
    if not found:
        named = _("{files}: no records").format(files=", ".join(map(str, files)))
        none = _("nothing was measured yet; begin with: {command}")
        click.echo(named if files else none.format(command="qazprobe run"), err=True)
    for one in found:
        click.echo(_as_json(one) if as_json else _as_line(one))


@command.command("show")
@click.argument("what", metavar="[RUN|ID|URL]", default="last")
@_files
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.option(
    "--pem",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write the certificates to this folder.",
)
def show(*, what: str, files: tuple[Path, ...], as_json: bool, pem: Path | None) -> None:
    """Explain one record (by id, URL or host), or list one run (by id; by default the last)."""
    kept = kept_files(files)
    run = guarded(lambda: find_run(kept, what))
    if run is None and what == "last":
        raise UserError(no_run(what))
    if run is not None:
        _show_run(kept, run, as_json=as_json)
        return
    record = guarded(lambda: find(kept, what))
    if as_json:
        from probe import codec

        click.echo(_ascii(codec.encode(record)))
    else:
        _show(explain(record))
        _show_section(_others(kept, record))
    if pem is not None:
        _certificates(record, kept, pem, quiet=as_json)


def _show_run(kept: list[Path], run: str, *, as_json: bool) -> None:
    """Print every record of a run as JSON, or the table of its targets."""
    found = [pair for pair in lines(kept) if pair[0].run == run]
    if as_json:
        for _header, line in found:
            click.echo(_ascii(line))
        return
    from probe.report.table import render

    headers = [header for header, _line in found]
    if not any(header.verdict for header in headers):
        click.echo(_("this run has no results"), err=True)
        return
    facts = next((header.facts for header in headers if header.facts), None)
    click.echo(render(headers, facts, everything=True), nl=False)


@command.command("report")
@click.option(
    "--html",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write the page to this file.",
)
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="RUN",
    help="This run (id or `last`).  [default: last]",
)
@click.option(
    "--since",
    metavar="DATE|DURATION",
    help="All runs since a date (2026-11-01) or of the last 12h, 7d …",
)
@click.option("--lang", type=click.Choice(i18n.LANGUAGES), help="Language of the page.")
@_files
def report(
    *,
    path: Path,
    runs: tuple[str, ...],
    since: str | None,
    lang: str | None,
    files: tuple[Path, ...],
) -> None:
    """Write one self-contained HTML page with the findings and the evidence of a run."""
    if runs and since:
        raise UserError(_("--run and --since: choose one"))
    chosen = choose(kept_files(files), runs or (() if since else ("last",)), ())
    earliest = _moment(since) if since else ""
    records = tuple(decoded_records(pair for pair in chosen if pair[0].started_at >= earliest))
    if not records:
        click.echo(_("no records: the page is empty"), err=True)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    _write("--html", path, [_page(records, made, lang).encode("utf-8", "replace")])
    click.echo(str(path))


def _page(records: tuple[Record, ...], made: str, lang: str | None) -> str:
    """Return the report in this language, by default the user's."""
    from probe.report.report import html

    before = i18n.current()
    i18n.use(lang or before)
    try:
        return html(records, made=made)
    finally:
        i18n.use(before)


def _moment(text: str) -> str:
    """Return a date, a time or `so long ago` as records state times, to compare with them."""
    try:
        if re.fullmatch(r"[0-9.]+[smhd]", text):
            moment = datetime.now(UTC) - timedelta(seconds=duration(text))
        else:
            moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        expected = _("expected a date such as 2026-11-01, or a duration such as 12h or 7d")
        raise UserError(f"--since {plain(text, 40)}: {expected}") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


@command.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(("jsonl", "csv", "ooni")),
    default="jsonl",
    help="jsonl: complete records; csv: one row for each; ooni: measurements in OONI's format.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    default=Path("-"),
    help="Write to this file, not to stdout. With ooni also a folder, laid out as OONI's buckets.",
)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Only this run (id or `last`).")
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
    """Export records: complete (jsonl), one row for each (csv), or in OONI's format (ooni)."""
    chosen = choose(kept_files(files), runs, outcomes)
    if form == "ooni":
        from probe.commands import results_ooni

        results_ooni.export(chosen, output)
        return
    rows = results_csv.rows(chosen) if form == "csv" else (line + b"\n" for _header, line in chosen)
    if output == Path("-"):
        for row in rows:
            sys.stdout.buffer.write(row)
        return
    _write("-o", output, rows)


def _write(option: str, path: Path, parts: Iterable[bytes]) -> None:
    try:
        user_files.write(path, parts)
    except OSError as error:
        code = Exit.BUG if error.errno == errno.ENOSPC else Exit.USAGE
        raise UserError(f"{option} {path}: {_(error.strerror or '')}", code) from error


def _as_line(one: RunSummary) -> str:
    counts = [_counted(outcome, count) for outcome, count in one.outcomes.most_common()]
    where = network_label(one.vantage.country, one.vantage.asn, one.vantage.network)
    early = "  " + _("(ended early: {reason})").format(reason=one.ended)
    early = early if one.ended not in (None, "finished") else ""
    lab = "  " + _("(laboratory)") if one.lab else ""
    text = f"{one.started_at[:16]}  {where}  {', '.join(counts) or _('no results')}"
    return plain(f"{one.run}  {text}{early}{lab}")


def _counted(outcome: str, count: int) -> str:
    return next((counted(count, known) for known in WORDS if known == outcome), outcome)


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


def _show(explanation: Explanation) -> None:
    click.secho(plain(explanation.headline, 500), bold=True)
    for section in explanation.sections:
        _show_section(section)


def _show_section(section: Section) -> None:
    if not section.lines:
        return
    click.echo()
    click.secho(section.title, underline=True)
    for line in section.lines:
        click.echo(f"  {plain(line, 500)}")


def _others(kept: list[Path], record: Record) -> Section:
    """Return what the other experiments of this run saw at the same site."""
    site = host_of_or_none(record.input) or record.input
    found = (
        f"{one.experiment}  {word(one.verdict.outcome)}  {shown_url(one.input)}  {one.id}"
        for one, _line in lines(kept)
        if one.run == record.run and one.id != record.id and one.verdict is not None
        if site and answers_to(one.input, frozenset({site}))
    )
    return Section(_("The same site in this run"), tuple(found))


def _certificates(record: Record, kept: list[Path], folder: Path, *, quiet: bool) -> None:
    from probe.report.certificate_export import export as write

    same = (pair for pair in lines(kept) if pair[0].input == record.input)
    written = write(record, decoded_records(same), folder)
    if not quiet:
        click.echo()
        for path in written:
            click.echo(_("wrote {path}").format(path=path))
    if not written:
        click.echo(_("this record has no certificate"), err=True)


def _ascii(line: bytes) -> str:
    """Return the same JSON with non-ASCII characters escaped, safe for a terminal."""
    return json.dumps(json.loads(line), separators=(",", ":"))


command.add_command(results_diff.command)
command.add_command(results_publish.command)
