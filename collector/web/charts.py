"""Charts as SVG: days in a strip, counts as bars, two rates as lines. Pure.

Rule: shapes have classes, and the style sheet has their colours, so that a chart follows the
reader's colour scheme. Every text is escaped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

# A day of a strip: so wide that 28 of them fit a phone.
DAY_WIDTH, DAY_HEIGHT, GAP = 12, 20, 1
BAR_WIDTH, BAR_HEIGHT = 4, 28


@dataclass(frozen=True, slots=True)
class DayCell:
    """One day of a strip.

    Attributes:
        outcome: The gravest that counts; empty where nothing was measured.
        letter: Of the outcome. title: what a pointer shows.
    """

    outcome: str
    letter: str
    title: str


def strip(days: Sequence[DayCell], label: str) -> Markup:
    """Days side by side, each with the colour and the letter of its outcome."""
    width = len(days) * DAY_WIDTH
    cells = Markup("").join(_day(place, one) for place, one in enumerate(days))
    return Markup(
        '<svg class="strip" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">'
        "{}</svg>"
    ).format(label, width, DAY_HEIGHT, width, DAY_HEIGHT, cells)


def _day(place: int, one: DayCell) -> Markup:
    left = place * DAY_WIDTH
    kind = one.outcome or "none"
    letter = Markup("")
    if one.letter.strip():
        letter = Markup('<text x="{}" y="14.5" class="on-{}">{}</text>').format(
            left + (DAY_WIDTH - GAP) / 2, kind, one.letter
        )
    return Markup(
        '<g><title>{}</title><rect x="{}" y="0" width="{}" height="{}" class="fill-{}"/>{}</g>'
    ).format(one.title, left, DAY_WIDTH - GAP, DAY_HEIGHT, kind, letter)


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


def joined(parts: Iterable[str]) -> Markup:
    """Texts as a list, each escaped."""
    return Markup(", ").join(escape(one) for one in parts)
