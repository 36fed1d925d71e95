"""The command `qazcollector import`: records of ours, and what neighbours publish."""

import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from collector.admin.commands import store_option, with_store
from collector.settings import SettingsError
from collector.store import Store

if TYPE_CHECKING:
    from collector.admin.import_ooni import TableForm
    from collector.record_row import BatchContext

ImportFormat = Literal["qazprobe", "ooni", "atlas", "ioda-series", "radar-series"]
_FORMATS: tuple[ImportFormat, ...] = get_args(ImportFormat)
_SERIES: tuple[ImportFormat, ...] = ("ioda-series", "radar-series")


@click.command(name="import")
@store_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    default="qazprobe",
    show_default=True,
    help="qazprobe is records of probes; ooni is OONI's measurements, and atlas is RIPE Atlas's"
    " results of dns and sslcert; these have no vote. ioda-series and radar-series are answers of"
    " IODA and Cloudflare Radar that a page of outages shows on a reader's wish.",
)
@click.option(
    "--as",
    "name",
    metavar="SOURCE",
    default="import",
    show_default=True,
    help="Name of the source; all of it has one vote.",
)
@click.option(
    "--targets", multiple=True, metavar="NAME|FILE", help="Target lists: targets to show by name."
)
@click.option(
    "--probes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With atlas: networks and countries of its probes, as its API or archive gives them.",
)
@click.option(
    "--table",
    type=click.Choice(("text", "json", "csv")),
    default="text",
    show_default=True,
    help="With ooni: the form of the table of what OONI says beside what we say.",
)
@click.option(
    "--country", metavar="CC", default="", help="With radar-series: the country it is about."
)
@click.option(
    "--asn", metavar="NUMBER", default="", help="With radar-series: the network it is about."
)
@click.option(
    "--signal",
    metavar="WORD",
    default="",
    help="With radar-series: what was measured, such as http. [traffic]",
)
@click.option(
    "--licence",
    metavar="TEXT",
    default="",
    help="With ioda-series and radar-series: the terms that readers are told. [the source's own]",
)
@click.option("--lab", is_flag=True, help="Accept lab records.")
def import_(
    *,
    url: str,
    files: tuple[Path, ...],
    format_: ImportFormat,
    name: str,
    targets: tuple[str, ...],
    probes: Path | None,
    table: "TableForm",
    lab: bool,
    **series: str,
) -> None:
    """Store records from JSONL files: a probe's own, or exported ones; or a neighbour's results."""
    _only_with(format_, probes=probes, **series)
    if format_ in _SERIES:
        from collector.admin import import_series

        work = import_series.work(files, import_series.asked(format_, **series))
    else:
        context = _context(name, targets, lab=lab)
        if format_ == "ooni":
            from collector.admin import import_ooni

            work = import_ooni.work(files, url, targets, context, table)
        elif format_ == "atlas":
            from collector.admin import import_atlas

            where = import_atlas.read_places(probes)
            work = import_atlas.work(files, url, targets, context, where)
        else:
            work = _records(files, url, targets, context)
    if with_store(url, work, create=True):
        sys.exit(1)


def _only_with(format_: ImportFormat, **given: object) -> None:
    """Refuse options of other formats."""
    for option, value in given.items():
        if option == "probes":
            fits, expected = format_ == "atlas", "atlas"
        else:
            fits, expected = format_ in _SERIES, " and ".join(_SERIES)
        if value and not fits:
            raise SettingsError(f"--{option}: only with --format {expected}")


def _context(name: str, targets: tuple[str, ...], *, lab: bool) -> "BatchContext":
    from collector import target_labels
    from collector.admin import importing
    from collector.record_row import BatchContext
    from probe.targets import TargetError

    try:
        target_labels.load(targets)
    except TargetError as error:
        raise SettingsError(str(error)) from error
    return BatchContext(importing.key_of(name), "probe", lab, time.time())


def _records(
    files: tuple[Path, ...], url: str, targets: tuple[str, ...], context: "BatchContext"
) -> Callable[[Store], Coroutine[Any, Any, int]]:
    async def work(store: Store) -> int:
        return await _import_records(store, files, url, targets, context)

    return work


async def _import_records(
    store: Store,
    files: tuple[Path, ...],
    url: str,
    targets: tuple[str, ...],
    context: "BatchContext",
) -> int:
    """Import files of records; how many lines were refused."""
    from collector.admin import importing

    refused = 0
    judging = importing.ImportJudging(store, url, targets, context.key_id)
    async with judging.running():
        for file in files:
            done = await importing.import_lines(
                store, _lines(file), context=context, source=str(file), judging=judging
            )
            for complaint in done.complaints:
                click.echo(complaint, err=True)
            refused += len(done.complaints)
            click.echo(f"{file}: {done}")
    for reason, number in sorted(judging.unjudged.items()):
        click.echo(f"{number} stored as inconclusive, not judged: {reason}", err=True)
    return refused


def _lines(file: Path) -> Iterator[bytes]:
    """The lines of a file; of one that is too long so much that it is refused."""
    from probe.codec import LINE_LIMIT

    most = LINE_LIMIT + 2
    try:
        with file.open("rb") as opened:
            while line := opened.readline(most):
                yield line
                while len(line) == most and not line.endswith(b"\n"):
                    line = opened.readline(most)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error


IMPORT_COMMANDS = (import_,)
