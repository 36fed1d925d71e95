"""From a record as it was sent to a row as it is stored: checked, judged again, cut to size.

Rule: whatever a record says is a claim. What becomes a column is checked against a pattern, what
becomes a label comes from a closed list, the outcome is ours, and the time of an event is never
later than the time it was received.
"""

import base64
import binascii
import hashlib
import re
import statistics
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal

import msgspec

from collector import controls, target_labels, untrusted_chains
from collector.store.measurements import NO_OUTCOME, UNLISTED, Judged, Row
from collector.store.rollup import BUCKETS
from collector.target_labels import TargetLabels
from probe import codec, targets
from probe.model import (
    Dns,
    Mechanism,
    Ping,
    Quic,
    Record,
    Span,
    Step,
    Tcp,
    Tls,
    Transfer,
    Verdict,
)
from probe.rules.speed import speed

Judge = Callable[[Record], Verdict]

STEP_LIMIT = 4000
CERT_LIMIT = 64
INPUT_LIMIT = 2048
# Clocks are wrong, and spools wait through a shutdown; but not for ever.
AHEAD_SECONDS = 14 * 86400.0
BEHIND_SECONDS = 400 * 86400.0
# The record of a run is about no target.
RUN = "run"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# People follow what they read here, so nothing else may look like a link.
_INPUT = re.compile(r"https?://|service:[a-z0-9_-]+\Z|\Z")
_COUNTRY = re.compile(r"[A-Z]{2}")
# ISO 3166-2.
_REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_TIMED = (Dns, Tcp, Tls, Quic)


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What is known of a batch besides its records.

    Attributes:
        now: Unix time of its arrival.
        origin: (country, ASN) of the network it came from, where that is known.
    """

    key_id: str
    role: Literal["probe", "control"]
    lab: bool
    now: float
    origin: tuple[str | None, int | None] = (None, None)


def instant(text: str) -> float | None:
    """An RFC 3339 instant with a time zone as Unix time, or None."""
    if len(text) > 40:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.timestamp() if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def refusal(record: Record, door: BatchContext) -> str | None:
    """Why a record is not taken, in one line; None when it is."""
    if record.lab and not door.lab:
        return "lab record; this collector was not started with --lab"
    if record.vantage.role != door.role:
        return f"record of a {record.vantage.role}, sent with the key of a {door.role}"
    return _malformed(record) or _untimely(record.started_at, door.now)


def _malformed(record: Record) -> str | None:
    for name in ("id", "run"):
        if not _UUID.fullmatch(getattr(record, name)):
            return f"{name} is no UUID"
    if not _WORD.fullmatch(record.experiment):
        return "experiment is no word of a-z, 0-9, _ and -"
    if len(record.input) > INPUT_LIMIT or _CONTROL_CHARACTERS.search(record.input):
        return f"input has control characters or more than {INPUT_LIMIT} characters"
    if not _INPUT.match(record.input):
        return "input is no http(s) URL, no service: and not empty"
    if len(record.steps) > STEP_LIMIT or len(record.certs) > CERT_LIMIT:
        return f"more than {STEP_LIMIT} steps or {CERT_LIMIT} certificates"
    return None


def _untimely(started_at: str, now: float) -> str | None:
    at = instant(started_at)
    if at is None:
        return "started_at is no RFC 3339 instant with a time zone"
    if at > now + AHEAD_SECONDS:
        return "started_at lies in the future"
    return "started_at is too long ago" if at < now - BEHIND_SECONDS else None


def key_input(record: Record) -> str:
    """The input in the spelling everything is keyed by; as it is where it is no URL."""
    return target_labels.normalise(record.input) or record.input


def event_time(record: Record, now: float) -> float:
    """When it was measured, by a clock that may be ahead of ours."""
    return min(instant(record.started_at) or now, now)


def make_row(
    record: Record,
    door: BatchContext,
    *,
    shown: TargetLabels,
    judge: Judge,
    seen: Sequence[controls.Observation] = (),
) -> Row:
    """One accepted record as a row; `seen` is what our own controls saw around it."""
    input_ = key_input(record)
    label = UNLISTED if record.experiment == RUN else shown.label(input_)
    country, asn = place(record.vantage.country, record.vantage.asn)
    judged = judge_again(record, judge, seen, now=door.now)
    claim = record.verdict
    foreign, domestic = _anchors(record)
    rate_target, rate_reference = _rates(record)
    return Row(
        **msgspec.structs.asdict(judged),
        id=record.id,
        key_id=door.key_id,
        run=record.run,
        role=door.role,
        lab=int(record.lab),
        experiment=record.experiment,
        input=input_,
        target=label,
        category=shown.category(label),
        at=event_time(record, door.now),
        started_at=record.started_at,
        received_at=int(door.now),
        country=country,
        asn=asn,
        region=region(record.vantage.region),
        network=_clean(record.vantage.network, 80),
        version=_clean(record.vantage.version, 40),
        peer_agrees=_agrees((country, asn), door.origin),
        claim=claim.outcome if claim else NO_OUTCOME,
        claim_mechanisms=_words(claim.mechanisms) if claim else "",
        timings=_timings(record),
        foreign_alive=foreign,
        domestic_alive=domestic,
        rate_target=rate_target,
        rate_reference=rate_reference,
        raw=zlib.compress(codec.encode(msgspec.structs.replace(record, certs={})), 1),
        certs=certificates(record),
        forged=tuple((one.name, one.digests) for one in untrusted_chains.chains(record)),
        observation=_observation(record) if door.role == "control" else None,
    )


def judge_again(
    record: Record, judge: Judge, seen: Sequence[controls.Observation], *, now: float
) -> Judged:
    """Our own verdict, from the record's steps, its controls, and what our controls saw."""
    if record.experiment == RUN:
        return Judged(outcome=NO_OUTCOME)
    at = event_time(record, now)
    known = {one.id for one in record.control}
    ours = tuple(controls.as_control(one, asked_at=at) for one in seen if one.id not in known)
    verdict = judge(msgspec.structs.replace(record, control=(*record.control, *ours)))
    return Judged(
        outcome=verdict.outcome,
        mechanisms=_words(verdict.mechanisms),
        stage=verdict.stage,
        confidence=verdict.confidence,
        verdict=msgspec.json.encode(verdict).decode(),
        ruleset=_ruleset(),
        authority=_authority(record, verdict),
    )


