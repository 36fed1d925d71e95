"""Times side by side as SVG: looks of probes, brackets of networks, counts of a cut. Pure.

Rule: places are shares of the width and sizes of text are fixed, so that a chart fits every screen
without scrolling. Shapes have classes, and the style sheet has their colours. An interval that is
too short to be seen is drawn as wide as a pointer needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_STEPS = (
    *(n * _MINUTE for n in (5, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 28, 91, 182, 365)),
)
# So many steps at most: texts closer than a third would touch each other on a phone.
_TICKS = 3
_MARKS = 4
_LEAST = 0.5  # percent
LANE, BARS, SCALE = 18, 44, 20


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The time that a chart shows, Unix times."""

    since: float
    until: float

    def place(self, at: float) -> float:
        """Where an instant is, in percent of the width; outside of it, at the edge."""
        wide = max(self.until - self.since, 1.0)
        return min(100.0, max(0.0, 100.0 * (at - self.since) / wide))

    def ticks(self) -> list[float]:
        """Round instants of UTC, a few of them."""
        return self._every(self._step)

    def marks(self) -> list[float]:
        """Instants between the round ones, which have no text."""
        return self._every(self._step / _MARKS)

    @property
    def _step(self) -> float:
        wide = self.until - self.since
        return next((one for one in _STEPS if wide / one <= _TICKS), wide / _TICKS)

    def _every(self, step: float) -> list[float]:
        first = -(-self.since // step) * step
        wide = int((self.until - self.since) // step) + 1
        return [first + n * step for n in range(wide) if first + n * step <= self.until]


@dataclass(frozen=True, slots=True)
class AxisSpan:
    """An interval on an axis.

    Attributes:
        since, until: None: from before, or beyond what is shown.
        look: The class of its colour. low: whether it is drawn half as high.
    """

    since: float | None
    until: float | None
    look: str
    low: bool = False


@dataclass(frozen=True, slots=True)
class AxisLine:
    """An instant that concerns a whole chart."""

    at: float
    look: str


def lane(
    axis: TimeAxis, spans: Iterable[AxisSpan], label: str, lines: Sequence[AxisLine] = ()
) -> Markup:
    """Intervals in one row."""
    shapes = [*(_span(axis, one) for one in spans), *(_line(axis, one, LANE) for one in lines)]
    return _svg("lane", label, LANE, "".join(shapes))


def bars(
    axis: TimeAxis,
    counts: Sequence[tuple[float, int]],
    seconds: float,
    label: str,
    lines: Sequence[AxisLine] = (),
) -> Markup:
    """Counts over time, each for so many seconds from its instant on."""
    most = max([*(n for _, n in counts), 1])
    shapes = [
        _rect(axis.place(at), axis.place(at + seconds), BARS - high, high, "fill-count")
        for at, n in counts
        if n
        for high in (max(2.0, (BARS - 2) * n / most),)
    ]
    shapes += [_line(axis, one, BARS) for one in lines]
    return _svg("lane", label, BARS, "".join(shapes))


def shares(
    axis: TimeAxis, measured: Sequence[tuple[float, float]], seconds: float, label: str
) -> Markup:
    """Shares over time, each for so many seconds: filled as far as it goes, pale above.

    Where nothing was measured there is neither, which is something else than a share of nothing.
    """
    shapes = []
    for at, share in measured:
        first, last = axis.place(at), axis.place(at + seconds)
        high = (BARS - 2) * min(max(share, 0.0), 1.0)
        shapes.append(_rect(first, last, 2.0, BARS - 2, "fill-missed"))
        if high:
            shapes.append(_rect(first, last, BARS - high, high, "fill-count"))
    return _svg("lane", label, BARS, "".join(shapes))


def zone(axis: TimeAxis) -> str:
    """What the times of the scale are: their year and zone."""
    first, last = (datetime.fromtimestamp(at, UTC).year for at in (axis.since, axis.until))
    return f"UTC, {first}" if first == last else f"UTC, {first}\N{EN DASH}{last}"


def scale(axis: TimeAxis) -> Markup:
    """The times below a chart, in UTC."""
    days = axis.until - axis.since > 3 * _DAY
    marks = Markup("").join(
        Markup('<rect x="{:.2f}%" y="0" width="1" height="3"/>').format(axis.place(at))
        for at in axis.marks()
    )
    texts = marks + Markup("").join(_tick(axis, at, days=days) for at in axis.ticks())
    return Markup('<svg class="scale" aria-hidden="true" width="100%" height="{}">{}</svg>').format(
        SCALE, texts
    )


def _tick(axis: TimeAxis, at: float, *, days: bool) -> Markup:
    place = axis.place(at)
    edge = "start" if place < 12 else "end" if place > 88 else "middle"
    when = datetime.fromtimestamp(at, UTC)
    text = when.strftime("%m-%d" if days else "%m-%d %H:%M")
    return Markup(
        '<rect x="{0:.2f}%" y="0" width="1" height="5"/>'
        '<text x="{0:.2f}%" y="16" text-anchor="{1}">{2}</text>'
    ).format(place, edge, text)


# A page has hundreds of shapes, and formatting of Markup would take most of its time: here the
# only texts are the classes, which are escaped.
def _span(axis: TimeAxis, one: AxisSpan) -> str:
    first = 0.0 if one.since is None else axis.place(one.since)
    last = 100.0 if one.until is None else axis.place(one.until)
    high = (LANE - 4) / 2 if one.low else LANE - 4.0
    return _rect(first, last, (LANE - high) / 2, high, one.look)


def _rect(first: float, last: float, top: float, high: float, look: str) -> str:
    wide = max(last - first, _LEAST)
    return (
        f'<rect x="{min(first, 100.0 - wide):.2f}%" y="{top:.1f}" width="{wide:.2f}%" '
        f'height="{high:.1f}" class="{escape(look)}"/>'
    )


def _line(axis: TimeAxis, one: AxisLine, high: int) -> str:
    place = min(axis.place(one.at), 99.4)
    return f'<rect x="{place:.2f}%" y="0" width="2" height="{high}" class="{escape(one.look)}"/>'


def _svg(look: str, label: str, high: int, shapes: str) -> Markup:
    return Markup(  # noqa: S704 - its texts are escaped
        f'<svg class="{look}" role="img" aria-label="{escape(label)}" width="100%" '
        f'height="{high}">{shapes}</svg>'
    )
