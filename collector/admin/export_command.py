"""The command `qazcollector export`."""

import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.admin.commands import (
    least_probes_option,
    output_file,
    store_option,
    with_store,
)
from collector.admin.export_options import selection, selection_options
from collector.admin.export_packing import Packing, by_name, packed
from collector.settings import SettingsError
from collector.store import Store

if TYPE_CHECKING:
    from collector.admin.export import Exported, ExportTally, Format
    from collector.store.queries import Selection

_RELEASE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.*)")
_FORMATS: dict[str, "Format"] = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_OPENMETRICS = "openmetrics"
_OONI = "ooni"
_IODA = "ioda"


@click.command()
@store_option
@click.option(
    "--format",
    "format_",
    type=click.Choice([*_FORMATS.values(), _OPENMETRICS, _OONI, _IODA]),
    help="jsonl has all the evidence; csv and parquet have the columns; openmetrics has counts by"
    " hour and events, for Prometheus; ooni has measurements in OONI's format; ioda has shutdowns"
    " and white lists as IODA writes outages, as JSON or in a FILE.csv. [by FILE, or jsonl]",
)
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE|FOLDER|-",
    help="The file to write; with ooni also a folder, laid out as OONI's buckets. [stdout]",
)
@click.option(
    "--compress",
    type=click.Choice(["none", "gzip", "zstd"]),
    help="Compress jsonl and csv. [by FILE: .gz, .zst]",
)
@click.option(
    "--release",
    metavar="NAME",
    default="",
    help="Keys have the same pseudonyms in all exports of this name. [in this export only]",
)
@click.option(
    "--public",
    is_flag=True,
    help="Show what was measured on networks with few probes to the hour only, without evidence.",
)
@least_probes_option("With --public: fewer probes than this are few.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="A label of every series of openmetrics. [job=qazprobe-history]",
)
@selection_options
def export(
    *,
    url: str,
    format_: str | None,
    output: str,
    compress: Packing | None,
    release: str,
    public: bool,
    public_min_probes: int,
    labels: tuple[str, ...],
    **selected: Any,
) -> None:
    """Write records to a file, in the order of their arrival."""
    from collector.admin import export as exporting

    packing = compress or by_name(output)
    if format_ == _OPENMETRICS:
        _only_places(selected, format_, release=release, public=public)
        wanted_ = selection(**selected)
        with_store(url, lambda store: _write_history(store, wanted_, output, packing, labels))
        return
    least = public_min_probes if public else 1
    if format_ == _IODA:
        _only_places(selected, format_, release=release)
        lines = selection(**selected)
        with_store(url, lambda store: _write_outages(store, lines, output, packing, least))
        return
    wanted = exporting.Exported(
        selection=selection(**selected),
        format=_format_of(output) if format_ is None else _known(format_),
        release=_checked(release),
        least=least,
        now=time.time(),
    )
    if format_ == _OONI:
        with_store(url, lambda store: _write_measurements(store, wanted, output, packing))
        return
    tally = exporting.ExportTally()
    if wanted.format == "parquet":
        if output == "-" or packing != "none":
            raise SettingsError("--format parquet needs -o FILE, and compresses itself")
        with_store(url, lambda store: exporting.parquet(store, wanted, Path(output), tally))
        _say_licence(tally)
        return
    with_store(url, lambda store: _write(store, wanted, output, packing, tally))
    _say_licence(tally)
    if tally.unreadable:
        click.echo(f"{tally.unreadable} records are not readable and were left out", err=True)


def _say_licence(tally: "ExportTally") -> None:
    """What was made of others' measurements is under their licence."""
    if any(one.startswith("ooni") for one in tally.made_from):
        from probe.interop.ooni.incoming.to_record import LICENCE

        click.echo(f"{LICENCE} Those records have made_from ooni.", err=True)


async def _write(
    store: Store, wanted: "Exported", output: str, packing: Packing, tally: "ExportTally"
) -> None:
    from collector.admin import export as exporting

    with output_file(output) as write:
        async for piece in packed(exporting.lines(store, wanted, tally), packing):
            write(piece)


async def _write_measurements(
    store: Store, wanted: "Exported", output: str, packing: Packing
) -> None:
    from collector.admin import export_ooni

    try:
        tally = await export_ooni.export(store, wanted, output, packing)
    except OSError as error:
        raise SettingsError(f"{output}: {error.strerror}") from error
    for sentence in export_ooni.summary(tally):
        click.echo(sentence, err=True)


async def _write_history(
    store: Store, wanted: "Selection", output: str, packing: Packing, labels: Sequence[str]
) -> None:
    from collector.admin.export_openmetrics import JOB, openmetrics

    given = {"job": JOB} | dict(map(_label, labels))
    with output_file(output) as write:
        pieces = openmetrics(store, wanted, now=time.time(), labels=given)
        async for piece in packed(pieces, packing):
            write(piece)


def _label(text: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(text)
    if found is None:
        raise SettingsError(f"--label “{text}”: NAME=VALUE expected, such as job=history")
    return found[1], found[2]


async def _write_outages(
    store: Store, wanted: "Selection", output: str, packing: Packing, least: int
) -> None:
    from collector.admin.export_codf import codf

    plain = Path(output.removesuffix(".gz").removesuffix(".zst"))
    pieces = await codf(store, wanted, least=least, now=time.time(), as_csv=plain.suffix == ".csv")
    with output_file(output) as write:
        async for piece in packed(_each(pieces), packing):
            write(piece)


async def _each(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _only_places(selected: Mapping[str, object], format_: str, **others: object) -> None:
    """Refuse what counts by hour and events are not selected by."""
    for name in ("input_", "outcome", "experiment", "role"):
        others[name.removesuffix("_")] = selected[name]
    given = [name for name, value in others.items() if value]
    if given:
        raise SettingsError(f"--{given[0]}: not with --format {format_}")


def _known(format_: str) -> "Format":
    if format_ == _OONI:
        return "jsonl"  # which it is made of
    return next(one for one in _FORMATS.values() if one == format_)


def _format_of(output: str) -> "Format":
    """The format that a file's name says."""
    name = Path(output.removesuffix(".gz").removesuffix(".zst"))
    return _FORMATS.get(name.suffix, "jsonl")


def _checked(release: str) -> str:
    if release and not _RELEASE.fullmatch(release):
        raise SettingsError(f"--release “{release}”: letters, digits, “.”, “_” and “-” expected")
    return release


EXPORT_COMMANDS = (export,)
