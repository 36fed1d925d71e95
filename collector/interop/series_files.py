"""Series that other observatories publish: IODA's signals and Cloudflare Radar's time series. Pure.

Rule: a file is the answer of their API, as the operator saved it; nothing is fetched here. What is
no number is a gap, and a gap stays one.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from collector.store.outside import OutsideSeries

FILE_BYTES = 32 * 1024 * 1024
POINTS = 500_000
IODA_TERMS = "IODA, Georgia Institute of Technology, by its terms of use"
RADAR_TERMS = "Cloudflare Radar, CC BY-NC 4.0"
_COUNTRY = re.compile(r"[A-Z]{2}")
_SIGNAL = re.compile(r"[A-Za-z0-9._ -]{1,60}")
_LATEST = 4_102_444_800
_WEEK = 604_800

Text = Annotated[str, Meta(max_length=200)]
Instant = Annotated[int, Meta(ge=0, lt=_LATEST)]
Points = Annotated[list[Any], Meta(max_length=POINTS)]


class SeriesError(ValueError):
    """A file that has no series; the message says why."""


class _Signal(msgspec.Struct, frozen=True):
    """One signal of IODA's: what a data source saw at a country or network, at a fixed step."""

    kind: Text = msgspec.field(name="entityType")
    code: Text = msgspec.field(name="entityCode")
    datasource: Text
    since: Instant = msgspec.field(name="from")
    step: Annotated[int, Meta(ge=1, le=_WEEK)]
    values: Points
    subtype: Text | None = None


class _Signals(msgspec.Struct, frozen=True):
    """An answer of IODA's `/signals/raw`: a list of lists of signals."""

    data: Annotated[list[list[_Signal]], Meta(max_length=1000)]


class _RadarSeries(msgspec.Struct, frozen=True):
    timestamps: Annotated[list[Text], Meta(max_length=POINTS)]
    values: Points


class _Radar(msgspec.Struct, frozen=True):
    """An answer of Radar's: `result` has `meta`, and each series under a name of its own."""

    result: dict[str, Any]


def ioda(data: bytes, licence: str = "") -> list[OutsideSeries]:
    """The series of countries and networks in an answer of IODA's.

    Raises:
        SeriesError: There is none.
    """
    decoded = _decoded(data, _Signals)
    every = [one for group in decoded.data for one in group]
    found = [one for signal in every if (one := _of_ioda(signal, licence or IODA_TERMS))]
    return _some(found, "no signal of a country or network with a number")


def radar(
    data: bytes, place: tuple[str, int], signal: str, licence: str = ""
) -> list[OutsideSeries]:
    """The series in an answer of Radar's, which does not say where it is about.

    Raises:
        SeriesError: There is none.
    """
    result = _decoded(data, _Radar).result
    found = []
    for name, content in result.items():
        if not isinstance(content, Mapping) or "timestamps" not in content:
            continue
        try:
            one = msgspec.convert(content, _RadarSeries)
        except msgspec.ValidationError as error:
            raise SeriesError(f"{name[:40]!a}: {error}"[:200]) from error
        points = sorted(_points(map(_instant, one.timestamps), one.values))
        if points:
            called = signal if name.startswith("serie_0") or name == "main" else f"{signal} {name}"
            clean = called if _SIGNAL.fullmatch(called) else signal
            step = _step(points)
            found.append(
                OutsideSeries("radar", clean, *place, licence or RADAR_TERMS, step, points)
            )
    return _some(found, "no series with timestamps and numbers")


def _of_ioda(signal: _Signal, licence: str) -> OutsideSeries | None:
    place = _place(signal.kind, signal.code)
    name = " ".join(filter(None, (signal.datasource, signal.subtype)))
    if place is None or not _SIGNAL.fullmatch(name):
        return None
    times = (signal.since + n * signal.step for n in range(len(signal.values)))
    points = list(_points(times, signal.values))
    return OutsideSeries("ioda", name, *place, licence, signal.step, points) if points else None


def _place(kind: str, code: str) -> tuple[str, int] | None:
    """Country and ASN; the country of a network is not in the file."""
    if kind == "country" and _COUNTRY.fullmatch(code):
        return code, 0
    known = kind == "asn" and code.isascii() and code.isdigit() and len(code) <= 10
    return ("", int(code)) if known and 0 < int(code) < 2**32 else None


def _points(times: Iterator[int | None], values: Sequence[Any]) -> Iterator[tuple[int, float]]:
    for at, value in zip(times, values, strict=False):
        number = _number(value)
        if at is not None and 0 <= at < _LATEST and number is not None:
            yield at, number


def _number(value: Any) -> float | None:
    """A number, also one that is written as a text, as Radar does."""
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and not isinstance(value, bool) else None


def _instant(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
        return int(at.timestamp()) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _step(points: Sequence[tuple[int, float]]) -> int:
    """The most frequent distance between points, at most a week."""
    distances = Counter(later[0] - sooner[0] for sooner, later in pairwise(points))
    usual = distances.most_common(1)[0][0] if distances else 900
    return min(_WEEK, max(1, usual))


def _decoded(data: bytes, type_: type[Any]) -> Any:
    try:
        return msgspec.json.decode(data, type=type_)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise SeriesError(" ".join(str(error).split())[:160] or type(error).__name__) from error


def _some(found: list[OutsideSeries], reason: str) -> list[OutsideSeries]:
    if not found:
        raise SeriesError(reason)
    return found
