"""Records and certificates as rows of a lake, and a record again from its rows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from collector.lake.schema import types
from probe.certificates.certificate import read as read_certificate
from probe.certificates.der import DerError

StepRow = dict[str, Any]
CertificateRow = dict[str, Any]
# A row of this name has what is left of the record without its steps.
RECORD = "record"
# Columns that are fields of a step by the same name.
_PLAIN = tuple(
    {*types("steps")}
    - {"id", "number", "target", "measured_at", "op", "name", "try", "answers", "step"}
    - {"leaf", "intermediate", "trusted", "reason", "authority", "proof"}
)
# The first of these that a step has is its name.
_NAMES = ("name", "sni", "host")
_body = msgspec.json.Decoder(dict[str, msgspec.Raw])
_steps = msgspec.json.Decoder(list[msgspec.Raw])
_fields = msgspec.json.Decoder(dict[str, Any])


def rows(body: bytes, known: Mapping[str, Any]) -> Iterator[StepRow]:
    """The rows of one record.

    Args:
        body: The record as JSON, without its certificates.
        known: The columns `id`, `target` and `measured_at`.

    Raises:
        msgspec.MsgspecError: It is no JSON object.
    """
    fields = _body.decode(body)
    steps = _steps.decode(fields.pop("steps", msgspec.Raw(b"[]")))
    rest = msgspec.json.encode(fields).decode()
    yield {**known, "number": 0, "op": RECORD, "step": rest}
    for number, raw in enumerate(steps, 1):
        yield {**known, "number": number, **_columns(_fields.decode(raw)), "step": _text(raw)}


def record(parts: Iterable[tuple[int, str]]) -> bytes:
    """The record of these rows (number and text of the step), as JSON.

    Raises:
        ValueError: The row of the record itself is not among them.
    """
    found = sorted(parts)
    if not found or found[0][0] != 0:
        raise ValueError("the row of the record itself is missing")
    rest = found[0][1].removesuffix("}")
    steps = ",".join(step for _, step in found[1:])
    comma = "," if rest != "{" else ""
    return f'{rest}{comma}"steps":[{steps}]}}'.encode()


def certificate(sha256: str, der: bytes) -> CertificateRow:
    """A certificate as a row; only its bytes where it is not readable as one."""
    row: CertificateRow = {"sha256": sha256, "der": der}
    try:
        found = read_certificate(der)
    except (DerError, ValueError):
        return row
    return {
        **row,
        "sha1": found.sha1,
        "subject": found.subject.rfc4514,
        "issuer": found.issuer.rfc4514,
        "serial": found.serial,
        "not_before": found.not_before.timestamp(),
        "not_after": found.not_after.timestamp(),
        "names": " ".join(found.alt_names[0]),
    }


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def _columns(step: dict[str, Any]) -> StepRow:
    """The columns of a step; what has another form than ours is null in them."""
    replies = _list(step.get("replies"))
    trust = _object(step.get("trust"))
    chain = [*_list(step.get("chain")), None, None]
    authority = _object(trust.get("authority"))
    answers = _list(_object(replies[0]).get("answers")) if replies else []
    return {
        "op": step.get("op"),
        **{name: step.get(name) for name in _PLAIN},
        "try": step.get("try_", step.get("try")),
        "name": next((step[name] for name in _NAMES if step.get(name)), None),
        "answers": " ".join(map(str, answers)) if replies else None,
        "leaf": chain[0],
        "intermediate": chain[1],
        "trusted": trust.get("valid"),
        "reason": trust.get("reason"),
        "authority": authority.get("id"),
        "proof": authority.get("proof"),
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
