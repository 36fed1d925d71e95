"""Some records of an event in words, and its certificates beside each other. Pure, but for `read`.

The words are those of `qazprobe results show`. The verdict is the collector's, not the probe's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from collector.admin import export
from collector.api import query
from collector.care import Care
from collector.store import Operation
from collector.store.queries import MeasurementSummary, StoredRecord
from collector.web.languages import Language
from probe import codec, i18n
from probe.escape import plain
from probe.i18n import _
from probe.model import Record, Verdict
from probe.report import certificate_diff
from probe.report.certificate_diff import ServedLeaf
from probe.report.explain import Section, explain

RECORDS = 3
# A line is a sentence; what a server sent is at most part of one.
_LINE = 600
_LINES = 200


@dataclass(frozen=True, slots=True)
class CertificateField:
    """One field of both certificates."""

    name: str
    received: str
    genuine: str
    same: bool


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A forged certificate and the site's own.

    Attributes:
        received_from, genuine_from: Where each was seen; the second is empty where it was not.
        received_sha256, genuine_sha256: Of those that this collector keeps, else empty.
    """

    fields: Sequence[CertificateField]
    received_from: str
    genuine_from: str
    received_sha256: str
    genuine_sha256: str


@dataclass(frozen=True, slots=True)
class RecordInWords:
    """One record, explained."""

    id: str
    headline: str
    sections: Sequence[Section]
    ruleset: str
    certificates: CertificatePair | None


Read = tuple[MeasurementSummary, StoredRecord]


def read(ids: Iterable[str], care: Care) -> Operation[list[Read]]:
    """Those of some records that this reader may see and that still have their evidence."""
    found: list[Read] = []
    for id_ in ids:
        one = yield from query.one_shown(id_, care)
        if one is not None and one[1] is not None and len(found) < RECORDS:
            found.append((one[0], one[1]))
    return found


def in_words(found: Iterable[Read], language: Language) -> list[RecordInWords]:
    """Records explained in a language."""
    with i18n.speaking(language):
        return [made for one in found if (made := _in_words(*one)) is not None]


def decoded(stored: StoredRecord) -> Record | None:
    """A stored record; None where this version cannot read it any more."""
    try:
        return codec.decode(export.record_line(stored) or b"")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def pairs(records: Iterable[RecordInWords]) -> list[CertificatePair]:
    """The certificates of these records, each pair once wherever it was seen."""
    found: dict[object, CertificatePair] = {}
    for one in (record.certificates for record in records):
        if one is not None:
            found.setdefault(tuple(one.fields), one)
    return list(found.values())


def _in_words(row: MeasurementSummary, stored: StoredRecord) -> RecordInWords | None:
    record = decoded(stored)
    try:
        verdict = msgspec.json.decode(row.verdict, type=Verdict) if row.verdict else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if record is None:
        return None
    record = msgspec.structs.replace(record, verdict=verdict)
    explained = explain(record)
    return RecordInWords(
        id=record.id,
        headline=plain(explained.headline, _LINE),
        sections=[_safe(one) for one in explained.sections],
        ruleset=row.ruleset,
        certificates=_certificates(record),
    )


def _safe(section: Section) -> Section:
    return Section(section.title, tuple(plain(one, _LINE) for one in section.lines[:_LINES]))


def _certificates(record: Record) -> CertificatePair | None:
    received = certificate_diff.forged_certificate(record)
    if received is None:
        return None
    genuine = certificate_diff.genuine_certificate(record, received)
    return CertificatePair(
        fields=list(_fields(received, genuine)),
        received_from=plain(received.where, _LINE),
        genuine_from=plain(genuine.where, _LINE) if genuine is not None else "",
        received_sha256=_kept(received, record),
        genuine_sha256=_kept(genuine, record) if genuine is not None else "",
    )


def _kept(leaf: ServedLeaf, record: Record) -> str:
    sha256 = leaf.step.chain[0] if leaf.step.chain else ""
    return sha256 if sha256 in record.certs else ""


def _fields(received: ServedLeaf, genuine: ServedLeaf | None) -> Iterator[CertificateField]:
    own = certificate_diff.leaf_fields(genuine) if genuine is not None else {}
    for name, value in certificate_diff.leaf_fields(received).items():
        other = own.get(name, "")
        same = bool(value) and value == other
        yield CertificateField(_(name), plain(value, _LINE), plain(other, _LINE), same)
