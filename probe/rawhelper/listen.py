"""The one socket: the kernel filters, so that nobody else's packets are ever read.

Packets come without their link layer, so there is no hardware address to hide.
"""

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address

_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26
_OUTGOING = 4
_SIZE = 65535
_PACKETS = 20_000
_BYTES = 8 << 20
_ICMP = 1

# Classic BPF, linux/filter.h.
_LOAD_WORD, _LOAD_BYTE, _EQUAL, _RETURN = 0x20, 0x30, 0x15, 0x06
_SOURCE, _DESTINATION, _PROTOCOL = 12, 16, 9
_QUOTED = 20 + 8 + 16  # where the packet was going that an ICMP error quotes (RFC 792)


@dataclass(frozen=True, slots=True)
class Kept:
    """One IP packet, and when it came or went."""

    at: float
    data: bytes
    ours: bool


@dataclass(slots=True)
class Heard:
    """What was heard so far, bounded."""

    destinations: frozenset[str]
    kept: list[Kept] = field(default_factory=list)
    room: int = _BYTES

    def take(self, opened: socket.socket) -> None:
        """Read what waits."""
        with suppress(BlockingIOError):
            while True:
                data, where = opened.recvfrom(_SIZE)
                if len(self.kept) < _PACKETS and len(data) <= self.room:
                    self.room -= len(data)
                    self.kept.append(Kept(time.monotonic(), data, where[2] == _OUTGOING))


def open_for(destinations: list[str]) -> socket.socket:
    """A socket that hears packets to and from these addresses, and nothing else."""
    wanted = [int(IPv4Address(one)) for one in destinations]
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # protocol 0: hears nothing yet
    try:
        _attach(opened, program(wanted))
        opened.bind(("", _ETH_P_IP))
        opened.settimeout(0)
    except BaseException:
        opened.close()
        raise
    return opened


def program(addresses: list[int]) -> list[tuple[int, int, int, int]]:
    """From one of them, to one of them, or an ICMP packet that quotes one to them."""
    accept = 3 * len(addresses) + 6  # the last instruction; the one before it refuses
    made: list[tuple[int, int, int, int]] = []

    def compare(where: int) -> None:
        made.append((_LOAD_WORD, 0, 0, where))
        for address in addresses:
            made.append((_EQUAL, accept - len(made) - 1, 0, address))

    compare(_SOURCE)
    compare(_DESTINATION)
    made.append((_LOAD_BYTE, 0, 0, _PROTOCOL))
    made.append((_EQUAL, 0, accept - 1 - len(made) - 1, _ICMP))
    compare(_QUOTED)
    return [*made, (_RETURN, 0, 0, 0), (_RETURN, 0, 0, _SIZE)]


def _attach(opened: socket.socket, instructions: list[tuple[int, int, int, int]]) -> None:
    import ctypes

    packed = b"".join(struct.pack("=HBBI", *each) for each in instructions)
    buffer = ctypes.create_string_buffer(packed)
    program_ = struct.pack("HL", len(instructions), ctypes.addressof(buffer))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program_)
