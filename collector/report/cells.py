"""How values stand in the cells of a report's page. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from collector.report.texts import ReportTexts


class PageTable(NamedTuple):
    """A table of the page; a cell is a text, or a sequence of lines.

    Attributes:
        numbers: The columns that are aligned at the right.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    numbers: Sequence[int] = ()
    caption: str = ""


def number(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def part_of(part: int, whole: int, texts: ReportTexts) -> str:
    """A part and the whole."""
    return texts("of", part=number(part), whole=number(whole)).replace(" ", "\N{NO-BREAK SPACE}")


def bracket(after: str | None, by: str, texts: ReportTexts) -> list[str]:
    """A change between two looks, or before a look."""
    if not after:
        return [texts("known_by", by=instant_cell(by))]
    return [
        texts("between_after", after=instant_cell(after)),
        texts("between_by", by=instant_cell(by)),
    ]


def instant_cell(text: str) -> str:
    """An RFC 3339 instant to the minute, as people read it."""
    return f"{text[:10]}\N{NO-BREAK SPACE}{text[11:16]}" if len(text) >= 16 else text


def rate_text(bits: float) -> str:
    """A rate with its unit."""
    return f"{bits / 1e6:.1f} Mbit/s" if bits >= 1e6 else f"{bits / 1e3:.0f} kbit/s"
