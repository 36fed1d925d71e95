"""Take the records of another collector into a lake, by its export.

Rules: a pull replaces what the lake has of that collector on the days that were asked for, all at
once at its end, so that what was erased there is gone here too, and a pull that is killed changes
nothing. A record that the lake has of another collector already is left out. What comes is as
hostile as an upload: each line is bounded, and one that is no record is counted and left out.
"""

import re
import secrets
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from collector.admin.export_columns import COLUMNS
from collector.lake import flatten, manifest as manifests
from collector.lake.files import LakeFiles
from collector.lake.manifest import LakeOrigin, Part
from collector.lake.parts import Partition, ids_of, partition_of, table_of, write_part
from collector.record_row import instant
from collector.settings import SettingsError
from collector.store.measurements import CONCLUSIVE, UNLISTED
from probe.codec import LINE_LIMIT

# A record with its certificates, and its columns.
LINE_BYTES = 2 * LINE_LIMIT
_LOT_STEPS, _LOT_BYTES = 120_000, 64 * 1024 * 1024
_TIMES = tuple(name for name, column in COLUMNS.items() if column.type == "time")
_COUNTRY = re.compile(r"[A-Z][A-Z0-9]")  # it names a folder
_line = msgspec.json.Decoder(dict[str, msgspec.Raw])
_columns = msgspec.json.Decoder(dict[str, str | bool | int | float | None])
_certs = msgspec.json.Decoder(dict[str, str])


@dataclass
class LakePulled:
    """What came of a pull.

    Attributes:
        known: Records that another collector had sent already.
        refused: Lines that are no record with columns.
    """

    records: int = 0
    known: int = 0
    refused: int = 0
    replaced: int = 0


@dataclass
class LakePull:
    """One pull: lines come in, files come out, and the manifest at the end.

    Attributes:
        since, until: First day, and the day after the last one, `YYYY-MM-DD`.
        trusted: Whether the looks of that collector's keys count here.
    """

    files: LakeFiles
    origin: str
    since: str
    until: str
    trusted: bool = False
    told: Callable[[int], None] = lambda _: None
    done: LakePulled = field(default_factory=LakePulled)

    def __post_init__(self) -> None:
        self._known = manifests.read(self.files, create=True)
        # Who it is, is the other collector's own word, and its records replace what is here.
        if self._known.origins.get(self.origin, LakeOrigin()).upto >= 0:
            told = f"pull: the lake has the records of {self.origin} from its store"
            raise SettingsError(told)
        manifests.sweep(self.files, self._known)
        self._lot: dict[str, dict[Partition, list[dict[str, Any]]]] = {}
        self._steps = self._bytes = 0
        self._parts: list[Part] = []
        self._others: dict[Partition, frozenset[str]] = {}
        self._seen: set[str] = set()

    def add(self, line: bytes) -> None:
        """Take one line of an export."""
        try:
            columns, steps, certs = _read(line)
            where = partition_of(columns["measured_at"], columns["country"])
        except (msgspec.MsgspecError, ValueError, KeyError, OverflowError, RecursionError):
            self.done.refused += 1
            return
        if not self.since <= where.day < self.until:
            return
        id_ = columns["id"]
        if id_ in self._seen or id_ in self._ids_of_others(where):
            self.done.known += 1
            return
        self._seen.add(id_)
        self._bytes += len(line)
        self._put(where, columns, steps, certs)
        self.done.records += 1

    def finish(self) -> LakePulled:
        """Write the rest, and make the new files part of the lake instead of the old ones."""
        self._flush()
        old = [part for part in self._known.parts if self._is_replaced(part)]
        state = self._known.origins.get(self.origin, LakeOrigin())
        changed = self._known.changed(without=old, more=self._parts, origins={self.origin: state})
        manifests.write(self.files, changed)
        for part in old:
            self.files.delete(part.path)
        self.done.replaced = sum(part.rows for part in old if part.table == "measurements")
        return self.done

    def _is_replaced(self, part: Part) -> bool:
        return part.origin == self.origin and self.since <= part.day < self.until

    def _ids_of_others(self, where: Partition) -> frozenset[str]:
        if where not in self._others:
            self._others[where] = frozenset(
                ids_of(self.files, self._known, where, without=self.origin)
            )
        return self._others[where]

    def _put(
        self,
        where: Partition,
        columns: dict[str, Any],
        steps: Sequence[flatten.StepRow],
        certs: Sequence[flatten.CertificateRow],
    ) -> None:
        if not self.trusted:
            columns["standing"] = "stranger"
        self._rows("measurements", where).append(columns)
        if _is_vote(columns):
            self._rows("votes", where).append(columns)
        self._rows("steps", where).extend(steps)
        self._rows("certificates", where).extend(certs)
        self._steps += len(steps)
        if self._steps >= _LOT_STEPS or self._bytes >= _LOT_BYTES:
            self._flush()

    def _rows(self, table: str, where: Partition) -> list[dict[str, Any]]:
        return self._lot.setdefault(table, defaultdict(list))[where]

    def _flush(self) -> None:
        name = f"{self.origin[:8]}-pulled-{secrets.token_hex(4)}"
        for table, where, rows in _filled(self._lot):
            made = table_of(table, rows)
            self._parts.append(
                write_part(self.files, table, where, made, origin=self.origin, name=name)
            )
        self._lot, self._steps, self._bytes = {}, 0, 0
        self.told(self.done.records)


def _filled(
    lot: Mapping[str, Mapping[Partition, Sequence[dict[str, Any]]]],
) -> Iterator[tuple[str, Partition, Sequence[dict[str, Any]]]]:
    for table, partitions in lot.items():
        for where, rows in sorted(partitions.items()):
            once = {row["sha256"]: row for row in rows} if table == "certificates" else None
            if rows:
                yield table, where, rows if once is None else list(once.values())


def _read(
    line: bytes,
) -> tuple[dict[str, Any], list[flatten.StepRow], list[flatten.CertificateRow]]:
    """The columns of a line, and the rows of its steps and certificates."""
    fields = _line.decode(line)
    said = _columns.decode(fields.pop("collector"))
    # Only the columns of an export: `imported` is decided by this collector alone.
    found: dict[str, Any] = {name: said.get(name) for name in COLUMNS}
    certs = _certs.decode(fields.pop("certs", msgspec.Raw(b"{}")))
    if found.get("coarse") or not isinstance(found.get("id"), str):
        raise ValueError("a record with its id expected")
    for name in _TIMES:
        value = found.get(name)
        found[name] = instant(value) if isinstance(value, str) else None
    if found["measured_at"] is None or not _is_country(found.get("country")):
        raise ValueError("a time and a country expected")
    known = {name: found.get(name) for name in ("id", "target", "measured_at")}
    steps = list(flatten.rows(msgspec.json.encode(fields), known))
    ders = {sha256: b64decode(text, validate=True) for sha256, text in certs.items()}
    return found, steps, [flatten.certificate(sha256, der) for sha256, der in ders.items()]


def _is_country(value: object) -> bool:
    return isinstance(value, str) and bool(_COUNTRY.fullmatch(value))


def _is_vote(columns: Mapping[str, Any]) -> bool:
    counts = columns.get("role") == "probe" and columns.get("voting")
    listed = columns.get("target") not in {None, UNLISTED}
    return bool(counts and listed and not columns.get("excluded")) and (
        columns.get("outcome") in CONCLUSIVE
    )
