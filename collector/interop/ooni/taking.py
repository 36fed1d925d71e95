"""A measurement of one of OONI's clients, as a record that is kept.

Rule: these clients sign nothing, so the record counts in no vote. One key stands for all of them on
one network; it is set aside from its first record on. The address of a client is not kept, and
what it says of its resolver neither.
"""

import ipaddress
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from collector import record_row
from collector.interop.ooni import names
from collector.interop.ooni.messages import MEASUREMENT_BYTES, MeasurementHead
from collector.record_row import BatchContext
from collector.store import Execute, Operation, backlog, exclusions
from collector.store.backlog import NewBatch
from probe import codec
from probe.model import Record
from probe.scrub import allowed_addresses, scrub

SUBJECT = "ooni"
REASON = "OONI's clients sign nothing: shown, and counted in nothing"
# What a record takes in the store beside its evidence, about.
OVERHEAD = 2048
_RESOLVER = frozenset({"client_resolver", "resolver_ip"})
_NOWHERE = "127.0.0.1"
_SCRUBBED = "[scrubbed]"

Convert = Callable[[bytes, str], Record | None]
"""Makes a record of a measurement and its name; None for an experiment that we do not have."""


class NotTaken(ValueError):  # noqa: N818 - a response, not an error
    """The measurement is refused; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A measurement that can be kept.

    Attributes:
        batch: Its record; None when it is of an experiment that we do not have.
        original: As its client wrote it but for addresses, zlib; empty where it is not kept.
    """

    uid: str
    batch: NewBatch | None
    original: bytes = b""

    @property
    def size(self) -> int:
        """The bytes that it takes in the store, about."""
        return 0 if self.batch is None else len(self.batch.body) + len(self.original) + OVERHEAD


def head_of(content: bytes) -> MeasurementHead:
    """What a measurement says of itself.

    Raises:
        NotTaken: It is no measurement, or too large.
    """
    if len(content) > MEASUREMENT_BYTES:
        raise NotTaken(f"measurement of at most {MEASUREMENT_BYTES} bytes expected")
    try:
        return msgspec.json.decode(content, type=MeasurementHead)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise NotTaken(f"measurement not understood: {error}"[:300]) from error


def take(
    content: bytes, context: BatchContext, convert: Convert, *, peer: str | None, keeps: bool
) -> Taken:
    """A measurement as it is kept; `peer` is the address of its client.

    Raises:
        NotTaken: It is refused.
    """
    head = head_of(content)
    uid = names.measurement_uid(head.probe_cc, head.test_name, content, context.now)
    try:
        record = convert(content, names.content_name(content))
    except (ValueError, RecursionError) as error:
        raise NotTaken(f"measurement not understood: {error}"[:300]) from error
    if record is None:
        return Taken(uid, None)
    line = codec.encode(_without(record, peer))
    if len(line) > codec.LINE_LIMIT:
        raise NotTaken(f"its record has {len(line)} bytes; at most {codec.LINE_LIMIT} are kept")
    reason = record_row.refusal(record, context)
    if reason is not None:
        raise NotTaken(reason)
    batch = NewBatch(
        key_id=context.key_id,
        role=context.role,
        received_at=context.now,
        context=msgspec.json.encode(context).decode(),
        body=codec.pack([line]),
        records=[(0, record.id)],
    )
    return Taken(uid, batch, _original(content, peer) if keeps else b"")


def keep(taken: Taken, key_id: str, now: float) -> Operation[bool]:
    """One transaction: set its key aside, keep the record; whether it is new."""
    if taken.batch is None:
        return False
    yield from exclusions.set_aside_once(key_id, SUBJECT, reason=REASON, at=now)
    new = bool((yield from backlog.add(taken.batch)))
    if new and taken.original:
        row = {"uid": taken.uid, "key_id": key_id, "id": taken.batch.records[0][1]}
        yield Execute("original_add", [{**row, "received_at": int(now), "body": taken.original}])
    return new


def _without(record: Record, peer: str | None) -> Record:
    """The record without its client's address, also where that is among what was measured.

    Nor with control measurements that its client says there are: those of this collector count.
    """
    allowed = allowed_addresses(record.steps) - {peer or ""}
    return scrub(replace(record, control=()), allowed=allowed)


def _original(content: bytes, peer: str | None) -> bytes:
    """The measurement without the addresses of its client and resolver, packed."""
    cleaned = _cleaned(msgspec.json.decode(content), _spellings(peer))
    return zlib.compress(msgspec.json.encode(cleaned), 6)


def _spellings(peer: str | None) -> tuple[str, ...]:
    """How an address may be written; loopback is that of no client."""
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return ()
    return () if address.is_loopback else tuple({str(address), address.exploded})


def _cleaned(value: Any, peer: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for spelling in peer:
            value = value.replace(spelling, _SCRUBBED)
        return value
    if isinstance(value, list):
        return [_cleaned(one, peer) for one in value]
    if not isinstance(value, Mapping):
        return value
    if value.get("format") == "base64" and isinstance(value.get("data"), str):
        return {**value, "data": _cleaned_base64(value["data"], peer)}
    return {name: _cleaned_member(name, one, peer) for name, one in value.items()}


def _cleaned_member(name: str, value: Any, peer: tuple[str, ...]) -> Any:
    if name == "probe_ip":
        return _NOWHERE
    return _SCRUBBED if name in _RESOLVER else _cleaned(value, peer)


def _cleaned_base64(text: str, peer: tuple[str, ...]) -> str:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        return ""
    for spelling in peer:
        data = data.replace(spelling.encode(), _SCRUBBED.encode())
    return b64encode(data).decode()
