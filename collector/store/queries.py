"""Records and votes out of the store, as operations: in pages, by cursors that stay valid."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from collector.store.interface import Operation, Query, QueryEach

LAST = 2**63 - 1
HOUR = 3600


class MeasurementSummary(NamedTuple):
    """One record as the table `measurement` knows it."""

    seq: int
    id: str
    run: str
    role: str
    lab: int
    experiment: str
    input: str
    target: str
    category: str
    at: float
    started_at: str
    country: str
    asn: int
    region: str
    network: str
    version: str
    claim: str
    claim_mechanisms: str
    outcome: str
    mechanisms: str
    stage: str
    confidence: float
    ruleset: str
    authority: str
    verdict: str
    claimed_country: str
    claimed_asn: int
    voting: int
    doubts: str
    unjudged: str


class ShownPlace(NamedTuple):
    """Where a record is in the order that the public sees."""

    hour: int
    shuffle: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records a reader wants; an empty field wants all. `since` <= measured < `until`."""

    target: str = ""
    input: str = ""
    country: str = ""
    asn: int = -1
    outcome: str = ""
    experiment: str = ""
    role: str = ""
    since: float = 0.0
    until: float = 1e12


class StoredRecord(NamedTuple):
    """A record's JSON without certificates, and its certificates by SHA-256."""

    body: bytes
    certs: dict[str, bytes]


def first_seq(instant: float) -> int:
    """The smallest number of a record that was received at or after this instant."""
    return max(0, int(instant * 1e6)) << 10


def instant_of(seq: int) -> float:
    """When the record of this number was received."""
    return (seq >> 10) / 1e6


def page(
    selection: Selection, *, cursor: int | None, limit: int, oldest_first: bool = False
) -> Operation[Sequence[MeasurementSummary]]:
    """Up to `limit` records after the cursor."""
    # A record measured since then was received since then, and numbers follow that time.
    params = {**asdict(selection), "limit": limit, "floor": first_seq(selection.since)}
    if oldest_first:
        rows = yield Query("page_oldest", {**params, "cursor": -1 if cursor is None else cursor})
    else:
        rows = yield Query("page_newest", {**params, "cursor": LAST if cursor is None else cursor})
    return [MeasurementSummary(*row) for row in rows]


def shown_page(
    selection: Selection, *, cursor: ShownPlace | None, limit: int, oldest_first: bool = False
) -> Operation[tuple[Sequence[MeasurementSummary], ShownPlace | None]]:
    """The same in the order that the public sees: by the hour, and at random within it.

    Also where the last of them is. A reader with records of his own does not see between which of
    them another one came.
    """
    first, last = int(selection.since // HOUR), int(selection.until // HOUR)
    # Of the hour of the cursor what is beyond it; of no cursor, all.
    shuffle = -1 if oldest_first else LAST
    if cursor is not None:
        first, last = (cursor.hour, last) if oldest_first else (first, cursor.hour)
        shuffle = cursor.shuffle
    params = {**asdict(selection), "first": first, "last": last, "shuffle": shuffle, "limit": limit}
    rows = yield Query("shown_oldest" if oldest_first else "shown_newest", params)
    place = ShownPlace(*rows[-1][-2:]) if rows else None
    return [MeasurementSummary(*row[:-2]) for row in rows], place


def find(id_: str) -> Operation[int | None]:
    """The number of the first record with this id."""
    rows = yield Query("measurement_seqs", {"id": id_})
    return int(rows[0][0]) if rows else None


def summary(seq: int) -> Operation[MeasurementSummary | None]:
    """One record's row."""
    found = yield from page(Selection(), cursor=seq + 1, limit=1)
    return found[0] if found and found[0].seq == seq else None


def stored(seq: int) -> Operation[StoredRecord | None]:
    """One record's evidence; None when it has been retired."""
    rows = yield Query("raw_get", {"seq": seq})
    if not rows:
        return None
    certs = yield Query("certificates_of", {"seq": seq})
    return StoredRecord(_inflated(rows[0][0]), {row[0]: bytes(row[1]) for row in certs})


def _inflated(body: bytes) -> bytes:
    """A stored body; empty when it is damaged, which is no JSON and so reads as unreadable."""
    try:
        return zlib.decompress(body)
    except zlib.error:
        return b""


def stored_many(seqs: Sequence[int]) -> Operation[Mapping[int, StoredRecord]]:
    """The evidence of several records by their number, of those that still have it."""
    each = [{"seq": seq} for seq in seqs]
    bodies = yield QueryEach("raw_get", each)
    certs = yield QueryEach("certificates_of", each)
    return {
        seq: StoredRecord(_inflated(body[0][0]), {row[0]: bytes(row[1]) for row in of})
        for seq, body, of in zip(seqs, bodies, certs, strict=True)
        if body
    }
