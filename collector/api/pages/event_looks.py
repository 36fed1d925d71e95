"""The looks at an event, by probe, or by the hour where few probes measure. Pure, but for `read`.

Rule: a probe is a letter that is given anew for each event, so that a reader cannot follow one from
event to event. Of a coarse event only hours show, and no probes.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from string import ascii_uppercase

from collector.care import HOUR, hour_of
from collector.events import storage
from collector.events.model import KINDS, Look
from collector.events.reconcile import StoredEvent
from collector.store.interface import Operation
from collector.web.time_axis import AxisSpan, TimeAxis

DAY = 86_400.0
# So much before and after an event is shown, and so much of a long one.
AROUND, LONGEST = DAY, 60 * DAY
PROBES, LOOKS, SLOTS = 12, 20_000, 120
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ProbeLooks:
    """The looks of one probe, or of all (no letter).

    Attributes:
        signs: How many show the event, of `n`. first_sign: the first of them, or None.
    """

    letter: str
    n: int
    signs: int
    first_sign: float | None
    spans: Sequence[AxisSpan]


@dataclass(frozen=True, slots=True)
class LooksChart:
    """The chart.

    Attributes:
        by_probe: Else all looks are in one row, by the hour. left_out: probes without a row.
        cut: Whether the event lasts longer than the chart. first: so many looks are shown of more;
            None: all.
    """

    axis: TimeAxis
    rows: Sequence[ProbeLooks]
    by_probe: bool
    left_out: int
    cut: bool
    first: int | None = None


@dataclass(frozen=True, slots=True)
class SeenLook:
    """A look that is a sign for or against an event, and the probe's letter."""

    look: Look
    is_sign: bool
    letter: str


@dataclass(frozen=True, slots=True)
class SeenLooks:
    """The looks of a chart.

    Attributes:
        coarse: Whether they show to the hour only. cut: whether there are more than these.
    """

    found: Sequence[SeenLook]
    coarse: bool
    axis: TimeAxis
    cut: bool


def axis_of(event: StoredEvent, now: float, *, coarse: bool) -> TimeAxis:
    """The time that the chart of an event shows: from before its beginning to after its end."""
    began, ended = event.event.began, event.event.ended
    first = (began.after if began.after is not None else began.by) - AROUND
    last = min(now, (now if ended is None else ended.by) + AROUND, first + LONGEST)
    if coarse:
        first, last = hour_of(first), ceil(last / HOUR) * HOUR
    return TimeAxis(first, max(last, first + HOUR))


def read(event: StoredEvent, axis: TimeAxis) -> Operation[list[Look]]:
    """The looks that a chart shows."""
    where = event.event.target, event.event.country, event.event.asn
    return (yield from storage.looks_between(where, axis.since, axis.until, LOOKS))


def seen(event: StoredEvent, looks: Iterable[Look]) -> list[SeenLook]:
    """The looks that say something about an event, in order; letters by the first sign."""
    said = [(one, one.sign(event.event.kind)) for one in looks]
    told = [(one, sign) for one, sign in said if sign is not None]
    first: dict[str, tuple[bool, float]] = {}
    for one, sign in sorted(told, key=lambda pair: (not pair[1], pair[0].at)):
        first.setdefault(one.key, (not sign, one.at))
    order = sorted(first, key=lambda key: (first[key], key))
    letters = {key: letter(n) for n, key in enumerate(order)}
    return [SeenLook(one, sign, letters[one.key]) for one, sign in told]


def letter(number: int) -> str:
    """Name a probe: A to Z, then AA, AB and so on."""
    rest, last = divmod(number, len(ascii_uppercase))
    return (letter(rest - 1) if rest else "") + ascii_uppercase[last]


def chart(event: StoredEvent, looks: SeenLooks) -> LooksChart:
    """The chart of these looks."""
    axis, coarse = looks.axis, looks.coarse
    by: dict[str, list[SeenLook]] = defaultdict(list)
    for one in looks.found:
        if axis.since <= one.look.at <= axis.until:
            by["" if coarse else one.letter].append(one)
    names = sorted(by, key=lambda name: (len(name), name))
    seconds = max(HOUR if coarse else _SECONDS, (axis.until - axis.since) / SLOTS)
    if coarse:
        seconds = ceil(seconds / HOUR) * HOUR
    ended = event.event.ended
    return LooksChart(
        axis=axis,
        rows=[_row(name, by[name], axis, seconds, coarse=coarse) for name in names[:PROBES]],
        by_probe=not coarse,
        left_out=len(names[PROBES:]),
        cut=ended is not None and ended.by > axis.until,
        first=LOOKS if looks.cut else None,
    )


def _row(
    name: str, of: Sequence[SeenLook], axis: TimeAxis, seconds: float, *, coarse: bool
) -> ProbeLooks:
    slots: dict[int, SeenLook] = {}
    for one in of:
        slot = int((one.look.at - axis.since) // seconds)
        if slot not in slots or one.is_sign:
            slots[slot] = one
    signs = [one.look.at for one in of if one.is_sign]
    first = min(signs, default=None)
    return ProbeLooks(
        letter=name,
        n=len(of),
        signs=len(signs),
        first_sign=hour_of(first) if coarse and first is not None else first,
        spans=[
            AxisSpan(
                axis.since + slot * seconds,
                axis.since + (slot + 1) * seconds,
                _look(one),
                low=not one.is_sign,
            )
            for slot, one in sorted(slots.items())
        ],
    )


def _look(one: SeenLook) -> str:
    """The colour of a look: of its outcome; of the line itself, whether it is a sign."""
    if one.look.target:
        return f"fill-{one.look.outcome if one.look.outcome in KINDS else 'fine'}"
    return "fill-blocked" if one.is_sign else "fill-fine"


def rows(found: Iterable[SeenLook], *, coarse: bool) -> list[tuple[object, ...]]:
    """The looks as a table: instant, probe, experiment, outcome, mechanisms, number."""
    if not coarse:
        return [
            (one.look.at, one.letter, one.look.experiment, one.look.outcome, one.look.mechanisms, 1)
            for one in found
        ]
    counts: dict[tuple[float, str, str, str], int] = defaultdict(int)
    for one in found:
        look = one.look
        counts[hour_of(look.at), look.experiment, look.outcome, look.mechanisms] += 1
    return [(at, "", *rest, n) for (at, *rest), n in sorted(counts.items())]
