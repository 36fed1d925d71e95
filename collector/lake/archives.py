"""Measurements of archives into a lake, without a store: OONI's, and files of our own records.

Rules: they have no signature, so none has a vote; the operator answers for them, as for an import
into a store. A record that the lake has already, from wherever, is left out. The manifest is
written after each lot: an import that was ended is begun anew, and finds what is there. Memory is
bounded by a lot and the ids of some days.
"""

import secrets
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from typing import Literal

from collector import record_row
from collector.admin.export_columns import Pseudonyms
from collector.judging import limits
from collector.lake import manifest as manifests
from collector.lake.files import LakeFiles
from collector.lake.lots import Lot, LotWriter
from collector.lake.manifest import Manifest
from collector.lake.parts import Partition, ids_of, partition_of
from collector.record_row import BatchContext, Judge
from collector.standing import Standings
from collector.store.exports import ExportRow
from collector.store.measurements import MeasurementRow
from collector.target_labels import TargetLabels
from probe.interop.reading import Read
from probe.model import Record

ArchiveFormat = Literal["qazprobe", "ooni"]
# So many ids are remembered; those of the day in hand always are.
_IDS = 1_000_000
_COLUMNS = tuple(name for name in ExportRow._fields if name != "seq")


@dataclass
class ArchiveImported:
    """What came of an import.

    Attributes:
        known: Records that the lake had already.
        left_out: Measurements of experiments that have no counterpart, by experiment.
        unjudged: Records that were kept as inconclusive, by the reason.
        first_bug: The first record that no verdict could be made of because of a bug, and the bug.
    """

    records: int = 0
    rows: int = 0
    known: int = 0
    refused: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)
    first_bug: str = ""


class LakeImport:
    """One import: what was read of archives comes in, files of a lake come out."""

    def __init__(
        self,
        files: LakeFiles,
        origin: str,
        context: BatchContext,
        *,
        labels: TargetLabels,
        judge: Judge,
    ) -> None:
        """Begin; `limits.limit_time` prepares the process.

        Args:
            origin: The word for this source in the manifest.
        """
        known = manifests.read(files, create=True)
        manifests.sweep(files, known)
        if not files.is_there(manifests.NAME):
            # A place that cannot be written is an error now, not after an hour.
            manifests.write(files, known.changed())
        self.done = ArchiveImported()
        self._context, self._labels, self._judge = context, labels, judge
        # The key stands for a source, whose name is no secret.
        pseudonyms = Pseudonyms(b"", Standings(), public=False)
        self._writer = LotWriter(files, origin, known, pseudonyms)
        self._writer.sources = frozenset({context.key_id})
        self._ids = _KnownIds(files)
        self._lot = Lot()

    def add(self, read: Read) -> str:
        """Take a measurement; why it was refused, or nothing."""
        if read.record is None:
            self.done.refused += bool(read.refused)
            self.done.left_out.update(filter(None, [read.left_out]))
            return read.refused
        context = replace(self._context, role=read.record.vantage.role, votes=False)
        why = record_row.refusal(read.record, context)
        if why:
            self.done.refused += 1
            return why
        at = record_row.event_time(read.record, context.now)
        country, _ = record_row.network_labels(read.record.vantage.country, read.record.vantage.asn)
        where = partition_of(at, country)
        if self._ids.add(self._writer.manifest, where, read.record.id):
            self._keep(self._row(read.record, context))
        else:
            self.done.known += 1
        return ""

    def finish(self) -> ArchiveImported:
        """Write the rest."""
        self._flush()
        self.done.records, self.done.rows = self._writer.done.records, self._writer.done.rows
        return self.done

    def _row(self, record: Record, context: BatchContext) -> MeasurementRow:
        def judged(one: Record) -> MeasurementRow:
            return record_row.make_row(one, context, labels=self._labels, judge=self._judge)

        try:
            return limits.limited(judged)(record)
        except limits.OutOfTime:
            reason = "time"
        except Exception as error:  # noqa: BLE001 - a bug of a rule costs its record, not the archive
            reason = "bug"
            self.done.first_bug = self.done.first_bug or f"{record.id}: {error!r}"
        self.done.unjudged[reason] += 1
        return record_row.unjudged_row(record, context, labels=self._labels, reason=reason)

    def _keep(self, row: MeasurementRow) -> None:
        found = ExportRow(seq=0, **{name: getattr(row, name) for name in _COLUMNS})
        self._writer.add(self._lot, found, row.raw, row.certs)
        if self._lot.full:
            self._flush()

    def _flush(self) -> None:
        self._lot = self._writer.flush(self._lot, f"imported-{secrets.token_hex(4)}", upto=-1)
        self._ids.trim()


class _KnownIds:
    """The ids of the records that the lake has, of the days that were asked for lately."""

    def __init__(self, files: LakeFiles) -> None:
        self._files = files
        self._found: OrderedDict[Partition, set[str]] = OrderedDict()

    def add(self, known: Manifest, where: Partition, id_: str) -> bool:
        """Note an id; False where it was there."""
        if where not in self._found:
            self._found[where] = set(ids_of(self._files, known, where))
        self._found.move_to_end(where)
        found = self._found[where]
        is_new = id_ not in found
        found.add(id_)
        return is_new

    def trim(self) -> None:
        """Forget the ids of other days when there are too many; the files have all of them now."""
        left = sum(map(len, self._found.values()))
        while left > _IDS and len(self._found) > 1:
            left -= len(self._found.popitem(last=False)[1])
