"""A stored record as rows of the table `steps`, and the record again from its rows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from collector.lake.schema import types

StepRow = dict[str, Any]
# A row of this name has what is left of the record without its steps.
RECORD = "record"
# Columns that are fields of a step by the same name.
_PLAIN = tuple(
    {*types("steps")}
    - {"id", "number", "target", "measured_at", "name", "try", "answers", "leaf", "trusted"}
    - {"reason", "step", "op"}
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


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def _columns(step: dict[str, Any]) -> StepRow:
    replies = step.get("replies") or ()
    trust = step.get("trust") or {}
    chain = step.get("chain") or ()
    return {
        "op": step.get("op"),
        **{name: step.get(name) for name in _PLAIN},
        "try": step.get("try_", step.get("try")),
        "name": next((step[name] for name in _NAMES if step.get(name)), None),
        "answers": " ".join(replies[0].get("answers") or ()) if replies else None,
        "leaf": chain[0] if chain else None,
        "trusted": trust.get("valid"),
        "reason": trust.get("reason"),
    }
