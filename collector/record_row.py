"""Make the row of a record: check it, judge it again, and trim it.

Rule: the contents of a record are claims. Columns are checked against patterns, labels come from
closed lists, the outcome is the collector's own, and the time of a measurement is never later than
that of its arrival.
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import msgspec

from collector import controls, evidence_check, record_numbers, target_labels, untrusted_chains
from collector.evidence_check import CheckedEvidence
from collector.places import RequestOrigin
from collector.record_numbers import RUN
from collector.store.measurements import NO_OUTCOME, UNLISTED, Judged, MeasurementRow
from collector.target_labels import TargetLabels
from probe import codec, targets
from probe.certificates.roots import Roots
from probe.judge import RULESET
from probe.model import Mechanism, Outcome, Record, Tls, Vantage, Verdict

Judge = Callable[[Record], Verdict]

# Clocks are wrong, and spools wait until a shutdown ends.
AHEAD_SECONDS = 14 * 86400.0
BEHIND_SECONDS = 400 * 86400.0

# Whose measurements records are made from.
MADE_FROM = frozenset({"ooni", "ooni/qazprobe", "atlas"})
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Inputs are shown to people as links, so no other scheme is accepted.
_INPUT = re.compile(r"https?://|service:[a-z0-9_-]+\Z|\Z")
_COUNTRY = re.compile(r"[A-Z]{2}")
# ISO 3166-2.
_REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What the collector knows of a batch besides its records.

    Attributes:
        now: Unix time of its arrival.
        origin: Where it came from; None: the operator answers for what it claims.
        votes: Whether its records may have a vote; unsigned ones have none.
    """

    key_id: str
    role: Literal["probe", "control"]
    lab: bool
    now: float
    origin: RequestOrigin | None = None
    votes: bool = True


def instant(text: str) -> float | None:
    """The Unix time of an RFC 3339 instant with a time zone; None for other text."""
    if len(text) > 40:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.timestamp() if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def refusal(record: Record, context: BatchContext) -> str | None:
    """Why a record is refused, in one line; None when it is accepted."""
    if record.lab and not context.lab:
        return "lab record; these are accepted with --lab only"
    if record.origin is not None and context.origin is not None and context.votes:
        return "record made of another project's measurement; only the operator imports these"
    if record.vantage.role != context.role:
        return f"record of a {record.vantage.role}, sent with the key of a {context.role}"
    return _malformed(record) or _untimely(record, context)


def _malformed(record: Record) -> str | None:
    for name in ("id", "run"):
        if not _UUID.fullmatch(getattr(record, name)):
            return f"{name} is no UUID"
    if _CONTROL_CHARACTERS.search(record.input):
        return "input has control characters"
    if not _INPUT.match(record.input):
        return "input is no http(s) URL, no service: and not empty"
    return None


def may_vote(record: Record, context: BatchContext) -> bool:
    """Whether it can have a vote: what was made of others' measurements has none, in any import."""
    return context.votes and record.origin is None


def _untimely(record: Record, context: BatchContext) -> str | None:
    at = instant(record.started_at)
    if at is None:
        return "started_at is no RFC 3339 instant with a time zone"
    if at > context.now + AHEAD_SECONDS:
        return "started_at lies in the future"
    # What the operator imports without a vote may be an archive of any age.
    archived = context.origin is None and not may_vote(record, context)
    late = at < context.now - BEHIND_SECONDS and not archived
    return "started_at is too long ago" if late else None


def key_input(record: Record) -> str:
    """The input in the spelling that is used as key; unchanged where it is no URL."""
    return target_labels.normalise(record.input) or record.input


