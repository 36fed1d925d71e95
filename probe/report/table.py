"""What a run found, for a person: one row a target, in words that need no colour to be understood.

Everything that a stranger wrote (host names, network names) is made harmless first. What needs
attention comes first; what works is only counted, unless there is little of it.
"""

import shutil
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

from probe.escape import plain
from probe.model import Outcome, Record, RunFacts

# What a reader should see first.
_ORDER = (
    Outcome.INTERCEPTED,
    Outcome.BLOCKED,
    Outcome.THROTTLED,
    Outcome.INCONCLUSIVE,
    Outcome.REFUSED,
    Outcome.DOWN,
    Outcome.OK,
)
# A mark besides the word, so that rows can be told apart at a glance and without colours.
_MARKS = {
    Outcome.INTERCEPTED: "!!",
    Outcome.BLOCKED: "XX",
    Outcome.THROTTLED: "~~",
    Outcome.INCONCLUSIVE: "??",
    Outcome.REFUSED: "--",
    Outcome.DOWN: "--",
    Outcome.OK: "  ",
}
_HEADINGS = ("", "outcome", "how", "sure", "target", "why")
_OK_ROWS = 30
_LEAST_WHY = 24
_LONGEST_TARGET = 44


def sure(confidence: float) -> str:
    """Confidence in words and per cent."""
    return f"{confidence:.0%}"


def render(records: Iterable[Record], facts: RunFacts | None, width: int | None = None) -> str:
    """The table, its summary, and what was not measured."""
    columns = width or shutil.get_terminal_size((100, 24)).columns
    judged = [record for record in records if record.verdict is not None]
    judged.sort(key=lambda record: (_rank(record), record.input))
    fine = [record for record in judged if record.verdict and record.verdict.outcome is Outcome.OK]
    shown = judged if len(fine) <= _OK_ROWS else judged[: len(judged) - len(fine)]
    parts = [_laid_out([_row(record) for record in shown], columns)] if shown else []
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
        sure(verdict.confidence),
        plain(record.input.removesuffix("/")),
        plain(reason),
    )


def _laid_out(rows: Sequence[tuple[str, ...]], width: int) -> str:
    """Columns as wide as their content, the last one wrapped into what is left."""
    table = [_HEADINGS, *rows]
    widths = [max(_cells(row[index]) for row in table) for index in range(5)]
    widths[4] = min(widths[4], _LONGEST_TARGET)
    left = sum(widths) + 2 * len(widths)
    why = max(width - left, _LEAST_WHY)
    lines: list[str] = []
    for row in table:
        target = textwrap.wrap(row[4], widths[4]) or [""]
        reason = textwrap.wrap(row[5], why) or [""]
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
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    lines = [f"{len(judged)} measured: {said or 'nothing'}"]
    if facts is not None and facts.skipped:
        reasons = dict.fromkeys(skip.reason for skip in facts.skipped)
        lines.append(f"{len(facts.skipped)} not measured: {'; '.join(reasons)}")
    return lines


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes (East Asian wide characters take two)."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _pad(text: str, size: int) -> str:
    return text + " " * max(size - _cells(text), 0)
