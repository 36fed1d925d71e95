"""Records in and out of the store, as operations."""

import secrets
import time
from collections.abc import Sequence

import msgspec

from collector.places import RequestOrigin
from collector.store import event_places
from collector.store.interface import Execute, Operation, Params, Query, QueryEach
from collector.store.keys import ProbeNetwork, mark_seen
from collector.store.locating import located
from collector.store.rollup import RecordCounts, hour_of, roll
from probe.analysis.confirmation import SLOWNESS, SOONEST, WEEK

UNLISTED = "unlisted"
# The outcome of a record without a target (that of a run).
NO_OUTCOME = "none"
INTERFERENCE = frozenset({"blocked", "intercepted", "throttled"})
CONCLUSIVE = INTERFERENCE | {"ok", "refused"}
# The experiments that detection over time uses.
SERIES = frozenset({"throttle", "speed", "connectivity"})
# Of the newest verdicts of several experiments on one target, the most severe is the vote.
SEVERITY = {
    "intercepted": 7,
    "blocked": 6,
    "throttled": 5,
    "refused": 4,
    "down": 3,
    "ok": 2,
    "inconclusive": 1,
    NO_OUTCOME: 0,
}


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The collector's verdict on one record, as it is stored.

    Attributes:
        unjudged: Why it was not judged; empty when it was.
    """

    outcome: str
    mechanisms: str = ""
    stage: str = "suspected"
    confidence: float = 0.0
    verdict: str = ""
    ruleset: str = ""
    authority: str = ""
    unjudged: str = ""


class MeasurementRow(Judged, frozen=True, kw_only=True):
    """One record as it is stored.

    Attributes:
        at: When it was measured, never later than it was received.
        country, asn: The network that it counts for. claimed_country, claimed_asn: that it claims.
        peer_agrees: Whether it was sent from the network it claims; None when unknown.
        voting: Whether it has a vote. counted: whether it is in the counts.
        doubts: Words of `evidence_check.DOUBTS`, separated by blanks.
        mechanisms: Separated by blanks, as are `claim_mechanisms`.
        timings: JSON of `rollup.Timings`.
        foreign_alive, domestic_alive: Shares of anchors that this record measured itself.
        anchors_foreign, anchors_domestic: These, or those that its run measured.
        made_from: Whose measurement it was made from: `origin` of the record.
        line_faults, line_round_trip, line_loss: As in `record_numbers.LineState`.
        raw: The record without certificates, zlib over JSON.
        certs: DER by SHA-256.
        forged: Chains that no browser would trust: (name, leaf first SHA-256s).
        observation: For a control: the steps that are compared, zlib over JSON.
        origin: Where it was sent from; None: the operator answers for its claim. Not stored.
    """

    id: str
    key_id: str
    run: str
    role: str
    lab: int
    experiment: str
    input: str
    target: str
    category: str
    at: float
    started_at: str
    received_at: int
    country: str
    asn: int
    region: str
    network: str
    version: str
    claimed_country: str = "ZZ"
    claimed_asn: int = 0
    peer_agrees: int | None
    voting: int = 1
    doubts: str = ""
    counted: int = 1
    claim: str
    claim_mechanisms: str
    timings: str
    foreign_alive: float | None = None
    domestic_alive: float | None = None
    rate_target: float | None = None
    rate_reference: float | None = None
    anchors_foreign: float | None = None
    anchors_domestic: float | None = None
    line_faults: str = ""
    line_round_trip: float | None = None
    line_loss: float | None = None
    made_from: str = ""
    raw: bytes = b""
    certs: tuple[tuple[str, bytes], ...] = ()
    forged: tuple[tuple[str, tuple[str, ...]], ...] = ()
    observation: bytes | None = None
    origin: RequestOrigin | None = None

    @property
    def counts(self) -> RecordCounts:
        """What it adds to the counts."""
        return RecordCounts(
            self.experiment,
            self.outcome,
            self.country,
            self.asn,
            self.target,
            self.at,
            self.timings,
        )


def _place(row: MeasurementRow) -> event_places.Place:
    return row.target, row.country, row.asn


def ingest(rows: Sequence[MeasurementRow]) -> Operation[tuple[bool, ...]]:
    """Store records with all their counts; False for each that was stored before."""
    # Time and a random start make numbers unique among collectors and ordered within one.
    first = (time.time_ns() // 1000 << 10) + secrets.randbelow(512)
    numbered = list(enumerate((yield from _staged((yield from located(rows)))), first))
    yield Execute("measurement_add", [_params(n, row) for n, row in numbered])
    found = yield Query("measurements_between", {"first": first, "last": first + len(rows)})
    new = {row[0] for row in found}
    added = [(number, row) for number, row in numbered if number in new]
    yield Execute("raw_add", [{"seq": number, "raw": row.raw} for number, row in added])
    yield from _link_certificates(added)
    yield from _roll_up(added)
    yield from _note_alive([row for _, row in numbered])
    return tuple(number in new for number, _ in numbered)


def _params(number: int, row: MeasurementRow) -> Params:
    """A row with its number, and its place among the others of its hour that the public sees."""
    return {**msgspec.structs.asdict(row), "seq": number, "shuffle": secrets.randbits(62)}


def _note_alive(rows: Sequence[MeasurementRow]) -> Operation[None]:
    """Note when each key was last alive, and on which network."""
    last: dict[str, MeasurementRow] = {}
    for row in sorted(rows, key=lambda one: one.at):
        last[row.key_id] = row
    for key_id, row in sorted(last.items()):
        yield from mark_seen(key_id, row.at, ProbeNetwork(row.country, row.asn, row.region))


def _staged(rows: Sequence[MeasurementRow]) -> Operation[list[MeasurementRow]]:
    """Set interference to confirmed when another run of this key had it within the last week.

    Not that of an archive, where one key stands for many people on many networks.
    """
    accusing = {
        number: {"key_id": row.key_id, "input": row.input, "experiment": row.experiment}
        for number, row in enumerate(rows)
        if row.role != "control" and row.outcome in INTERFERENCE and row.voting
    }
    priors = yield QueryEach("newest_prior", list(accusing.values()))
    found = list(rows)
    for number, prior in zip(accusing, priors, strict=True):
        if prior and _confirms(rows[number], *prior[0]):
            found[number] = msgspec.structs.replace(rows[number], stage="confirmed")
    return found


def _confirms(row: MeasurementRow, outcome: str, run: str, at: float) -> bool:
    """Whether an earlier result is independent evidence of this one."""
    # A line that is slow now is still slow in ten minutes.
    soonest = SOONEST if row.experiment == SLOWNESS else 0.0
    return outcome == row.outcome and run != row.run and soonest <= row.at - at <= WEEK


def _link_certificates(added: Sequence[tuple[int, MeasurementRow]]) -> Operation[None]:
    certs = sorted({pair for _, row in added for pair in row.certs})
    yield Execute("certificate_add", [{"sha256": sha256, "der": der} for sha256, der in certs])
    links = [{"seq": n, "sha256": sha256} for n, row in added for sha256, _ in row.certs]
    yield Execute("served_add", links)
    yield Execute("forged_add", [link for n, row in added for link in _forged_links(n, row)])


def _forged_links(seq: int, row: MeasurementRow) -> list[Params]:
    """A row for each certificate of each untrusted chain."""
    return [
        {"seq": seq, "name": name, "leaf": digests[0], "place": depth, "sha256": sha256}
        for name, digests in row.forged
        for depth, sha256 in enumerate(digests)
    ]


def _roll_up(added: Sequence[tuple[int, MeasurementRow]]) -> Operation[None]:
    seen = [
        {"seq": n, "id": row.id, "key_id": row.key_id, "input": row.input, "at": row.at}
        | {"body": row.observation}
        for n, row in added
        if row.observation is not None
    ]
    yield Execute("observation_add", seen)
    own = [row for _, row in added if row.role != "control"]
    votes = [row for row in own if row.voting]
    yield Execute(
        "newest_put",
        [
            {**msgspec.structs.asdict(row), "severity": SEVERITY.get(row.outcome, 0)}
            for row in votes
        ],
    )
    yield Execute(
        "series_add", [msgspec.structs.asdict(row) for row in votes if row.experiment in SERIES]
    )
    # What could not tell is no look, and takes the place of none.
    looks = [row for row in votes if row.target != UNLISTED and row.outcome in CONCLUSIVE]
    yield Execute(
        "vote_put", [{**msgspec.structs.asdict(row), "hour": hour_of(row.at)} for row in looks]
    )
    lines = [row for row in votes if row.experiment == "connectivity"]
    yield from event_places.note_looks(
        [
            *(_place(row) for row in looks if row.outcome in INTERFERENCE),
            *(("", row.country, row.asn) for row in lines if row.outcome in INTERFERENCE),
        ],
        [*map(_place, looks), *(("", row.country, row.asn) for row in lines)],
    )
    yield from roll(row.counts for row in own if row.counted)
