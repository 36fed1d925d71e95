"""The command `qazcollector lake import`: files of measurements into a lake, without a store."""

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.lake.command import lake_option, progress
from collector.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.lake.archives import ArchiveFormat, ArchiveImported, LakeImport
    from probe.interop.reading import Read

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
# Refused measurements that are reported one by one; the others are counted.
_COMPLAINTS = 1000


@click.command(name="import")
@lake_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(("qazprobe", "ooni")),
    default="qazprobe",
    show_default=True,
    help="qazprobe is records of probes, as JSON lines; ooni is OONI's measurements.",
)
@click.option(
    "--as", "name", default="import", show_default=True, metavar="SOURCE", help="Its name."
)
@click.option(
    "--targets", multiple=True, metavar="NAME|FILE", help="Target lists: targets to show by name."
)
@click.option("--lab", is_flag=True, help="Accept lab records.")
def lake_import(
    *,
    lake_: str,
    files: tuple[Path, ...],
    format_: "ArchiveFormat",
    name: str,
    targets: tuple[str, ...],
    lab: bool,
) -> None:
    """Judge the measurements of files and add them to a lake, each once and without a vote."""
    from collector.judging import limits
    from probe.interop.ooni.incoming.to_record import LICENCE

    if not _NAME.fullmatch(name):
        raise SettingsError(f"--as “{name}”: a word of a-z, 0-9, - and _ expected")
    for file in files:
        if not file.exists():
            raise SettingsError(f"{file}: is not there")
    begun = _begun(lake_, f"{format_}-{name}", targets, lab=lab)
    if format_ == "ooni":
        click.echo(LICENCE, err=True)
    limits.limit_time()
    told = progress("measurements")
    for file in files:
        _add(begun, file, format_)
    done = begun.finish()
    told(-1)
    _tell(done)
    if done.refused:
        sys.exit(1)


def _begun(lake_: str, origin: str, targets: tuple[str, ...], *, lab: bool) -> "LakeImport":
    from collector import target_labels
    from collector.admin import importing
    from collector.lake.archives import LakeImport
    from collector.lake.files import LakeFiles
    from collector.record_row import BatchContext
    from probe.judge import judge
    from probe.targets import TargetError

    try:
        labels, _ = target_labels.load(targets)
    except TargetError as error:
        raise SettingsError(str(error)) from error
    context = BatchContext(importing.key_of(origin), "probe", lab, time.time(), votes=False)
    return LakeImport(LakeFiles(lake_), origin, context, labels=labels, judge=judge)


def _add(begun: "LakeImport", file: Path, format_: "ArchiveFormat") -> None:
    """Add the measurements of a file; the first refused ones are reported."""
    from probe.escape import plain

    told = progress("measurements")
    try:
        for number, one in enumerate(_read(file, format_), 1):
            why = begun.add(one)
            if why and begun.done.refused <= _COMPLAINTS:
                click.echo(f"{plain(one.place)}: {plain(why)}", err=True)
            if number % 100 == 0:
                told(number)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error


def _read(file: Path, format_: "ArchiveFormat") -> "Iterator[Read]":
    from probe.certificates.roots import Roots
    from probe.interop import reading
    from probe.interop.ooni.incoming import archive

    if format_ == "ooni":
        return archive.records((file,), Roots.mozilla())
    return reading.own_records((file,))


def _tell(done: "ArchiveImported") -> None:
    from probe.escape import plain

    click.echo(
        f"{done.records} records, {done.rows} rows, without a vote; {done.known} were there; "
        f"{done.refused} refused"
    )
    for what, number in sorted(done.left_out.items()):
        click.echo(f"{number} left out: {what} has no counterpart", err=True)
    for reason, number in sorted(done.unjudged.items()):
        click.echo(f"{number} kept as inconclusive, not judged: {reason}", err=True)
    if done.first_bug:
        click.echo(f"the first bug: {plain(done.first_bug)}", err=True)
