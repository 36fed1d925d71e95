"""The table of a run: one row for each target, readable without colours.

Text from the network (host names, network names) is escaped. Interference comes first; working
targets are only counted if there are many.
"""

import shutil
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

from probe.escape import plain
from probe.model import Outcome, Record, RunFacts
from probe.report import unmeasured

# Rows are sorted in this order.
_ORDER = (
    Outcome.INTERCEPTED,
    Outcome.BLOCKED,
    Outcome.THROTTLED,
    Outcome.INCONCLUSIVE,
    Outcome.REFUSED,
    Outcome.DOWN,
    Outcome.OK,
)
# Marks that distinguish rows without colours.
_MARKS = {
    Outcome.INTERCEPTED: "!!",
    Outcome.BLOCKED: "XX",
    Outcome.THROTTLED: "~~",
    Outcome.INCONCLUSIVE: "??",
    Outcome.REFUSED: "--",
    Outcome.DOWN: "--",
    Outcome.OK: "  ",
}
_HEADINGS = ("", "outcome", "mechanism", "conf.", "target", "reason")
_OK_ROWS = 30
_SHORTEST_REASON = 24
_LONGEST_TARGET = 44


def render(records: Iterable[Record], facts: RunFacts | None, width: int | None = None) -> str:
    """Return the table, its summary, and the reasons for targets that were not measured."""
    columns = width or shutil.get_terminal_size((100, 24)).columns
    judged = [record for record in records if record.verdict is not None]
    judged.sort(key=lambda record: (_rank(record), record.input))
    fine = [record for record in judged if record.verdict and record.verdict.outcome is Outcome.OK]
    shown = judged if len(fine) <= _OK_ROWS else judged[: len(judged) - len(fine)]
    parts = [_layout([_row(record) for record in shown], columns)] if shown else []
    return "\n".join([*parts, *_summary(judged, facts)]) + "\n"


def _rank(record: Record) -> int:
    return _ORDER.index(record.verdict.outcome) if record.verdict else len(_ORDER)


def _row(record: Record) -> tuple[str, ...]:
    verdict = record.verdict
    if verdict is None:
        return ("", "", "", "", plain(record.input), "")
    reason = verdict.rules[0].reason if verdict.rules else ""
    return (
        _MARKS[verdict.outcome],
        verdict.outcome,
        ", ".join(verdict.mechanisms),
        f"{verdict.confidence:.0%}",
        plain(record.input.removesuffix("/")),
        plain(reason),
    )


def _layout(rows: Sequence[tuple[str, ...]], width: int) -> str:
    """Make columns as wide as their content and wrap the last one into the remaining width."""
    table = [_HEADINGS, *rows]
    widths = [max(_cells(row[index]) for row in table) for index in range(5)]
    widths[4] = min(widths[4], _LONGEST_TARGET)
    reason_width = max(width - sum(widths) - 2 * len(widths), _SHORTEST_REASON)
    lines: list[str] = []
    for row in table:
        target = textwrap.wrap(row[4], widths[4]) or [""]
        reason = textwrap.wrap(row[5], reason_width) or [""]
        for index in range(max(len(target), len(reason))):
            first = row[:4] if index == 0 else ("",) * 4
            cells = (*first, _nth(target, index), _nth(reason, index))
            padded = [_pad(cell, size) for cell, size in zip(cells, (*widths, 0), strict=True)]
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def _nth(lines: Sequence[str], index: int) -> str:
    return lines[index] if index < len(lines) else ""


def _summary(judged: Sequence[Record], facts: RunFacts | None) -> list[str]:
    counts: dict[Outcome, int] = dict.fromkeys(_ORDER, 0)
    for record in judged:
        if record.verdict:
            counts[record.verdict.outcome] += 1
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    lines = [f"{len(judged)} measured" + (f": {text}" if text else "")]
    if facts is not None and (skipped := unmeasured.counts(facts)):
        lines.append(f"{sum(skipped.values())} not measured: {unmeasured.reasons(skipped)}")
    return lines


def _cells(text: str) -> int:
    """Return the width of a text on a terminal (East Asian wide characters take two columns)."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, size: int) -> str:
    return text + " " * max(size - _cells(text), 0)