def place(country: str | None, asn: int | None) -> tuple[str, int]:
    """Country and ASN as labels: ZZ and 0 (RFC 7607: nobody's) when unknown or nonsense."""
    known = country if country and _COUNTRY.fullmatch(country) else "ZZ"
    return known, asn if asn is not None and 0 < asn < 2**32 else 0


def region(text: str | None) -> str:
    """A region as a label: an ISO 3166-2 code, or nothing."""
    return text if text and _REGION.fullmatch(text) else ""


def certificates(record: Record) -> tuple[tuple[str, bytes], ...]:
    """The certificates that are what their hash says; the others are dropped."""
    found = []
    for sha256, text in record.certs.items():
        try:
            der = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if _SHA256.fullmatch(sha256) and hashlib.sha256(der).hexdigest() == sha256:
            found.append((sha256, der))
    return tuple(found)


def _observation(record: Record) -> bytes | None:
    trimmed = controls.trim(record)
    return controls.pack(trimmed) if trimmed else None


def _ruleset() -> str:
    from probe.judge import RULESET

    return RULESET


def _words(mechanisms: Sequence[Mechanism]) -> str:
    return " ".join(sorted(set(mechanisms)))


def _clean(text: str | None, limit: int) -> str:
    return _CONTROL_CHARACTERS.sub("", text or "")[:limit]


def _agrees(claimed: tuple[str, int], origin: tuple[str | None, int | None]) -> int | None:
    """Whether a claimed network is the one it was sent from; spools may be sent from elsewhere."""
    if origin[1] and claimed[1]:
        return int(origin[1] == claimed[1])
    return int(origin[0] == claimed[0]) if origin[0] and claimed[0] != "ZZ" else None


def _authority(record: Record, verdict: Verdict) -> str:
    """Whose certificate was served in place of the site's, by id; `unknown` for a stranger."""
    served = [step.trust.authority for step in _target_tls(record.steps) if step.trust]
    known = [one for one in served if one and one.kind == "interception"]
    intercepted = Mechanism.TLS_MITM in verdict.mechanisms
    for one in sorted(known, key=lambda authority: authority.proof != "verified"):
        if intercepted and one.id in _authorities():
            return one.id
    return "unknown" if intercepted else ""


