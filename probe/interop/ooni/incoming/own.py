"""A measurement that carries a record of ours: the record comes back, not what it concluded.

OONI takes uploads from every client, so the certificates in the record are verified again. A record
of another measurement than the one that carries it is ignored.
"""

from base64 import b64decode
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from probe import codec
from probe.certificates.roots import Roots
from probe.certificates.trust import evaluate
from probe.interop.ooni.incoming import values
from probe.interop.ooni.kept import KEPT
from probe.model import Quic, Record, Step, Tls, Trust

# Where such a record came from; rules on archived measurements do not hold for it.
ORIGIN = "ooni/qazprobe"


def record_in(measurement: Any, experiment: str, roots: Roots) -> Record | None:
    """Our record in a measurement; None where there is none, or none that is intact."""
    kept = values.member(measurement, "test_keys", KEPT)
    if not isinstance(kept, dict):
        return None
    try:
        record = codec.check(msgspec.json.encode(kept))
    except (codec.CodecError, msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        return None
    if not _is_about(record, measurement, experiment):
        return None
    # In a laboratory the roots are its own.
    steps = record.steps if record.lab else tuple(_verified(s, record, roots) for s in record.steps)
    return replace(record, steps=steps, verdict=None, origin=ORIGIN, collector=msgspec.UNSET)


def _is_about(record: Record, measurement: Any, experiment: str) -> bool:
    second = values.text(measurement, "measurement_start_time").replace(" ", "T")
    same_time = bool(second) and record.started_at.startswith(second)
    same_input = values.text(measurement, "input") in {record.input, ""}
    return record.experiment == experiment and same_time and same_input


def _verified(step: Step, record: Record, roots: Roots) -> Step:
    """The step with what its chain proves; without the certificates no authority is named."""
    if not isinstance(step, Tls | Quic) or step.trust is None:
        return step
    chain = [_certificate(record, digest) for digest in step.chain]
    known = [der for der in chain if der is not None]
    if not chain or len(known) < len(chain):
        return replace(step, trust=replace(step.trust, authority=None))
    at = datetime.fromisoformat(record.started_at)
    trust: Trust = evaluate(known, step.sni, roots=roots, now=at)
    return replace(step, trust=replace(trust, local=step.trust.local))


def _certificate(record: Record, digest: str) -> bytes | None:
    try:
        der = b64decode(record.certs.get(digest, ""), validate=True)
    except ValueError:
        return None
    return der if sha256(der).hexdigest() == digest else None
