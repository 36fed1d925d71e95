"""Limit the TTL of a socket's packets, and read the ICMP errors that come back.

No privilege is needed: `IP_TTL` sets the limit, and Linux' `IP_RECVERR` queues ICMP errors (RFC
792, type 11) on the socket. A datagram socket gets the router's address, a TCP socket only the
error. IPv4 only; ICMP errors on Linux only.
"""

import socket
import struct
import sys
from contextlib import suppress

from msgspec import Struct

# linux/in.h and linux/errqueue.h; the socket module has no names for them.
_IP_RECVERR = 11 if sys.platform == "linux" else None
_MSG_ERRQUEUE = 0x2000
_FROM_ICMP = 2
_EXTENDED = struct.Struct("=IBBBBII")
_TIME_EXCEEDED = 11
_UNREACHABLE = 3
_ROOM = 512


class IcmpError(Struct, frozen=True):
    """An ICMP error about a packet of ours, from a router or from the destination."""

    type: int
    code: int
    address: str | None

    @property
    def expired(self) -> bool:
        """Time exceeded in transit."""
        return self.type == _TIME_EXCEEDED

    @property
    def unreachable(self) -> bool:
        """Destination unreachable; code 3 (port unreachable) is from the destination itself."""
        return self.type == _UNREACHABLE


def limit_ttl(sock: socket.socket, ttl: int) -> bool:
    """Set the TTL of further packets; return whether ICMP errors can be read."""
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    if _IP_RECVERR is None:
        return False
    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return True


def prepare_reset(sock: socket.socket) -> None:
    """Make `close` send a RST with a full TTL, so that the server ends the connection too."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)


def read_errors(sock: socket.socket) -> list[IcmpError]:
    """The ICMP errors that are queued on a datagram socket."""
    found: list[IcmpError] = []
    if _IP_RECVERR is None:
        return found
    with suppress(BlockingIOError):
        while True:
            _, ancillary, _, _ = sock.recvmsg(_ROOM, _ROOM, _MSG_ERRQUEUE)
            found += [error for each in ancillary if (error := parse(*each)) is not None]
    return found


def parse(level: int, kind: int, data: bytes) -> IcmpError | None:
    """Parse `struct sock_extended_err` and the address after it; None for another message."""
    if (level, kind) != (socket.IPPROTO_IP, _IP_RECVERR) or len(data) < _EXTENDED.size:
        return None
    _, origin, type_, code, _, _, _ = _EXTENDED.unpack_from(data)
    if origin != _FROM_ICMP:
        return None
    return IcmpError(type_, code, _offender(data[_EXTENDED.size :]))


def _offender(data: bytes) -> str | None:
    """A `struct sockaddr_in`: family, port, address."""
    if len(data) < 8 or int.from_bytes(data[:2], sys.byteorder) != socket.AF_INET:
        return None
    return socket.inet_ntoa(data[4:8])
