"""The charts of a report, as SVG without scripts or styles of their own. Pure.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; every state has a
letter besides, so that charts can be read in black and white.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from math import ceil, floor, log10
from types import MappingProxyType
from typing import NamedTuple

from collector.report.asked import DAY

WIDE, LEFT, ROW, TOP = 720, 168, 22, 20
_INK, _FAINT, _PAPER, _LINE = "#1a1a1a", "#555555", "#ffffff", "#d0d0d0"
# Black letters are readable on all of them.
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "blocked": "#e8743b",
        "intercepted": "#cc79a7",
        "throttled": "#f0c132",
        "mixed": "#f3d9c6",
        "ok": "#bfe5d8",
        "refused": "#c9e4f5",
        "down": "#b5b5b5",
        "inconclusive": "#e6e6e6",
    }
)
LETTERS: Mapping[str, str] = MappingProxyType(
    {
        "blocked": "B",
        "intercepted": "I",
        "throttled": "T",
        "mixed": "±",
        "ok": "·",
        "refused": "r",
        "down": "d",
        "inconclusive": "?",
    }
)
_SHADES = ("#ffffff", "#fbe3c8", "#f3d9c6", "#cfe6dd", "#9fd3c0", "#6fbfa2", "#3aa983")
_LEAST_LETTER = 11.0


class Strip(NamedTuple):
    """One row of a calendar: a label, and a state for each day; empty: no probe looked."""

    label: str
    states: Sequence[str]


class LastingSpan(NamedTuple):
    """Something that lasted: certainly from `began` to `ended`, at most from `after` to `by`."""

    label: str
    kind: str
    after: float
    began: float
    ended: float
    by: float


class RatePoint(NamedTuple):
    """The median rates of one day, in bits a second."""

    day: int
    target: float
    reference: float


def _svg(high: float, title: str, body: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {_n(high)}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="{_INK}"><title>{escape(title)}</title>'
        f'<rect width="{WIDE}" height="{_n(high)}" fill="{_PAPER}"/>'
    )
    return head + "".join(body) + "</svg>\n"


def _n(value: float) -> str:
    """A number as short as a drawing needs it."""
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = _INK) -> str:
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
    )


def _box(x: float, y: float, wide: float, high: float, *look: str) -> str:
    """A box in a colour; further attributes may follow."""
    fill, more = look[0], "".join(look[1:])
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(high)}" fill="{fill}"'
        f"{more}/>"
    )


def _clipped(text: str, length: int = 26) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _axis(days: int, first: int, y: float, left: float = LEFT) -> Iterable[str]:
    """The days' names, as many as have room."""
    step = (WIDE - left) / days
    every = max(1, ceil(38 / step))
    for number in range(0, days, every):
        day = datetime.fromtimestamp((first + number) * DAY, UTC)
        yield _text(
            left + step * (number + 0.5), y, day.strftime("%d.%m"), anchor="middle", fill=_FAINT
        )


def calendar(title: str, strips: Sequence[Strip], *, first: int, days: int) -> str:
    """A row for each strip and a cell for each day."""
    step = (WIDE - LEFT) / days
    high = TOP + ROW * len(strips) + 4

    def body() -> Iterable[str]:
        yield from _axis(days, first, 13)
        for number, strip in enumerate(strips):
            y = TOP + ROW * number
            yield _text(LEFT - 8, y + 15, _clipped(strip.label), anchor="end")
            for day, state in enumerate(strip.states):
                yield _cell(LEFT + step * day, y, step, state)

    return _svg(high, title, body())


def _cell(x: float, y: float, wide: float, state: str) -> str:
    gap = 1.0 if wide > 4 else 0.0
    fill = COLOURS.get(state, _PAPER)
    more = f' stroke="{_LINE}" stroke-width="0.5"' if not state else ""
    drawn = _box(x + gap / 2, y + 1, wide - gap, ROW - 2, fill, more)
    if state and wide >= _LEAST_LETTER:
        drawn += _text(x + wide / 2, y + 15, LETTERS[state], anchor="middle")
    return drawn


