"""What other observatories saw of a line, beside a cut: only where a reader asked for it.

Rule: nothing is loaded from elsewhere. What is shown was imported by the operator, with its source
and its terms. Values of different sources have different units, so each is drawn against its own
highest value in the time that is shown; where there is no value, there is no bar.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from collector.store import Operation, outside
from collector.store.outside import OutsideSeries, Source
from collector.web.time_axis import TimeAxis

# Bars of a chart, and what their widths are multiples of.
_BARS, _SLOT = 144, 300


@dataclass(frozen=True, slots=True)
class BesideLane:
    """One series on the time line of a cut.

    Attributes:
        bars: Unix time and percent of the highest value; a value of nothing is 1, to be seen.
        seconds: How long a bar stands for.
    """

    source: Source
    signal: str
    licence: str
    bars: Sequence[tuple[float, int]]
    seconds: float


def read(
    place: tuple[str, int], axis: TimeAxis, wanted: Sequence[Source]
) -> Operation[list[BesideLane]]:
    """The series of some sources on a time line: of a network, or of a country as a whole."""
    country, asn = place
    where = ("", asn) if asn else (country, 0)
    found = yield from outside.at_place(where, wanted, axis.since, axis.until)
    return [lane(one, axis) for one in found]


def lane(series: OutsideSeries, axis: TimeAxis) -> BesideLane:
    """A series as bars: the mean of each interval, where there is a value."""
    wide = max(series.step, ceil((axis.until - axis.since) / _BARS / _SLOT) * _SLOT)
    means: dict[int, list[float]] = defaultdict(list)
    for at, value in series.points:
        means[at // wide * wide].append(value)
    heights = {at: sum(values) / len(values) for at, values in means.items()}
    highest = max(heights.values(), default=0.0)
    bars = [(float(at), _percent(value, highest)) for at, value in sorted(heights.items())]
    return BesideLane(series.source, series.signal, series.licence, bars, float(wide))


def _percent(value: float, highest: float) -> int:
    return max(1, round(100 * value / highest)) if highest > 0 else 1
