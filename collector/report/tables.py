"""The tables of a report as CSV: English names of columns, one table a file. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from collector.admin.export import csv_bytes
from collector.api.event_messages import EventShown
from collector.api.interceptions import InterceptionPage, InterceptionRow
from collector.report.asked import ReportAsked, day_text, minute_text
from collector.report.changes import ChangeFinding
from collector.report.findings import Networks, PlaceFinding
from collector.report.frozen import FoundRows
from probe.rules import RULES

_DAY_SECONDS = 86_400.0


class ReportTable(NamedTuple):
    """One table.

    Attributes:
        name: Of its file, without the ending.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    def csv(self) -> bytes:
        """The file's contents."""
        return csv_bytes([self.columns, *self.rows])


def interference(found: Iterable[PlaceFinding]) -> ReportTable:
    """Which sites are interfered with, on which networks, how, and on what evidence."""
    columns = PlaceFinding.__struct_fields__
    return ReportTable("interference", columns, [[_cell(one, c) for c in columns] for one in found])


def changes(found: Iterable[ChangeFinding]) -> ReportTable:
    """What changed against the previous time."""
    columns = ChangeFinding.__struct_fields__
    return ReportTable("changes", columns, [[_cell(one, c) for c in columns] for one in found])


def _cell(one: PlaceFinding | ChangeFinding, column: str) -> object:
    value = getattr(one, column)
    if column in {"first_seen", "last_seen"}:
        return minute_text(value)
    if isinstance(value, Mapping):
        return " ".join(f"{word}:{n}" for word, n in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def measured(found: FoundRows, networks: Networks) -> ReportTable:
    """Every measured site on every network, with its counts."""
    columns = [*found.names[:3], "network", *found.names[3:]]
    rows = [
        [
            *row[:3],
            networks.name(row[2]),
            *(_timed(c, v) for c, v in zip(columns[4:], row[3:], strict=True)),
        ]
        for row in found.rows
    ]
    return ReportTable("sites", columns, rows)


def _timed(column: str, value: Any) -> object:
    return minute_text(value) if column.endswith("_seen") else _plain(value)


def by_day(name: str, found: FoundRows, networks: Networks, least: int = 0) -> ReportTable:
    """A table with days and networks; with `least`, whether fewer probes measured."""
    columns = [*found.names, "network"]
    if least:
        columns.append(f"fewer_than_{least}_probes")
    day, asn = found.names.index("day"), found.names.index("asn")
    rows = []
    for row in found.rows:
        shown = [day_of(row[day]) if i == day else _plain(v) for i, v in enumerate(row)]
        shown.append(networks.name(row[asn]))
        if least:
            shown.append(str(row[found.names.index("probes")] < least).lower())
        rows.append(shown)
    return ReportTable(name, columns, rows)


def day_of(day: int) -> str:
    """A day by its number since 1970."""
    return day_text(day * _DAY_SECONDS)


def mechanisms(found: FoundRows, networks: Networks) -> ReportTable:
    """By which mechanisms, at each place."""
    rows = [[*row[:2], networks.name(row[1]), *row[2:]] for row in found.rows]
    return ReportTable("mechanisms", [*found.names[:2], "network", *found.names[2:]], rows)


def events(found: Iterable[EventShown]) -> ReportTable:
    """The events that lasted in the time of the report."""
    columns = (
        "id", "kind", "state", "target", "category", "country", "asn", "network", "began_after",
        "began_by", "ended_after", "ended_by", "last_seen_at", "confirmed_at", "mechanisms",
        "authority", "agree", "able", "confidence", "sources", "group", "revision", "coarse",
        "reason", "evidence",
    )  # fmt: skip
    return ReportTable("events", columns, [_event(one) for one in found])


def _event(one: EventShown) -> list[object]:
    ended = one.ended
    cells = [
        *(one.id, one.kind, one.state, one.target, one.category, one.country, one.asn, one.network),
        *(one.began.after, one.began.by, ended and ended.after, ended and ended.by),
        *(one.last_seen_at, one.confirmed_at, " ".join(one.mechanisms), one.authority),
        *(one.probes.agree, one.probes.able, one.confidence, " ".join(one.sources), one.group),
        *(one.revision, one.coarse, one.reason, " ".join(one.evidence)),
    ]
    return [_plain(cell) for cell in cells]


def interceptions(found: Sequence[InterceptionRow]) -> ReportTable:
    """The certificates that were served instead of the sites' own: the API's table."""
    columns, *rows = InterceptionPage(interceptions=list(found), next=None).table()
    return ReportTable("interceptions", [str(one) for one in columns], rows)


def rules(found: FoundRows) -> ReportTable:
    """The rules that decided, with what each says."""
    sentences = {rule.id: rule.sentence for rule in RULES}
    excludes = {rule.id: " ".join(rule.excludes) for rule in RULES}
    rows = [[*row, sentences.get(row[0], ""), excludes.get(row[0], "")] for row in found.rows]
    return ReportTable("rules", [*found.names, "sentence", "excludes"], rows)


def outcomes(found: Iterable[tuple[str, int, int]]) -> ReportTable:
    """Measurements by outcome, now and before."""
    rows = [list(one) for one in found]
    return ReportTable("outcomes", ("outcome", "measurements", "measurements_before"), rows)


def summary(now: Mapping[str, int], before: Mapping[str, int], confirmed: int) -> ReportTable:
    """The sums of both times; of the previous one it is not told what was confirmed."""
    rows: list[list[object]] = [[name, now[name], before[name]] for name in now]
    rows.append(["sites_confirmed", confirmed, ""])
    return ReportTable("summary", ("what", "number", "number_before"), rows)


def daily(pages: Iterator[Sequence[Sequence[Any]]]) -> Iterator[bytes]:
    """Counts by day, site, network and outcome, piece by piece."""
    (columns,) = next(pages)
    yield csv_bytes([columns])
    for page in pages:
        yield csv_bytes([[day_of(row[0]), *row[1:]] for row in page])


def period(asked: ReportAsked) -> tuple[str, str]:
    """The first and the last day of a report."""
    return day_text(asked.since), day_text(asked.until - _DAY_SECONDS)
