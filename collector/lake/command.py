"""The commands `qazcollector lake …`: write files of what a store has, keep them, ask them."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from collector.admin.commands import (
    drop_old,
    output_file,
    parse_instant,
    quorum_option,
    retention_options,
    store_option,
    with_store,
)
from collector.settings import SettingsError
from probe.translated_help import SummarisedGroup

if TYPE_CHECKING:
    from collector.lake.engines import EngineName
    from collector.lake.rejudging import RejudgedUnit

F = TypeVar("F", bound=Callable[..., Any])


_EPILOG = "Without NAME and --sql it lists the questions with their parameters."


def lake_option(command: F) -> F:
    """The option that names the lake, the same for every command."""
    option = click.option(
        "--lake",
        "--to",
        "lake_",
        metavar="FOLDER|s3://…",
        envvar="QAZCOLLECTOR_LAKE",
        required=True,
        help="Where the lake is.",
    )
    return option(command)


_master_option = click.option(
    "--master",
    metavar="URL",
    default="local[*]",
    show_default=True,
    help="Spark's cluster, such as spark://HOST:7077.",
)


def _worker_options(command: F) -> F:
    """Who does the work: processes of this machine, or a cluster."""
    for option in (
        _master_option,
        click.option(
            "--processes",
            type=click.IntRange(1, 256),
            metavar="N",
            help="Processes of this machine. [its processors]",
        ),
        click.option(
            "--engine",
            "engine_",
            type=click.Choice(["local", "spark"]),
            default="local",
            show_default=True,
            help="Processes of this machine, or Apache Spark.",
        ),
    ):
        command = option(command)
    return command


@click.group(cls=SummarisedGroup)
def lake() -> None:
    """Keep years of measurements as Parquet files, and ask them with DuckDB or Spark."""


@lake.command()
@store_option
@lake_option
@click.option("--lab", is_flag=True, help="This is a laboratory's store.")
def write(url: str, lake_: str, lab: bool) -> None:  # noqa: FBT001 - click's way
    """Append what the store has got since the last time."""
    from collector.lake import writing
    from collector.lake.files import LakeFiles

    files, now = LakeFiles(lake_), time.time()
    told = progress("records")
    done = with_store(url, lambda store: writing.write(store, files, now=now, lab=lab, told=told))
    told(-1)
    click.echo(f"{done.records} records, {done.rows} rows in {done.parts} files")
    if done.erased:
        click.echo(f"{done.erased} records of erased keys removed")
    if done.unreadable:
        click.echo(f"the evidence of {done.unreadable} records is not readable", err=True)


@lake.command()
@retention_options
@lake_option
def retire(
    url: str, lake_: str, days: int, raw_days: int | None, *, compact: bool, trust_clock: bool
) -> None:
    """Drop old evidence and old records from the store, as far as this lake has them."""
    from collector.lake import checking
    from collector.lake.files import LakeFiles

    files = LakeFiles(lake_)
    drop_old(
        url,
        days,
        raw_days,
        compact=compact,
        trust_clock=trust_clock,
        upto=lambda store: checking.upto(files, store.collector_id),
    )


@lake.command()
@lake_option
def compact(lake_: str) -> None:
    """Make one file of each day and country that has several."""
    from collector.lake import rewriting
    from collector.lake.files import LakeFiles

    told = progress("files merged")
    gone = rewriting.compact(LakeFiles(lake_), told=told)
    told(-1)
    click.echo(f"{gone} files fewer")


@lake.command()
@lake_option
@click.option("--before", metavar="DAY", help="Drop what was measured before this day.")
@click.option("--evidence-before", metavar="DAY", help="Drop only steps and certificates.")
def prune(lake_: str, before: str | None, evidence_before: str | None) -> None:
    """Drop old measurements, or their evidence; events stay."""
    from collector.lake import rewriting
    from collector.lake.files import LakeFiles

    if not before and not evidence_before:
        raise SettingsError("lake prune: --before DAY or --evidence-before DAY expected")
    gone = rewriting.prune(
        LakeFiles(lake_), before=day_of(before), evidence_before=day_of(evidence_before)
    )
    click.echo(f"{gone} files dropped")


@lake.command()
@lake_option
def check(lake_: str) -> None:
    """Compare every file with the manifest: whether it is there, its size and its SHA-256."""
    from collector.lake import checking
    from collector.lake.files import LakeFiles

    faults = checking.faults(LakeFiles(lake_))
    for fault in faults:
        click.echo(fault)
    if faults:
        sys.exit(1)


@lake.command(epilog=_EPILOG)
@lake_option
@click.argument("name", required=False)
@click.option("--sql", metavar="SQL", help="Ask this instead of a named question.")
@click.option(
    "--engine",
    "engine_",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    show_default=True,
    help="DuckDB on this machine, or Apache Spark.",
)
@_master_option
@click.option(
    "--memory", metavar="SIZE", default="700MB", show_default=True, help="What DuckDB may use."
)
@click.option("--param", "given", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@click.option(
    "--format", "format_", type=click.Choice(["csv", "parquet"]), help="[by the name of the file]"
)
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write. [stdout]")
def query(  # noqa: PLR0917 - its options
    lake_: str,
    name: str | None,
    sql: str | None,
    engine_: "EngineName",
    master: str,
    memory: str,
    given: tuple[str, ...],
    format_: str | None,
    output: str,
) -> None:
    """Answer a named question, or one in SQL; without a name, list the questions."""
    from collector.lake import engines, questions
    from collector.lake.answers import written
    from collector.lake.files import LakeFiles

    if name is None and sql is None:
        for one in questions.questions().values():
            click.echo(f"{one.name}: {one.about}")
        return
    if name is not None and sql is not None:
        raise SettingsError("lake query: a NAME or --sql expected, not both")
    asked = questions.find(name) if name is not None else questions.question(sql or "")
    params = questions.filled(asked, dict(_param(one) for one in given))
    form = format_ or ("parquet" if output.endswith(".parquet") else "csv")
    if form == "parquet" and output == "-":
        raise SettingsError("--format parquet needs -o FILE")
    with engines.engine(engine_, LakeFiles(lake_), memory=memory, master=master) as opened:
        rows = opened.answer(asked, params)
        with output_file(output) as write_to:
            for piece in written(rows, form):
                write_to(piece)


@lake.command()
@lake_option
@_worker_options
def rejudge(lake_: str, engine_: str, processes: int | None, master: str) -> None:
    """Judge every record of the lake by the installed rules; the verdicts are a table beside."""
    import os

    from collector.lake import manifest, rejudging
    from collector.lake.files import LakeFiles

    files, told = LakeFiles(lake_), progress("records")
    found = rejudging.units(lake_, manifest.read(files))
    count = 0

    def one(unit: "RejudgedUnit") -> None:
        nonlocal count
        count += unit.judged
        told(count)

    if engine_ == "spark":
        done = rejudging.run_spark(found, master)
    else:
        done = rejudging.run_local(found, processes or os.cpu_count() or 1, one)
    rejudging.keep(files, done)
    told(-1)
    judged, changed = sum(one.judged for one in done), sum(one.changed for one in done)
    click.echo(f"{judged} judged again, {changed} changed")
    failed = sum(one.failed for one in done)
    if failed:
        first = next(one.first_failure for one in done if one.failed)
        click.echo(f"{failed} could not be judged; the first: {first}", err=True)


@lake.command(name="events")
@lake_option
@_worker_options
@quorum_option
@click.option("-o", "--output", default="-", metavar="FILE", help="Where to write. [stdout]")
def lake_events(  # noqa: PLR0917 - its options
    lake_: str, engine_: str, processes: int | None, master: str, quorum: int, output: str
) -> None:
    """Tell the events that the looks of the lake give, one a line as JSON."""
    import os

    import msgspec

    from collector.lake import detecting, manifest
    from collector.lake.files import LakeFiles

    found = detecting.countries(lake_, manifest.read(LakeFiles(lake_)), quorum)
    if engine_ == "spark":
        told = detecting.run_spark(found, master)
    else:
        told = detecting.run_local(found, processes or os.cpu_count() or 1)
    with output_file(output) as write_to:
        for event in (one for of_country in told for one in of_country):
            write_to(msgspec.json.encode(event) + b"\n")


def _param(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not given or not name:
        raise SettingsError(f"--param “{text}”: NAME=VALUE expected")
    return name, value


def day_of(text: str | None) -> str:
    if not text:
        return ""
    return time.strftime("%Y-%m-%d", time.gmtime(parse_instant(text, 0.0)))


def progress(what: str) -> Callable[[int], None]:
    """Tell a number on a terminal, on one line; -1 ends it."""
    if not sys.stderr.isatty():
        return lambda _: None
    return lambda done: click.echo(
        "\r\033[K" if done < 0 else f"\r{done} {what}", nl=False, err=True
    )