def event_time(record: Record, now: float) -> float:
    """When it was measured, but not later than now: the probe's clock may be ahead."""
    return min(instant(record.started_at) or now, now)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the collector has to check the evidence of a record with.

    Attributes:
        seen: Observations of controls around it.
        issued: Observations of controls that it names, by id.
        roots: For its chains; None where they are not checked, as in a lab.
    """

    seen: Sequence[controls.Observation] = ()
    issued: Mapping[str, controls.Observation] = field(default_factory=dict)
    roots: Roots | None = None


def make_row(
    record: Record,
    context: BatchContext,
    *,
    labels: TargetLabels,
    judge: Judge,
    proof: Proof | None = None,
) -> MeasurementRow:
    """The row of an accepted record."""
    foreign, domestic = record_numbers.anchors(record)
    rate_target, rate_reference = record_numbers.rates(record)
    proof = proof or Proof()
    checked = CheckedEvidence(record, ())
    if context.role == "probe" and context.origin is not None:
        at = event_time(record, context.now)
        checked = evidence_check.check(record, proof.issued, roots=proof.roots, at=at)
    judged = judge_again(checked.record, judge, proof.seen, now=context.now)
    return MeasurementRow(
        **msgspec.structs.asdict(judged),
        doubts=" ".join(checked.doubts),
        voting=int(may_vote(record, context) and not checked.doubts),
        **_columns(record, context, labels),
        timings=record_numbers.timings(record),
        foreign_alive=foreign,
        domestic_alive=domestic,
        rate_target=rate_target,
        rate_reference=rate_reference,
        **record_numbers.line_state(record)._asdict(),
        raw=evidence(record),
        certs=certificates(record),
        forged=tuple((one.name, one.digests) for one in untrusted_chains.chains(record)),
    )


def unjudged_row(
    record: Record, context: BatchContext, *, labels: TargetLabels, reason: str
) -> MeasurementRow:
    """The row of a record that was not judged: inconclusive, with its evidence."""
    outcome = NO_OUTCOME if record.experiment == RUN else Outcome.INCONCLUSIVE
    judged = Judged(outcome=outcome, ruleset=RULESET, unjudged=reason)
    return MeasurementRow(
        **msgspec.structs.asdict(judged),
        voting=int(may_vote(record, context)),
        **_columns(record, context, labels),
        timings="",
        raw=evidence(record),
        certs=certificates(record),
    )


def unreadable_row(
    line: bytes, id_: str, context: BatchContext, *, labels: TargetLabels
) -> MeasurementRow:
    """The row of a record that this version of the collector cannot decode any more."""
    at = datetime.fromtimestamp(context.now, UTC).isoformat()
    vantage = Vantage(role=context.role)
    record = Record(
        id=id_, run="", experiment=RUN, input="", started_at=at, elapsed=0.0, vantage=vantage
    )
    made = unjudged_row(record, context, labels=labels, reason="unreadable")
    return msgspec.structs.replace(made, raw=zlib.compress(line, 1))


def evidence(record: Record) -> bytes:
    """The record without its certificates, as it is stored."""
    kept = msgspec.structs.replace(record, certs={}, collector=msgspec.UNSET)
    return zlib.compress(codec.encode(kept), 1)


def _columns(record: Record, context: BatchContext, labels: TargetLabels) -> dict[str, Any]:
    """The columns that need no look at the steps."""
    input_ = key_input(record)
    label = UNLISTED if record.experiment == RUN else labels.label(input_)
    country, asn = network_labels(record.vantage.country, record.vantage.asn)
    claim = record.verdict
    return {
        "id": record.id,
        "key_id": context.key_id,
        "run": record.run,
        "role": context.role,
        "lab": int(record.lab),
        "experiment": record.experiment,
        "input": input_,
        "target": label,
        "category": labels.category(label),
        "at": event_time(record, context.now),
        "started_at": record.started_at,
        "received_at": int(context.now),
        "country": country,
        "asn": asn,
        "region": region(record.vantage.region),
        "network": _clean(record.vantage.network, 80),
        "version": _clean(record.vantage.version, 40),
        "claimed_country": country,
        "claimed_asn": asn,
        "peer_agrees": _peer_agrees((country, asn), context.origin or RequestOrigin()),
        "origin": context.origin,
        "made_from": record.origin if record.origin in MADE_FROM else "",
        "claim": claim.outcome if claim else NO_OUTCOME,
        "claim_mechanisms": _words(claim.mechanisms) if claim else "",
    }


def judge_again(
    record: Record, judge: Judge, seen: Sequence[controls.Observation], *, now: float
) -> Judged:
    """The collector's verdict, from the record, its controls, and the observations `seen`."""
    if record.experiment == RUN:
        return Judged(outcome=NO_OUTCOME)
    at = event_time(record, now)
    known = {one.id for one in record.control}
    observed = tuple(controls.as_control(one, asked_at=at) for one in seen if one.id not in known)
    verdict = judge(msgspec.structs.replace(record, control=(*record.control, *observed)))
    return Judged(
        outcome=verdict.outcome,
        mechanisms=_words(verdict.mechanisms),
        stage=verdict.stage,
        confidence=verdict.confidence,
        verdict=msgspec.json.encode(verdict).decode(),
        ruleset=RULESET,
        authority=_authority(record, verdict),
    )


def network_labels(country: str | None, asn: int | None) -> tuple[str, int]:
    """Country and ASN as labels: ZZ and 0 (reserved by RFC 7607) when unknown or malformed."""
    known = country if country and _COUNTRY.fullmatch(country) else "ZZ"
    return known, asn if asn is not None and 0 < asn < 2**32 else 0


def region(text: str | None) -> str:
    """A region as a label: an ISO 3166-2 code, or empty."""
    return text if text and _REGION.fullmatch(text) else ""


def certificates(record: Record) -> tuple[tuple[str, bytes], ...]:
    """The certificates whose hash is correct; the others are dropped."""
    found = []
    for sha256, text in record.certs.items():
        try:
            der = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if _SHA256.fullmatch(sha256) and hashlib.sha256(der).hexdigest() == sha256:
            found.append((sha256, der))
    return tuple(found)


def _words(mechanisms: Sequence[Mechanism]) -> str:
    return " ".join(sorted(set(mechanisms)))


def _clean(text: str | None, limit: int) -> str:
    return _CONTROL_CHARACTERS.sub("", text or "")[:limit]


def _peer_agrees(claimed: tuple[str, int], origin: RequestOrigin) -> int | None:
    """Whether the claimed network is the one it was sent from; None when one is unknown."""
    if origin.asn and claimed[1]:
        return int(origin.asn == claimed[1])
    known = origin.country and claimed[0] != "ZZ"
    return int(origin.country == claimed[0]) if known else None


def _authority(record: Record, verdict: Verdict) -> str:
    """The id of the authority that intercepted; `unknown` if not identified, empty if none did."""
    # Handshakes that offered the target's name, at its own address or at a neutral server.
    named = [s for s in record.steps if isinstance(s, Tls) and s.role in {"target", "neutral"}]
    served = [step.trust.authority for step in named if step.trust]
    known = [one for one in served if one and one.kind == "interception"]
    intercepted = Mechanism.TLS_MITM in verdict.mechanisms
    for one in sorted(known, key=lambda authority: authority.proof != "verified"):
        if intercepted and one.id in _authorities():
            return one.id
    return "unknown" if intercepted else ""


@cache
def _authorities() -> frozenset[str]:
    """The ids that may become labels: those of the bundled files."""
    known = targets.authorities()
    return frozenset(one.id for one in known) | frozenset(one.family for one in known)
