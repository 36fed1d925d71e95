"""Lots: some records and what belongs to them, gathered by day and country, and written at once.

Rule: the manifest is written after the files of a lot. So a writer that is killed loses the lot in
hand and nothing else, and memory does not grow with the number of records.
"""

import secrets
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from collector.admin.export_columns import Pseudonyms, columns
from collector.lake import flatten, manifest as manifests
from collector.lake.files import LakeFiles
from collector.lake.manifest import LakeOrigin, Manifest, Part
from collector.lake.parts import Partition, partition_of, table_of, table_of_columns, write_part
from collector.store.exports import ExportRow
from collector.store.measurements import CONCLUSIVE, UNLISTED

# Of one lot: a row has about 3 KB in memory as long as it is not packed.
LOT_RECORDS, LOT_STEPS, LOT_BYTES = 40_000, 120_000, 256 * 1024 * 1024

# Its rows are the same for many records.
_ONCE = "certificates"

Tables = dict[str, dict[Partition, list[dict[str, Any]]]]


@dataclass
class LakeWritten:
    """What one call of `write` added, and how many records it removed of keys that were erased."""

    records: int = 0
    rows: int = 0
    unreadable: int = 0
    parts: int = 0
    erased: int = 0


@dataclass
class Lot:
    """What the next files will have, by partition: records, and rows of the other tables."""

    rows: dict[Partition, list[ExportRow]] = field(default_factory=lambda: defaultdict(list))
    tables: Tables = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    records: int = 0
    steps: int = 0
    size: int = 0
    first: int = -1
    last: int = -1
    unreadable: int = 0

    @property
    def full(self) -> bool:
        many = self.records >= LOT_RECORDS or self.steps >= LOT_STEPS
        return many or self.size >= LOT_BYTES


class LotWriter:
    """Writes lots for one origin and keeps the manifest.

    Attributes:
        sources: Keys under which the operator imported records.
    """

    def __init__(
        self, files: LakeFiles, origin: str, manifest: Manifest, pseudonyms: Pseudonyms
    ) -> None:
        self._files, self._origin = files, origin
        self._manifest, self._pseudonyms = manifest, pseudonyms
        self.sources: frozenset[str] = frozenset()
        self.done = LakeWritten()

    @property
    def manifest(self) -> Manifest:
        """The manifest as it is now."""
        return self._manifest

    @property
    def upto(self) -> int:
        return self._state.upto

    @property
    def _state(self) -> LakeOrigin:
        return self._manifest.origins.get(self._origin, LakeOrigin())

    def add(
        self, lot: Lot, row: ExportRow, body: bytes | None, served: Iterable[tuple[str, bytes]]
    ) -> None:
        """Put a row, its evidence and the certificates that were served where they belong."""
        where = partition_of(row.at, row.country)
        lot.rows[where].append(row)
        for sha256, der in served:
            lot.tables["certificates"][where].append(flatten.certificate(sha256, der))
            lot.size += len(der)
        if body is not None:
            steps = _steps(row, body)
            lot.unreadable += steps is None
            lot.tables["steps"][where].extend(steps or ())
            lot.steps += len(steps or ())
            lot.size += sum(len(step["step"]) for step in steps or ())
        lot.records += 1
        lot.first = row.seq if lot.first < 0 else lot.first
        lot.last = row.seq

    def flush(self, lot: Lot, name: str, *, upto: int) -> Lot:
        """Write a lot's files and then the manifest; return an empty lot.

        Args:
            name: Of the files, behind that of their origin; no other lot has it.
        """
        if lot.records:
            name = f"{self._origin[:8]}-{name}"
            parts = [*self._parts_of_rows(lot.rows, name), *self._parts(lot.tables, name)]
            reached = msgspec.structs.replace(self._state, upto=upto)
            self._keep(self._manifest.changed(more=parts, origins={self._origin: reached}))
            self.done.records += lot.records
            self.done.unreadable += lot.unreadable
            self._count(parts)
        return Lot()

    def replace(self, table: str, rows: Mapping[Partition, list[dict[str, Any]]]) -> None:
        """Give a table other rows of this origin; nothing is written when they are the same."""
        name = f"{self._origin[:8]}-{self._manifest.generation}-{secrets.token_hex(4)}"
        parts = list(self._parts({table: rows}, name))
        old = [part for part in self._manifest.of(table) if part.origin == self._origin]
        if {(one.day, one.country, one.sha256) for one in parts} == {
            (one.day, one.country, one.sha256) for one in old
        }:
            parts, old = old, parts  # the same again: what was just written goes
        else:
            self._keep(self._manifest.changed(without=old, more=parts))
            self._count(parts)
        for part in old:
            self._files.delete(part.path)

    def _parts_of_rows(
        self, partitions: dict[Partition, list[ExportRow]], name: str
    ) -> Iterator[Part]:
        for where, rows in sorted(partitions.items()):
            looks = [row for row in rows if _is_vote(row)]
            for table, some in (("measurements", rows), ("votes", looks)):
                if some:
                    found = columns(some, self._pseudonyms)
                    imported = {"imported": [row.key_id in self.sources for row in some]}
                    made = table_of_columns(table, {**found, **imported})
                    yield write_part(
                        self._files, table, where, made, origin=self._origin, name=name
                    )

    def _parts(
        self, tables: Mapping[str, Mapping[Partition, list[dict[str, Any]]]], name: str
    ) -> Iterator[Part]:
        for table, partitions in tables.items():
            for where, rows in sorted(partitions.items()):
                once = {row["sha256"]: row for row in rows}.values() if table == _ONCE else rows
                made = table_of(table, once)
                yield write_part(self._files, table, where, made, origin=self._origin, name=name)

    def _keep(self, manifest: Manifest) -> None:
        manifests.write(self._files, manifest)
        self._manifest = manifest

    def _count(self, parts: Sequence[Part]) -> None:
        self.done.parts += len(parts)
        self.done.rows += sum(part.rows for part in parts)


def _is_vote(row: ExportRow) -> bool:
    """Whether the record counts as a look of a probe at a listed target."""
    counts = row.role == "probe" and row.voting and row.counted
    return bool(counts) and row.target != UNLISTED and row.outcome in CONCLUSIVE


def _steps(row: ExportRow, body: bytes) -> list[flatten.StepRow] | None:
    """The rows of a record's evidence; None when it is not readable."""
    known = {"id": row.id, "target": row.target, "measured_at": row.at}
    try:
        return list(flatten.rows(zlib.decompress(body), known))
    except (zlib.error, msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
