"""Charts as SVG: days in a strip, counts as bars, two rates as lines. Pure.

Rule: shapes have classes, and the style sheet has their colours, so that a chart follows the
reader's colour scheme. Every text is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from collector.web.times import day_text

# A day of a strip: so wide that 28 of them fit a phone.
DAY_WIDTH, DAY_HEIGHT, GAP = 12, 20, 1
BAR_WIDTH, BAR_HEIGHT = 7, 40


@dataclass(frozen=True, slots=True)
class DayCell:
    """One day of a strip.

    Attributes:
        outcome: Empty where nothing was measured. letter: of the outcome.
        title: What a pointer shows. sure: whether it is drawn full, or dashed.
    """

    outcome: str
    letter: str
    title: str
    sure: bool = True


def strip(days: Sequence[DayCell], label: str) -> Markup:
    """Days side by side, each with the colour and the letter of its outcome."""
    width = len(days) * DAY_WIDTH
    cells = "".join(_day(place, one) for place, one in enumerate(days))
    return Markup(  # noqa: S704 - its texts are escaped
        f'<svg class="strip" role="img" aria-label="{escape(label)}" width="{width}" '
        f'height="{DAY_HEIGHT}" viewBox="0 0 {width} {DAY_HEIGHT}">{cells}</svg>'
    )


# A page has a thousand days, and formatting of Markup would take most of its time: here texts are
# escaped one by one.
def _day(place: int, one: DayCell) -> str:
    left = place * DAY_WIDTH
    if not one.sure:
        return _hint(left, one)
    kind, letter = escape(one.outcome or "none"), ""
    middle = left + (DAY_WIDTH - GAP) / 2
    if one.letter.strip():
        letter = f'<text x="{middle}" y="14.5" class="on-{kind}">{escape(one.letter)}</text>'
    return (
        f'<g><title>{escape(one.title)}</title><rect x="{left}" y="0" width="{DAY_WIDTH - GAP}" '
        f'height="{DAY_HEIGHT}" class="fill-{kind}"/>{letter}</g>'
    )


def _hint(left: float, one: DayCell) -> str:
    """A dashed cell, whose line lies within it."""
    kind = escape(one.outcome)
    return (
        f'<g><title>{escape(one.title)}</title><rect x="{left + 0.75}" y="0.75" '
        f'width="{DAY_WIDTH - GAP - 1.5}" height="{DAY_HEIGHT - 1.5}" class="hint-{kind}"/>'
        f'<text x="{left + (DAY_WIDTH - GAP) / 2}" y="14.5" class="on-hint-{kind}">'
        f"{escape(one.letter)}</text></g>"
    )


def bars(counts: Sequence[int], label: str) -> Markup:
    """Counts as bars, from the oldest to the newest."""
    most = max([*counts, 1])
    width = len(counts) * BAR_WIDTH
    made = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}"/>').format(
            place * BAR_WIDTH, _round(BAR_HEIGHT - high), BAR_WIDTH - 1, _round(high)
        )
        for place, n in enumerate(counts)
        for high in (max(1.5, BAR_HEIGHT * n / most) if n else 0.5,)
    )
    return Markup(
        '<svg class="bars" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">'
        "{}</svg>"
    ).format(label, width, BAR_HEIGHT, width, BAR_HEIGHT, made)


def _round(number: float) -> str:
    return f"{number:.1f}"


def rates(days: Sequence[tuple[int, float, float]], label: str) -> Markup:
    """Two rates by day (bytes a second): the site as a solid line, its reference dashed."""
    wide, high, left, foot = 380, 140, 76, 18
    first, last = days[0][0], days[-1][0]
    top = max(max(a, b) for _, a, b in days) or 1.0

    def at(day: int, rate: float) -> str:
        x = left + (wide - left - 4) * (day - first) / max(1, last - first)
        return f"{x:.1f},{4 + (high - foot - 4) * (1 - rate / top):.1f}"

    def line(which: int, name: str) -> Markup:
        points = " ".join(at(one[0], one[which]) for one in days)
        if len(days) == 1:
            x, _, y = points.partition(",")
            points = f"{x},{y} {wide - 4},{y}"
        return Markup('<polyline points="{}" class="{}"/>').format(points, name)

    base = high - foot
    return Markup(
        '<svg class="rates" role="img" aria-label="{}" viewBox="0 0 {} {}">'
        '<line x1="{}" y1="{}" x2="{}" y2="{}" class="axis"/>'
        '<line x1="{}" y1="4" x2="{}" y2="4" class="axis"/>'
        '<text x="{}" y="12" text-anchor="end">{}</text>'
        '<text x="{}" y="{}" text-anchor="end">0</text>'
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text>{}{}</svg>'
    ).format(
        *(label, wide, high),
        *(left, base, wide - 4, base),
        *(left, wide - 4),
        *(left - 6, rate_text(top), left - 6, base),
        *(left, high - 3, day_text(first), wide - 4, high - 3, day_text(last)),
        line(2, "reference"),
        line(1, "site"),
    )


def rate_text(rate: float) -> str:
    """A rate in bits a second, as lines are sold."""
    bits = rate * 8
    for size, unit in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if bits >= size:
            return f"{bits / size:.3g} {unit}"
    return f"{bits:.0f} bit/s"
