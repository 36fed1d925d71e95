"""The columns of an export, the same in JSON lines, CSV and Parquet.

Rule: a column has one name and one type in every format. Times are instants in UTC. What the probe
claims and what the collector found have different names. A key is its pseudonym in this release.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

from collector import care
from collector.record_row import instant
from collector.standing import Standings
from collector.store.exports import ExportRow, pseudonym

Cell = str | bool | int | float | None
ColumnType = Literal["text", "flag", "whole", "number", "time"]


class Pseudonyms:
    """The pseudonyms of keys, and of what they share, in one release.

    In public a key has another one on each network, so that a reader cannot follow a traveller.
    """

    def __init__(self, secret: bytes, standings: Standings, *, public: bool) -> None:
        self._secret = secret
        self._standings = standings
        self._public = public
        self.key = lru_cache(maxsize=100_000)(self._key)
        self.origin = lru_cache(maxsize=100_000)(self._origin)

    def _key(self, key_id: str, country: str, asn: int) -> str:
        where = f" {country} {asn}" if self._public else ""
        return self._hashed(f"key {key_id}{where}")

    def _origin(self, key_id: str, country: str, asn: int) -> str:
        """A word for each thing that it may share with other keys, which then have one vote."""
        labels = self._standings.labels(key_id, (country, asn))
        where = f" {country} {asn}" if self._public else ""
        return " ".join(sorted(self._hashed(f"{kind} {name}{where}") for kind, name in labels))

    def standing(self, row: ExportRow) -> str:
        """Why its votes count: `vouched` or `earned`; `stranger` when they do not."""
        return "vouched" if row.lab else self._standings.word(row.key_id)

    def _hashed(self, text: str) -> str:
        return pseudonym(self._secret, text)


class Column(NamedTuple):
    """One column: its type, what it has for a row, and its place there if it is one of it."""

    type: ColumnType
    value: Callable[[ExportRow, Pseudonyms], Cell]
    place: int | None = None


class _Hit(msgspec.Struct):
    id: str


class _Verdict(msgspec.Struct):
    rules: tuple[_Hit, ...] = ()


_verdict = msgspec.json.Decoder(_Verdict)


def deciding_rule(verdict: str) -> str:
    """The rule that decided, which is the first one that a verdict (as JSON) names."""
    rules = _verdict.decode(verdict).rules if verdict else ()
    return rules[0].id if rules else ""


def _field(name: str, type_: ColumnType = "text") -> Column:
    number = ExportRow._fields.index(name)
    if type_ == "flag":
        return Column(type_, lambda row, _: bool(row[number]), number)
    return Column(type_, lambda row, _: row[number], number)


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "id": _field("id"),
        "run": _field("run"),
        "key": Column("text", lambda row, of: of.key(row.key_id, row.country, row.asn)),
        "origin": Column("text", lambda row, of: of.origin(row.key_id, row.country, row.asn)),
        "standing": Column("text", lambda row, of: of.standing(row)),
        "voting": _field("voting", "flag"),
        "excluded": Column("flag", lambda row, _: not row.counted),
        "doubts": _field("doubts"),
        "unjudged": _field("unjudged"),
        "role": _field("role"),
        "lab": _field("lab", "flag"),
        # Whether the row is shown to the hour only, without what tells who measured it.
        "coarse": Column("flag", lambda _row, _: False),
        "experiment": _field("experiment"),
        "input": _field("input"),
        "target": _field("target"),
        "category": _field("category"),
        "measured_at": _field("at", "time"),
        "started_at": Column("time", lambda row, _: instant(row.started_at)),
        "received_at": _field("received_at", "time"),
        "country": _field("country"),
        "asn": _field("asn", "whole"),
        "region": _field("region"),
        "network": _field("network"),
        "claimed_country": _field("claimed_country"),
        "claimed_asn": _field("claimed_asn", "whole"),
        "version": _field("version"),
        "made_from": _field("made_from"),
        "outcome": _field("outcome"),
        "mechanisms": _field("mechanisms"),
        "stage": _field("stage"),
        "confidence": _field("confidence", "number"),
        "rule": Column("text", lambda row, _: deciding_rule(row.verdict)),
        "ruleset": _field("ruleset"),
        "authority": _field("authority"),
        "claim": _field("claim"),
        "claim_mechanisms": _field("claim_mechanisms"),
        "rate_target": _field("rate_target", "number"),
        "rate_reference": _field("rate_reference", "number"),
        "anchors_foreign": _field("anchors_foreign", "number"),
        "anchors_domestic": _field("anchors_domestic", "number"),
        "line_faults": _field("line_faults"),
        "line_round_trip": _field("line_round_trip", "number"),
        "line_loss": _field("line_loss", "number"),
    }
)
NAMES = tuple(COLUMNS)
_TIMES = frozenset(name for name, column in COLUMNS.items() if column.type == "time")
# What keys share may tell as much as they do, and an arrival is soon after a look.
_HIDDEN = frozenset({"origin", "received_at"})


def columns(rows: Sequence[ExportRow], pseudonyms: Pseudonyms) -> dict[str, Sequence[Cell]]:
    """Many rows column by column, which is several times faster; times are Unix times."""
    turned = list(zip(*rows, strict=True))
    return {
        name: _column(column, turned)
        if column.place is not None and turned
        else [column.value(row, pseudonyms) for row in rows]
        for name, column in COLUMNS.items()
    }


def _column(column: Column, turned: Sequence[Sequence[Cell]]) -> Sequence[Cell]:
    values = turned[column.place or 0]
    return [bool(one) for one in values] if column.type == "flag" else values


def cells(row: ExportRow, pseudonyms: Pseudonyms, *, coarse: bool) -> dict[str, Cell]:
    """A row by column; times are Unix times yet. A coarse one has no more than may be shown."""
    found = {name: column.value(row, pseudonyms) for name, column in COLUMNS.items()}
    if not coarse:
        return found
    shown = {name: _coarse(name, value) for name, value in care.coarsened(found).items()}
    return {**shown, "coarse": True}


def _coarse(name: str, value: Cell) -> Cell:
    if name in _HIDDEN:
        return None
    if name in _TIMES and isinstance(value, int | float):
        return care.hour_of(value)
    return value


def with_instants(found: Mapping[str, Cell]) -> dict[str, Cell]:
    """The same with times as text."""
    return {name: _text(value) if name in _TIMES else value for name, value in found.items()}


def _text(value: Cell) -> Cell:
    """A Unix time as RFC 3339 in UTC, with milliseconds."""
    if not isinstance(value, int | float):
        return value
    text = datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