@cache
def _authorities() -> frozenset[str]:
    """The ids that may become labels: those of our own files."""
    known = targets.authorities()
    return frozenset(one.id for one in known) | frozenset(one.family for one in known)


def _target_tls(steps: Sequence[Step]) -> list[Tls]:
    """Where the target's name was offered: at its own address, or at an unrelated server."""
    whose = {"target", "neutral"}
    return [step for step in steps if isinstance(step, Tls) and step.role in whose]


def _timings(record: Record) -> str:
    """How long what worked took, as histogram buckets by operation.

    What was timed while the run itself loaded the line is left out: that is no latency.
    """
    sums: dict[str, dict[int, tuple[int, float]]] = {}
    for step in record.steps:
        if isinstance(step, _TIMED) and step.failure is None and _at_rest(step, record.loaded):
            bucket = next(i for i, bound in enumerate(BUCKETS) if step.elapsed <= bound)
            op = sums.setdefault(type(step).__name__.lower(), {})
            n, seconds = op.get(bucket, (0, 0.0))
            op[bucket] = (n + 1, seconds + step.elapsed)
    if not sums:
        return ""
    found = {op: [(b, n, s) for b, (n, s) in sorted(of.items())] for op, of in sums.items()}
    return msgspec.json.encode(found).decode()


def _at_rest(step: Step, loaded: Sequence[Span]) -> bool:
    """It took a sensible time, and nothing of ours loaded the line meanwhile."""
    ended = step.at + step.elapsed
    return 0 <= step.elapsed < 3600 and not any(
        span.since < ended and span.until > step.at for span in loaded
    )


def _anchors(record: Record) -> tuple[float | None, float | None]:
    """Shares of anchors that worked: of a whole run, or of a look at nothing else."""
    if record.experiment == "connectivity":
        return _reached(record.steps, "foreign"), _reached(record.steps, "essential", "ordinary")
    if record.experiment != RUN or record.line is None:
        return None, None
    return _share(record.line.foreign_alive), _share(record.line.domestic_alive)


def _reached(steps: Sequence[Step], *classes: str) -> float | None:
    """What the newest look at these classes of sites reached; None where it asked for none."""
    looks = [step for step in steps if isinstance(step, Ping) and step.what in classes]
    last = max((look.try_ for look in looks), default=0)
    found = [look.failure is None for look in looks if look.try_ == last]
    return sum(found) / len(found) if found else None


def _share(value: float | None) -> float | None:
    return None if value is None else min(1.0, max(0.0, value))


def _rates(record: Record) -> tuple[float | None, float | None]:
    """Median download rates with the target's name and with another, of one comparison.

    Rates from different places do not compare: a slow neutral server beside a quick site is no
    ratio. Where both were compared, the target's own address (C, D) was, because it was slow there.
    """
    down = [s for s in record.steps if isinstance(s, Transfer) and s.direction == "down"]
    if record.experiment == "speed":
        return None, _line_speed(down)
    if not any(t.arm in "CD" for t in down):
        return _median(down, "A"), _median(down, "B")
    there = _median(down, "C"), _median(down, "D")
    neutral = _median(down, "A"), _median(down, "B")
    return there if None not in there or neutral == (None, None) else neutral


def _line_speed(down: Sequence[Transfer]) -> float | None:
    """Of the largest object of a line test; a failure, or a line that was in use, has no number."""
    return next((rate for t in reversed(down) if (rate := speed(t)) is not None), None)


def _median(transfers: Sequence[Transfer], arms: str) -> float | None:
    rates = [rate for t in transfers if t.arm in arms and (rate := _rate(t)) is not None]
    return statistics.median(rates) if rates else None


def _rate(transfer: Transfer) -> float | None:
    """Its plateau; where it stood still and had none, what came in the time that it took."""
    if transfer.rate is not None:
        return transfer.rate if transfer.rate > 0 else None
    stood = transfer.ended == "stall" and transfer.wire_bytes > 0 and transfer.elapsed > 0
    return transfer.wire_bytes / transfer.elapsed if stood else None
