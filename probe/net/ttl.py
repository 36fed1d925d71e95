"""Limit how many routers a socket's packets may cross, and hear the router that stopped them.

No privilege is needed: `IP_TTL` limits, and Linux' `IP_RECVERR` keeps what routers say (RFC 792,
type 11) for the socket it is about. A datagram socket learns who said so; a connection only that
it was said. IPv4 only, and on other systems nothing is heard.
"""

import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass

# linux/in.h and linux/errqueue.h; the socket module has no names for them.
_IP_RECVERR = 11 if sys.platform == "linux" else None
_MSG_ERRQUEUE = 0x2000
_FROM_ICMP = 2
_EXTENDED = struct.Struct("=IBBBBII")
_TIME_EXCEEDED = 11
_UNREACHABLE = 3
_ROOM = 512


@dataclass(frozen=True, slots=True)
class Icmp:
    """What a router, or the far host, said of a packet of ours."""

    type: int
    code: int
    address: str | None

    @property
    def expired(self) -> bool:
        """Our packet's time to live ran out there."""
        return self.type == _TIME_EXCEEDED

    @property
    def unreachable(self) -> bool:
        """It could not be delivered: by the far host itself when the code is 3, no such port."""
        return self.type == _UNREACHABLE


def limit(sock: socket.socket, ttl: int) -> bool:
    """From now on let packets cross so many routers only; whether routers will be heard."""
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    if _IP_RECVERR is None:
        return False
    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return True


def give_up(sock: socket.socket) -> None:
    """End a limited connection at the far end too: a RST that may go all the way."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)


def heard(sock: socket.socket) -> list[Icmp]:
    """Everything that was said of a datagram socket's packets and not read yet."""
    found: list[Icmp] = []
    if _IP_RECVERR is None:
        return found
    with suppress(BlockingIOError):
        while True:
            _, ancillary, _, _ = sock.recvmsg(_ROOM, _ROOM, _MSG_ERRQUEUE)
            found += [said for each in ancillary if (said := parse(*each)) is not None]
    return found


def parse(level: int, kind: int, data: bytes) -> Icmp | None:
    """A control message as `struct sock_extended_err` and the address behind it, if it is one."""
    if (level, kind) != (socket.IPPROTO_IP, _IP_RECVERR) or len(data) < _EXTENDED.size:
        return None
    _, origin, type_, code, _, _, _ = _EXTENDED.unpack_from(data)
    if origin != _FROM_ICMP:
        return None
    return Icmp(type_, code, _offender(data[_EXTENDED.size :]))


def _offender(data: bytes) -> str | None:
    """A `struct sockaddr_in`: family, port, address."""
    if len(data) < 8 or int.from_bytes(data[:2], sys.byteorder) != socket.AF_INET:
        return None
    return socket.inet_ntoa(data[4:8])
