"""The one socket: the kernel filters, so that nobody else's packets are ever read.

Packets come without their link layer, so there is no hardware address to hide.
"""

import ctypes
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address

_ETH_P_ALL = 0x0003  # only so does the kernel show what we send, too
_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("=qq")
_ANCILLARY = 256
_OUTGOING = 4
_SIZE = 65535
_PACKETS = 20_000
_BYTES = 8 << 20
_ICMP = 1

# Classic BPF, linux/filter.h.
_LOAD_WORD, _LOAD_BYTE, _EQUAL, _RETURN = 0x20, 0x30, 0x15, 0x06
_SOURCE, _DESTINATION, _PROTOCOL = 12, 16, 9
_LINK_PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL: which kind of packet it is
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
                data, ancillary, _, where = opened.recvmsg(_SIZE, _ANCILLARY)
                if len(self.kept) < _PACKETS and len(data) <= self.room:
                    self.room -= len(data)
                    self.kept.append(Kept(_instant(ancillary), data, where[2] == _OUTGOING))


def _instant(ancillary: list[tuple[int, int, bytes]]) -> float:
    """When the kernel had the packet, as monotonic time; reading it may be later."""
    now = time.monotonic()
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return now - max(0.0, time.time() - float(seconds) - float(nanoseconds) / 1e9)
    return now


def open_for(destinations: list[str]) -> socket.socket:
    """A socket that hears packets to and from these addresses, and nothing else."""
    wanted = [int(IPv4Address(one)) for one in destinations]
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # protocol 0: hears nothing yet
    try:
        _attach(opened, program(wanted))
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        _bind(opened)
        opened.settimeout(0)
    except BaseException:
        opened.close()
        raise
    return opened


def program(addresses: list[int]) -> list[tuple[int, int, int, int]]:
    """From one of them, to one of them, or an ICMP packet that quotes one to them."""
    accept = 3 * len(addresses) + 8  # the last instruction; the one before it refuses
    made: list[tuple[int, int, int, int]] = []

    def compare(where: int) -> None:
        made.append((_LOAD_WORD, 0, 0, where))
        for address in addresses:
            made.append((_EQUAL, accept - len(made) - 1, 0, address))

    def unless(load: int, where: int, wanted: int) -> None:
        made.append((load, 0, 0, where))
        made.append((_EQUAL, 0, accept - 1 - len(made) - 1, wanted))

    unless(_LOAD_WORD, _LINK_PROTOCOL, _ETH_P_IP)
    compare(_SOURCE)
    compare(_DESTINATION)
    unless(_LOAD_BYTE, _PROTOCOL, _ICMP)
    compare(_QUOTED)
    return [*made, (_RETURN, 0, 0, 0), (_RETURN, 0, 0, _SIZE)]


def _bind(opened: socket.socket) -> None:
    """On every interface, `struct sockaddr_ll` with index 0: Python's own bind wants a name."""
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(opened.fileno(), address, len(address)):
        raise OSError(ctypes.get_errno(), "bind")


def _attach(opened: socket.socket, instructions: list[tuple[int, int, int, int]]) -> None:
    packed = b"".join(struct.pack("=HBBI", *each) for each in instructions)
    buffer = ctypes.create_string_buffer(packed)
    program_ = struct.pack("HL", len(instructions), ctypes.addressof(buffer))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program_)
