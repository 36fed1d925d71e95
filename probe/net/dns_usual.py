"""Write a DNS query, and read the usual reply to one: what nearly all messages of a sweep are.

dnspython takes a fifth of a millisecond for either. `read_usual` reads only what every parser reads
alike: one question, addresses and aliases, a header that says nothing unusual, an OPT record with
nothing or with a server's name in it. Everything else is for `dns_wire.read`.
"""

import socket
import struct

from probe.model import Edns
from probe.net.dns_message import (
    MOST_RECORDS,
    TYPES,
    MalformedError,
    Message,
    encode_name,
    name_at,
    skip_name,
)

# Fits any path (DNS flag day 2020).
PAYLOAD = 1232
NSID_LIMIT = 64
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHiH")
_IN, _CNAME, _SOA, _OPT, _NSID = 1, 5, 6, 41, 3
_SOA_NUMBERS = 20
_SAME_NAME = b"\xc0\x0c"  # a pointer to the question
_RESPONSE, _OPCODE, _TRUNCATED, _AUTHENTICATED = 0x8000, 0x7800, 0x0200, 0x0020
_ASKED = 0x0120  # recursion desired, AD: say whether the answer was validated
_FAMILIES = {(1, 4): socket.AF_INET, (28, 16): socket.AF_INET6}
_OPT_HEAD = b"\0\0\x29"
_OPT_RECORD = b"\0" + struct.pack("!HHI", _OPT, PAYLOAD, 0)
_NO_OPTION, _ASKS_NSID = b"\0\0", struct.pack("!HHH", 4, _NSID, 0)


def query(id_: int, name: str, type_: str, *, edns: bool = True, nsid: bool = False) -> bytes:
    """A query with recursion desired; raises `ValueError` if `name` is no DNS name.

    Args:
        id_: Its message id.
        name: In ASCII.
        type_: An RR type name.
        edns: With an OPT record.
        nsid: Ask which of its machines a public resolver answers from (RFC 5001).
    """
    head = _HEADER.pack(id_, _ASKED, 1, 0, 0, int(edns))
    question = encode_name(name) + struct.pack("!HH", TYPES[type_], _IN)
    opt = _OPT_RECORD + (_ASKS_NSID if nsid else _NO_OPTION) if edns else b""
    return head + question + opt


def read_usual(wire: bytes) -> Message | None:
    """Parse the usual reply; None for any other message."""
    if len(wire) < _HEADER.size:
        return None
    id_, flags, questions, answers, authorities, others = _HEADER.unpack_from(wire)
    if flags & _OPCODE or questions != 1 or others > 1 or max(answers, authorities) > MOST_RECORDS:
        return None
    try:
        return _message(wire, id_, flags, (answers, authorities, others))
    except MalformedError:
        return None


def _message(wire: bytes, id_: int, flags: int, counts: tuple[int, int, int]) -> Message | None:
    """The message; None if any of its answers, authorities and other records is unusual."""
    name, at = name_at(wire, _HEADER.size)
    type_ = int.from_bytes(wire[at : at + 2], "big")
    found = _Found(wire, at + 4)
    answers, authorities, others = counts
    if not all(found.answer() for _ in range(answers)):
        return None
    if not all(found.authority() for _ in range(authorities)):
        return None
    edns = _edns(wire, found.at, flags) if others else None
    if others and edns is None:
        return None
    return Message(
        id=id_,
        response=bool(flags & _RESPONSE),
        truncated=bool(flags & _TRUNCATED),
        rcode=flags & 0x000F,
        name=name,
        type=type_,
        answers=tuple(found.addresses),
        ttl=tuple(found.ttls),
        cnames=tuple(found.cnames),
        types=frozenset(found.types),
        edns=edns,
    )


class _Found:
    """What was read of the records so far; `at` is the offset of the next one."""

    __slots__ = ("addresses", "at", "cnames", "ttls", "types", "wire")

    def __init__(self, wire: bytes, at: int) -> None:
        if at > len(wire):
            raise MalformedError
        self.wire, self.at = wire, at
        self.addresses: list[str] = []
        self.ttls: list[int] = []
        self.cnames: list[str] = []
        self.types: set[int] = set()

    def next(self) -> tuple[int, int, int, int]:
        """Go past a record; return its type, class, time to live and the offset of its data."""
        owned = self.wire.startswith(_SAME_NAME, self.at)
        end = self.at + 2 if owned else name_at(self.wire, self.at)[1]
        data = end + _RECORD.size
        if data > len(self.wire):
            raise MalformedError
        kind, class_, ttl, size = _RECORD.unpack_from(self.wire, data - _RECORD.size)
        self.at = data + size
        if self.at > len(self.wire):
            raise MalformedError
        return kind, class_, ttl, data

    def answer(self) -> bool:
        """Read a record of the answer section; False if it is no usual one."""
        kind, class_, ttl, data = self.next()
        family = _FAMILIES.get((kind, self.at - data))
        if class_ != _IN:
            return False
        if family is not None:
            self.addresses.append(socket.inet_ntop(family, self.wire[data : self.at]))
            self.ttls.append(max(0, ttl))
        elif kind == _CNAME and skip_name(self.wire, data) == self.at:
            self.cnames.append(name_at(self.wire, data)[0])
        else:
            return False
        self.types.add(kind)
        return True

    def authority(self) -> bool:
        """Go past what says that a name has no such records; False if it is something else."""
        kind, class_, _, data = self.next()
        if (kind, class_) != (_SOA, _IN):
            return False
        for _ in range(2):
            data = name_at(self.wire, data)[1]
        return data + _SOA_NUMBERS == self.at


def _edns(wire: bytes, at: int, flags: int) -> Edns | None:
    """What an OPT record says, if it is the usual one that ends a message."""
    head, data = wire[at : at + 11], wire[at + 11 :]
    # The rest of the response code and the version are 0, and nothing follows.
    usual = head[:3] == _OPT_HEAD and head[5:7] == _NO_OPTION
    if not usual or len(head) < 11 or len(data) != int.from_bytes(head[9:], "big"):
        return None
    authenticated = bool(flags & _AUTHENTICATED)
    if not data:
        return Edns(authenticated=authenticated)
    if data[:4] != struct.pack("!HH", _NSID, len(data) - 4):
        return None
    return Edns(authenticated=authenticated, nsid=nsid_text(data[4:]))


def nsid_text(data: bytes) -> str:
    """A server's name as text where it is, else as hexadecimal."""
    if data.isascii() and data.decode("ascii").isprintable():
        return data.decode("ascii")[:NSID_LIMIT]
    return data.hex()[:NSID_LIMIT]
