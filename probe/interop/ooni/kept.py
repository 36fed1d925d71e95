"""The whole record that a measurement of ours carries under `x_qazprobe`, and how it comes back."""

from typing import Any

import msgspec

from probe import codec
from probe.model import Record

KEPT = "x_qazprobe"


class _Keys(msgspec.Struct):
    x_qazprobe: msgspec.Raw = msgspec.Raw()


class _Carrier(msgspec.Struct):
    software_name: str = ""
    test_keys: _Keys | None = None


def record_in(line: bytes) -> Record | None:
    """Our record in a line of OONI's format; None if it carries none.

    Raises:
        codec.CodecError: It carries something that is no record of ours.
    """
    try:
        found = msgspec.json.decode(line, type=_Carrier)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise codec.CodecError(str(error)) from error
    kept = bytes(found.test_keys.x_qazprobe) if found.test_keys else b""
    return codec.check(kept) if kept else None


def encode(measurement: dict[str, Any]) -> bytes:
    """A measurement as one line of JSON, without its newline."""
    return msgspec.json.encode(measurement)
