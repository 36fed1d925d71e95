"""Parse DNS replies that are malformed (RFC 1035).

Injected replies often are, and a strict parser would reject the reply that is the evidence. So this
one never raises, keeps what precedes the first error, and is bounded: at most 64 records, names of
255 octets, compression pointers that only point backwards. `dns_wire.read` uses it for what
dnspython does not read.
"""

import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from probe.model import Edns

TYPES: Final = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SVCB": 64,
    "HTTPS": 65,
}
_CNAME = 5
_OPT = 41
_SERVICES = frozenset({64, 65})
_ALPN = 1  # RFC 9460 section 14.3.2
_ADDRESSES = {(1, 4): socket.AF_INET, (28, 16): socket.AF_INET6}
MOST_RECORDS = 64
_LABELS = 128
_NAME = 255
_HEADER = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHiH")


class Message(Struct, frozen=True):
    """The readable part of a reply.

    Attributes:
        response: The QR bit. truncated: the TC bit.
        name, type: The question section, or None if there is none.
        answers: Addresses. ttl: theirs. cnames: aliases. types: of all answer records.
        alpn: Protocols in SVCB and HTTPS records.
        whole: The answer section was parsed to its end.
        edns: What the OPT record says, or None if there is none.
    """

    id: int
    response: bool
    truncated: bool
    rcode: int
    name: str | None = None
    type: int | None = None
    answers: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    ttl: tuple[int, ...] = ()
    types: frozenset[int] = frozenset()
    alpn: tuple[str, ...] = ()
    whole: bool = True
    edns: Edns | None = None


def encode_name(name: str) -> bytes:
    """A name as length-prefixed labels."""
    labels = [label.encode("ascii") for label in name.removesuffix(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError("a label of a DNS name has 1 to 63 octets")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(wire) > _NAME:
        raise ValueError("a DNS name has at most 255 octets")
    return wire


def parse(wire: bytes) -> Message | None:
    """Parse a message; None if it is shorter than a header."""
    if len(wire) < _HEADER.size:
        return None
    id_, flags, questions, count, _, _ = _HEADER.unpack_from(wire)
    head = (id_, bool(flags & 0x8000), bool(flags & 0x0200), flags & 0x000F)
    try:
        name, type_, at = _question(wire, questions)
    except MalformedError:
        return Message(*head, whole=False)
    return _answers(wire, at, count, Message(*head, name=name, type=type_))


class _ResourceRecord(NamedTuple):
    """One answer record; `at` is the offset of its data."""

    type: int
    ttl: int
    at: int
    data: bytes


class MalformedError(ValueError):
    """The rest of the message cannot be parsed."""


def _question(wire: bytes, count: int) -> tuple[str | None, int | None, int]:
    """The first question, and the offset of the answer section."""
    name: str | None = None
    type_: int | None = None
    at = _HEADER.size
    for number in range(count):
        if number >= 4:
            raise MalformedError
        asked, at = name_at(wire, at)
        if at + 4 > len(wire):
            raise MalformedError
        if number == 0:
            name, type_ = asked, int.from_bytes(wire[at : at + 2], "big")
        at += 4
    return name, type_, at


def _answers(wire: bytes, at: int, count: int, message: Message) -> Message:
    answers: list[str] = []
    cnames: list[str] = []
    ttl: list[int] = []
    types: set[int] = set()
    alpn: dict[str, None] = {}
    whole = True
    try:
        for record in _records(wire, at, count):
            types.add(record.type)
            if record.type == _CNAME:
                cnames.append(name_at(wire, record.at)[0])
            elif record.type in _SERVICES:
                alpn.update(dict.fromkeys(_alpn_protocols(record.data)))
            elif (record.type, len(record.data)) in _ADDRESSES:
                answers.append(
                    socket.inet_ntop(_ADDRESSES[record.type, len(record.data)], record.data)
                )
                ttl.append(max(0, record.ttl))
    except MalformedError:
        whole = False
    return replace(
        message,
        answers=tuple(answers),
        cnames=tuple(cnames),
        ttl=tuple(ttl),
        types=frozenset(types),
        alpn=tuple(alpn),
        whole=whole,
    )


def _records(wire: bytes, at: int, count: int) -> Iterator[_ResourceRecord]:
    """The records of the answer section.

    A crude server copies the query whole and appends its records: our own OPT record then stands
    before them, and its count of answers does not include it.
    """
    found = 0
    while found < min(count, MOST_RECORDS):
        at = skip_name(wire, at)
        if at + _FIXED.size > len(wire):
            raise MalformedError
        type_, _class, ttl, length = _FIXED.unpack_from(wire, at)
        at += _FIXED.size
        data = wire[at : at + length]
        if len(data) != length:
            raise MalformedError
        if type_ != _OPT:
            found += 1
            yield _ResourceRecord(type_, ttl, at, data)
        at += length


def _alpn_protocols(data: bytes) -> Iterator[str]:
    """The ALPN protocols in an HTTPS record's data: priority, name, then keys (RFC 9460)."""
    at = skip_name(data, 2)
    while at + 4 <= len(data):
        key, length = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + length]
        at += 4 + length
        if len(value) != length:
            raise MalformedError
        if key == _ALPN:
            yield from _protocols(value)


def _protocols(value: bytes) -> Iterator[str]:
    at = 0
    while at < len(value):
        name = value[at + 1 : at + 1 + value[at]]
        if not name or len(name) != value[at]:
            raise MalformedError
        at += 1 + len(name)
        yield text(name)


def skip_name(wire: bytes, at: int) -> int:
    """The offset after the name at `at`; raises `MalformedError`."""
    for _ in range(_LABELS):
        if at >= len(wire):
            break
        length = wire[at]
        if length == 0:
            return at + 1
        if length >= 0xC0:
            return at + 2
        if length >= 0x40:
            break
        at += 1 + length
    raise MalformedError


def name_at(wire: bytes, at: int) -> tuple[str, int]:
    """The name at `at`, and the offset after it; raises `MalformedError`."""
    end = skip_name(wire, at)
    labels: list[str] = []
    size, lowest = 0, at
    while True:
        if at >= len(wire):
            raise MalformedError
        length = wire[at]
        if length == 0:
            return ".".join(labels), end
        if length >= 0x40:
            if length < 0xC0 or at + 2 > len(wire):
                raise MalformedError
            at = int.from_bytes(wire[at : at + 2], "big") & 0x3FFF
            if at >= lowest:  # only backwards, so that the loop ends
                raise MalformedError
            lowest = at
            continue
        label = wire[at + 1 : at + 1 + length]
        size += 1 + length
        if len(label) != length or size > _NAME:
            raise MalformedError
        labels.append(text(label))
        at += 1 + length


def as_read(name: str) -> str:
    """A name as it stands in a message that was read, to be compared with one."""
    return ".".join(text(label.encode("ascii")) for label in name.removesuffix(".").split("."))


def text(label: bytes) -> str:
    """A label in lower case; octets that host names do not contain as RFC 4343 escapes."""
    if label.isalnum():
        return label.decode("ascii").lower()
    return "".join(chr(octet).lower() if octet in _PLAIN else f"\\{octet:03d}" for octet in label)


_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*")
