"""The table of a run: one row for each target, readable without colours.

Interference comes first; working targets are only counted if there are many. On a narrow terminal
the columns of a row stand below each other. Text from the network is escaped.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from probe.escape import plain
from probe.i18n import N_, _, reason
from probe.model import Outcome, RunFacts
from probe.ordering import SERVICE
from probe.report import unmeasured
from probe.report.cells import cells, pad, wrap
from probe.report.findings import ROW_ORDER, JudgedRecord, TargetFinding, findings
from probe.report.glossary import MARKS, counted, word
from probe.report.names import shown_url

_HEADINGS = ("", N_("outcome"), N_("mechanism"), N_("conf."), N_("target"), N_("reason"))
_OK_ROWS = 30
_GAP = 2
_INDENT = " " * (len(MARKS[Outcome.OK]) + _GAP)
# In columns: a reason with less room would be hard to read. Longer targets are wrapped; all others
# stay whole, or the rows are stacked.
_SHORTEST_REASON = 28
_LONGEST_TARGET = 44

Row = tuple[str, ...]


def render(
    records: Iterable[JudgedRecord],
    facts: RunFacts | None,
    width: int | None = None,
    *,
    everything: bool = False,
) -> str:
    """Return the table, its summary, and the reasons for targets that were not measured.

    Args:
        everything: Working targets have rows even if there are many.
    """
    columns = width or shutil.get_terminal_size((100, 24)).columns
    found = findings(records)
    fine = [one for one in found if one.outcome is Outcome.OK]
    short = everything or len(fine) <= _OK_ROWS
    shown = found if short else found[: len(found) - len(fine)]
    lines = [*_rows(shown, columns), *_summary(found, facts, columns)]
    return "\n".join(lines) + "\n"


def target_label(target: str, experiment: str) -> str:
    """Return the target as people write it; for the connection itself, what was measured."""
    if not target:
        return _("this connection ({experiment})").format(experiment=experiment)
    if target.startswith(SERVICE):
        return plain(_("service {name}").format(name=target.removeprefix(SERVICE)))
    return plain(shown_url(target).removesuffix("/"))


def seen(records: Sequence[JudgedRecord]) -> str:
    """Return what each experiment saw, if there were several: `web ok · throttle throttled`."""
    parts = [
        f"{plain(one.experiment, 20)} {word(one.verdict.outcome)}"
        for one in records
        if one.verdict is not None
    ]
    return " · ".join(parts) if len(parts) > 1 else ""


def _rows(found: Sequence[TargetFinding[JudgedRecord]], width: int) -> Iterator[str]:
    if not found:
        return
    rows = [_row(one) for one in found]
    extras = [seen(one.records) for one in found]
    widths = _widths(rows, width)
    if widths is None:
        longest = max(cells(row[1]) for row in rows)
        for one, row, extra in zip(found, rows, extras, strict=True):
            padded = (row[0], pad(row[1], min(longest, width // 4)), *row[2:])
            yield from _stacked(padded, extra, width, brief=one.outcome is Outcome.OK)
        yield ""
        return
    yield from _in_columns([_(text) if text else "" for text in _HEADINGS], "", widths)
    for row, extra in zip(rows, extras, strict=True):
        yield from _in_columns(row, extra, widths)
    yield ""


def _row(finding: TargetFinding[JudgedRecord]) -> Row:
    verdict = finding.verdict
    return (
        MARKS[verdict.outcome],
        word(verdict.outcome),
        ", ".join(verdict.mechanisms),
        f"{verdict.confidence:.0%}",
        target_label(finding.target, finding.gravest.experiment),
        plain(reason(verdict.rules[0].reason)) if verdict.rules else "",
    )


def _widths(rows: Sequence[Row], width: int) -> list[int] | None:
    """Return the width of each column; None if the reason would have too little room."""
    table = [[_(text) if text else "" for text in _HEADINGS], *rows]
    widths = [max(cells(row[index]) for row in table) for index in range(5)]
    # Mechanisms are listed below each other.
    widths[2] = max(cells(part) for row in table for part in [*row[2].split(), ""])
    widths[4] = min(widths[4], _LONGEST_TARGET)
    rest = width - sum(widths) - 5 * _GAP
    return [*widths, rest] if rest >= _SHORTEST_REASON else None


def _in_columns(row: Sequence[str], extra: str, widths: Sequence[int]) -> Iterator[str]:
    columns = [wrap(text, size) for text, size in zip(row, widths, strict=True)]
    columns[4] = wrap(row[4], widths[4], indent=1)
    columns[5] = [*columns[5], *(wrap(extra, widths[5]) if extra else ())]
    for index in range(max(map(len, columns))):
        line = [column[index] if index < len(column) else "" for column in columns]
        padded = [pad(text, size) for text, size in zip(line, widths, strict=True)]
        yield (" " * _GAP).join(padded).rstrip()


def _stacked(row: Row, extra: str, width: int, *, brief: bool) -> Iterator[str]:
    """Yield the columns of one row below each other; `brief`: no reason, for what works."""
    mark, outcome, mechanism, confidence, target, why = row
    lead = f"{mark}{' ' * _GAP}{outcome}{' ' * _GAP}"
    lines = wrap(target, max(width - cells(lead), 1), indent=1)
    yield f"{lead}{lines[0]}"
    yield from (f"{' ' * cells(lead)}{line}" for line in lines[1:])
    sure = _("confidence {confidence}").format(confidence=confidence)
    details = [f"{mechanism}, {sure}" if mechanism else sure, why] if not brief else [mechanism]
    for text in (*details, extra):
        if text:
            yield from (f"{_INDENT}{line}" for line in wrap(text, width - len(_INDENT)))


def _summary(
    found: Sequence[TargetFinding[JudgedRecord]], facts: RunFacts | None, width: int
) -> Iterator[str]:
    counts = Counter(one.outcome for one in found)
    text = ", ".join(counted(counts[one], one) for one in ROW_ORDER if counts[one])
    measured = _("{number} measured").format(number=len(found))
    yield from wrap(f"{measured}: {text}" if text else measured, width, indent=_GAP)
    if facts is not None and (skipped := unmeasured.counts(facts)):
        missing = _("{number} not measured: {reasons}").format(
            number=sum(skipped.values()), reasons=unmeasured.reasons(skipped)
        )
        yield from wrap(plain(missing, 500), width, indent=_GAP)
    if any(one.outcome is not Outcome.OK for one in found):
        hint = _("The evidence for one target: {command}")
        yield from wrap(hint.format(command="qazprobe results show URL"), width, indent=_GAP)