def probe_days(
    title: str,
    rows: Sequence[tuple[str, Sequence[int | None]]],
    *,
    first: int,
    days: int,
    least: int,
) -> str:
    """A row for each network, and the number of probes of each day; few are framed.

    A day of which nothing is known has no cell.
    """
    step = (WIDE - LEFT) / days
    high = TOP + ROW * len(rows) + 4

    def cell(x: float, y: float, number: int) -> str:
        few = number < least
        fill = _SHADES[0] if few else _SHADES[min(len(_SHADES) - 1, 3 + number // 5)]
        frame = f' stroke="{"#c0392b" if few else _LINE}" stroke-width="{1 if few else 0.5}"'
        drawn = _box(x + 1, y + 2, max(0.5, step - 2), ROW - 4, fill, frame if step > 4 else "")
        if step >= _LEAST_LETTER:
            drawn += _text(x + step / 2, y + 15, str(number), anchor="middle")
        return drawn

    def body() -> Iterable[str]:
        yield from _axis(days, first, 13)
        for number, (label, counts) in enumerate(rows):
            y = TOP + ROW * number
            yield _text(LEFT - 8, y + 15, _clipped(label), anchor="end")
            yield from (
                cell(LEFT + step * day, y, of) for day, of in enumerate(counts) if of is not None
            )

    return _svg(high, title, body())


def stacked_days(
    title: str,
    counts: Mapping[str, Sequence[int]],
    words: Mapping[str, str],
    *,
    first: int,
    days: int,
) -> str:
    """A bar for each day, in parts by outcome."""
    left, tall, bottom = 56.0, 150.0, 170.0
    most = max((sum(of[day] for of in counts.values()) for day in range(days)), default=0) or 1
    top = _rounded_up(most)
    step = (WIDE - left) / days

    def body() -> Iterable[str]:
        for share in (0.0, 0.5, 1.0):
            y = bottom - tall * share
            yield f'<path d="M{left} {_n(y)}H{WIDE}" stroke="{_LINE}" stroke-width="0.5"/>'
            yield _text(left - 6, y + 4, _number(top * share), anchor="end", fill=_FAINT)
        for day in range(days):
            y = bottom
            for outcome, of in counts.items():
                high = tall * of[day] / top
                y -= high
                if of[day]:
                    yield _box(left + step * day + 1, y, max(0.5, step - 2), high, COLOURS[outcome])
        yield from _axis(days, first, bottom + 14, left)
        yield from _legend(bottom + 24, [(words[one], COLOURS[one]) for one in counts])

    return _svg(bottom + 24 + _legend_height(len(counts)), title, body())


def _legend_height(entries: int) -> float:
    return 18.0 * ceil(entries / 4) + 4


def _legend(y: float, entries: Sequence[tuple[str, str]], left: float = 56.0) -> Iterable[str]:
    wide = (WIDE - left) / 4
    for number, (word, colour) in enumerate(entries):
        x, row = left + wide * (number % 4), y + 18 * (number // 4)
        yield _box(x, row, 12, 12, colour, f' stroke="{_FAINT}" stroke-width="0.5"')
        yield _text(x + 17, row + 10, _clipped(word, 24))


def _rounded_up(value: float) -> float:
    """The next number that a scale may end with."""
    power = 10.0 ** floor(log10(value))
    return next(power * one for one in (1, 1.5, 2, 3, 4, 6, 8, 10) if power * one >= value)


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def bars(title: str, entries: Sequence[tuple[str, int, str]]) -> str:
    """A horizontal bar for each entry: label, number, colour."""
    left, right = 168.0, 64.0
    most = max((n for _, n, _ in entries), default=1) or 1

    def body() -> Iterable[str]:
        for number, (label, n, colour) in enumerate(entries):
            y = 4 + ROW * number
            wide = (WIDE - left - right) * n / most
            yield _text(left - 8, y + 15, _clipped(label), anchor="end")
            yield _box(left, y + 3, max(1.0, wide), ROW - 6, colour)
            yield _text(left + max(1.0, wide) + 6, y + 15, _number(n))

    return _svg(8 + ROW * len(entries), title, body())


def rates(
    title: str, points: Sequence[RatePoint], words: tuple[str, str], *, first: int, days: int
) -> str:
    """The median rate of a site and of its reference, day by day, on a logarithmic scale."""
    left, top, tall = 72.0, 10.0, 130.0
    values = [value for one in points for value in (one.target, one.reference) if value > 0]
    low = floor(log10(min(values, default=1e3)))
    high = max(low + 1, ceil(log10(max(values, default=1e6))))
    step = (WIDE - left) / days

    def place(day: int, value: float) -> tuple[float, float]:
        share = (log10(max(value, 10.0**low)) - low) / (high - low)
        return left + step * (day - first + 0.5), top + tall * (1 - share)

    def line(of: Sequence[tuple[float, float]], colour: str, dash: str) -> str:
        path = "L".join(f"{_n(x)} {_n(y)}" for x, y in of)
        return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>'

    def body() -> Iterable[str]:
        for power in range(low, high + 1):
            _, y = place(first, 10.0**power)
            yield f'<path d="M{left} {_n(y)}H{WIDE}" stroke="{_LINE}" stroke-width="0.5"/>'
            yield _text(left - 6, y + 4, _rate(10.0**power), anchor="end", fill=_FAINT)
        target = [place(one.day, one.target) for one in points]
        reference = [place(one.day, one.reference) for one in points]
        yield line(reference, "#0072b2", ' stroke-dasharray="5 3"')
        yield line(target, "#d55e00", "")
        yield from (
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="3" fill="#0072b2"/>' for x, y in reference
        )
        yield from (_box(x - 3, y - 3, 6, 6, "#d55e00") for x, y in target)
        yield from _axis(days, first, top + tall + 15, left)
        entries = [(words[0], "#d55e00"), (words[1], "#0072b2")]
        yield from _legend(top + tall + 24, entries, left)

    return _svg(top + tall + 46, title, body())


def _rate(bits: float) -> str:
    return f"{bits / 1e6:g} Mbit/s" if bits >= 1e6 else f"{bits / 1e3:g} kbit/s"


def spans(title: str, rows: Sequence[LastingSpan], *, since: float, until: float) -> str:
    """A row for each label and a bar for each thing that lasted; uncertain ends are lighter."""
    days = round((until - since) / DAY)
    labels = list(dict.fromkeys(one.label for one in rows))
    high = TOP + ROW * len(labels) + 4

    def x(at: float) -> float:
        return LEFT + (WIDE - LEFT) * (min(max(at, since), until) - since) / (until - since)

    def body() -> Iterable[str]:
        yield from _axis(days, round(since / DAY), 13)
        for day in range(days + 1):
            at = LEFT + (WIDE - LEFT) * day / days
            yield f'<path d="M{_n(at)} {TOP}V{_n(high)}" stroke="{_LINE}" stroke-width="0.5"/>'
        for number, label in enumerate(labels):
            yield _text(LEFT - 8, TOP + ROW * number + 15, _clipped(label), anchor="end")
        for one in rows:
            y = TOP + ROW * labels.index(one.label)
            colour = COLOURS.get(one.kind, COLOURS["blocked"])
            wide = max(2.0, x(one.by) - x(one.after))
            yield _box(x(one.after), y + 4, wide, ROW - 8, colour, ' fill-opacity="0.35"')
            yield _box(x(one.began), y + 4, max(1.5, x(one.ended) - x(one.began)), ROW - 8, colour)

    return _svg(high, title, body())
