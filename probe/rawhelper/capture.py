"""The capture socket, with a kernel filter so that other traffic is not read.

Packets come without their link layer, so they contain no hardware addresses.
"""

import ctypes
import socket
import struct
import time
from contextlib import suppress
from ipaddress import IPv4Address

from msgspec import Struct, field

_ETH_P_ALL = 0x0003  # required for outgoing packets
_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("=qq")
_ANCILLARY = 256
_OUTGOING = 4
_SIZE = 65535
_MAX_PACKETS = 20_000
_MAX_BYTES = 8 << 20
_ICMP = 1

# Classic BPF, linux/filter.h.
_LOAD_WORD, _LOAD_BYTE, _EQUAL, _RETURN = 0x20, 0x30, 0x15, 0x06
_SOURCE, _DESTINATION, _PROTOCOL = 12, 16, 9
_LINK_PROTOCOL = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL: the EtherType
_QUOTED = 20 + 8 + 16  # destination in the packet that an ICMP error quotes (RFC 792)


class CapturedPacket(Struct, frozen=True):
    """One IP packet, and the monotonic time at which it was sent or received."""

    at: float
    data: bytes
    ours: bool


class PacketLog(Struct):
    """The packets captured so far; at most 20000 packets and 8 MiB."""

    destinations: frozenset[str]
    packets: list[CapturedPacket] = field(default_factory=list)
    bytes_left: int = _MAX_BYTES

    def read_from(self, sock: socket.socket) -> None:
        """Read all pending packets."""
        with suppress(BlockingIOError):
            while True:
                data, ancillary, _, sender = sock.recvmsg(_SIZE, _ANCILLARY)
                if len(self.packets) < _MAX_PACKETS and len(data) <= self.bytes_left:
                    self.bytes_left -= len(data)
                    self.packets.append(
                        CapturedPacket(_captured_at(ancillary), data, sender[2] == _OUTGOING)
                    )


def _captured_at(ancillary: list[tuple[int, int, bytes]]) -> float:
    """The kernel's timestamp of a packet as monotonic time."""
    now = time.monotonic()
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return now - max(0.0, time.time() - float(seconds) - float(nanoseconds) / 1e9)
    return now


def open_for(destinations: list[str]) -> socket.socket:
    """A socket that receives packets to and from these addresses, and ICMP errors about them."""
    numbers = [int(IPv4Address(one)) for one in destinations]
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # protocol 0: receives nothing yet
    try:
        _attach(sock, program(numbers))
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        _bind(sock)
        sock.settimeout(0)
    except BaseException:
        sock.close()
        raise
    return sock


def program(addresses: list[int]) -> list[tuple[int, int, int, int]]:
    """A BPF program: packets from or to an address, and ICMP errors that quote one to it."""
    accept = 3 * len(addresses) + 8  # the last instruction; the one before it rejects
    made: list[tuple[int, int, int, int]] = []

    def accept_if_equal(offset: int) -> None:
        made.append((_LOAD_WORD, 0, 0, offset))
        for address in addresses:
            made.append((_EQUAL, accept - len(made) - 1, 0, address))

    def reject_unless_equal(load: int, offset: int, value: int) -> None:
        made.append((load, 0, 0, offset))
        made.append((_EQUAL, 0, accept - 1 - len(made) - 1, value))

    reject_unless_equal(_LOAD_WORD, _LINK_PROTOCOL, _ETH_P_IP)
    accept_if_equal(_SOURCE)
    accept_if_equal(_DESTINATION)
    reject_unless_equal(_LOAD_BYTE, _PROTOCOL, _ICMP)
    accept_if_equal(_QUOTED)
    return [*made, (_RETURN, 0, 0, 0), (_RETURN, 0, 0, _SIZE)]


def _bind(sock: socket.socket) -> None:
    """Bind to every interface: `struct sockaddr_ll` with index 0, which Python cannot pass."""
    address = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(sock.fileno(), address, len(address)):
        raise OSError(ctypes.get_errno(), "bind")


def _attach(sock: socket.socket, instructions: list[tuple[int, int, int, int]]) -> None:
    packed = b"".join(struct.pack("=HBBI", *each) for each in instructions)
    buffer = ctypes.create_string_buffer(packed)
    program_ = struct.pack("HL", len(instructions), ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program_)
