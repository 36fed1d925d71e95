"""Import series of other observatories, for readers who want them beside a cut."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from collector.admin.export_options import place
from collector.interop import series_files
from collector.interop.series_files import FILE_BYTES, SeriesError
from collector.settings import SettingsError
from collector.store import Store, outside
from collector.store.outside import OutsideSeries

# Points of one transaction.
_AT_ONCE = 5000
_LICENCE = 200


@dataclass(frozen=True, slots=True)
class SeriesAsked:
    """What the operator says of the files, which some do not say themselves."""

    format: str
    place: tuple[str, int]
    signal: str
    licence: str


def asked(format_: str, *, country: str, asn: str, signal: str, licence: str) -> SeriesAsked:
    """The options, checked.

    Raises:
        SettingsError: They do not fit the format.
    """
    where = place(country, asn)
    is_radar = format_ == "radar-series"
    if is_radar and bool(country) == bool(asn):
        raise SettingsError("--format radar-series: one of --country and --asn expected")
    if not is_radar and (country or asn or signal):
        raise SettingsError("--country, --asn, --signal: only with --format radar-series")
    if not licence.isprintable() or len(licence) > _LICENCE:
        raise SettingsError(f"--licence: at most {_LICENCE} printable characters expected")
    if not all(one.isalnum() or one in "._- " for one in signal) or len(signal) > 40:
        raise SettingsError("--signal: a word expected, such as http")
    return SeriesAsked(format_, where, signal or "traffic", licence)


def work(files: Sequence[Path], wanted: SeriesAsked) -> Callable[[Store], Coroutine[Any, Any, int]]:
    """What imports the files into a store, and returns how many were refused."""

    async def run(store: Store) -> int:
        refused = 0
        for file in files:
            try:
                found = _read(file, wanted)
            except SeriesError as error:
                click.echo(f"{file}: {error}", err=True)
                refused += 1
                continue
            for one in found:
                await _keep(store, one)
                where = f"AS{one.asn}" if one.asn else one.country
                number = len(one.points)
                points = "1 point" if number == 1 else f"{number} points"
                click.echo(f"{file}: {one.source} {one.signal} of {where}: {points}")
        return refused

    return run


async def _keep(store: Store, series: OutsideSeries) -> None:
    for first in range(0, len(series.points), _AT_ONCE):
        part = series.points[first : first + _AT_ONCE]
        await store.write(outside.keep(series._replace(points=part)))


def _read(file: Path, wanted: SeriesAsked) -> list[OutsideSeries]:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    if len(data) > FILE_BYTES:
        raise SeriesError(f"at most {FILE_BYTES >> 20} MB expected")
    if wanted.format == "radar-series":
        return series_files.radar(data, wanted.place, wanted.signal, wanted.licence)
    return series_files.ioda(data, wanted.licence)
