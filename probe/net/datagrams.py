"""A connected UDP socket that returns each datagram's arrival time and IP TTL.

It is connected so that ICMP errors are reported on it, and so that only the destination address can
answer. The IP TTL helps to recognise a forged answer.
"""

import asyncio
import socket
import sys
from time import monotonic

from msgspec import Struct

from probe.net.flow_ports import bind_port
from probe.net.stream import ByteCounter, socket_address
from probe.net.ttl import IcmpError, limit_ttl, read_errors

_SIZE = 65535
_ANCILLARY = 64
# Not in the socket module: <bits/in.h> on Linux, <netinet/in.h> on macOS.
_IP_RECVTTL = {"linux": 12, "darwin": 24}.get(sys.platform)
# The kind of the control message: IP_TTL on Linux, IP_RECVTTL again on macOS.
_IP_TTL = {"linux": 2, "darwin": 24}.get(sys.platform)
# Linux reports unreachable hosts only with this option: <bits/in.h>.
_RECVERR = {socket.AF_INET: 11, socket.AF_INET6: 25}
_ERRQUEUE = 0x2000
_ERRORS = 64
_HOP_LIMIT: int | None = getattr(socket, "IPV6_HOPLIMIT", None)
_RECV_HOP_LIMIT: int | None = getattr(socket, "IPV6_RECVHOPLIMIT", None)


class Datagram(Struct, frozen=True):
    """One datagram: its bytes, the monotonic time of arrival, its IP TTL if reported."""

    data: bytes
    at: float
    ip_ttl: int | None


class Datagrams:
    """One connected socket; raises `OSError`.

    With `errors`, every ICMP error is raised, not only "port unreachable"; call `drain` after each.
    With `ttl`, packets are sent with this TTL, and ICMP errors about them are in `icmp_errors`
    instead of being raised, if the system reports them (`icmp_readable`). They are sent from
    `local_port`, if it is free.
    """

    def __init__(
        self,
        address: str,
        port: int,
        counter: ByteCounter,
        *,
        errors: bool = False,
        ttl: int | None = None,
        local_port: int | None = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._loop = asyncio.get_running_loop()
        self._counter = counter
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._sock.settimeout(0)
            self.icmp_errors: list[IcmpError] = []
            self.icmp_readable = ttl is not None and limit_ttl(self._sock, ttl)
            bind_port(self._sock, local_port)
            self._sock.connect(socket_address(address, port))
            self._ask_for_ttl(family)
            if errors and sys.platform == "linux":
                level = socket.IPPROTO_IPV6 if family == socket.AF_INET6 else socket.IPPROTO_IP
                self._sock.setsockopt(level, _RECVERR[family], 1)
        except BaseException:
            self._sock.close()
            raise

    def send(self, data: bytes) -> None:
        self._counter.bytes_out += self._sock.send(data)

    async def receive(self) -> Datagram:
        """Wait for the next datagram."""
        if sys.platform == "win32":
            data = await self._loop.sock_recv(self._sock, _SIZE)
            return self._datagram(data, None)
        while True:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(_SIZE, _ANCILLARY)
            except (BlockingIOError, InterruptedError):
                await self._readable()
                continue
            except OSError:
                if not self._read_icmp():
                    raise
                continue
            return self._datagram(data, _ttl(ancillary))

    def drain(self) -> None:
        """Discard queued ICMP errors: with them the socket is always readable."""
        if sys.platform != "linux":
            return
        for _ in range(_ERRORS):
            try:
                self._sock.recvmsg(1, _ANCILLARY, _ERRQUEUE)
            except OSError:
                return

    async def icmp_error(self) -> IcmpError:
        """Wait for an ICMP error about our packets."""
        while not self.icmp_errors:
            await self._readable()
            self._read_icmp()
        return self.icmp_errors[-1]

    def close(self) -> None:
        self._sock.close()

    def _read_icmp(self) -> bool:
        """Read ICMP errors; whether one of them is time exceeded."""
        new = read_errors(self._sock) if self.icmp_readable else []
        self.icmp_errors += new
        return any(error.expired for error in new)

    def _datagram(self, data: bytes, ip_ttl: int | None) -> Datagram:
        self._counter.bytes_in += len(data)
        return Datagram(data, monotonic(), ip_ttl)

    async def _readable(self) -> None:
        waiter = self._loop.create_future()
        handle = self._sock.fileno()  # a number: asyncio formats a socket object
        self._loop.add_reader(handle, _wake, waiter)
        try:
            await waiter
        finally:
            self._loop.remove_reader(handle)

    def _ask_for_ttl(self, family: int) -> None:
        if family == socket.AF_INET and _IP_RECVTTL is not None:
            self._sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        elif family == socket.AF_INET6 and _RECV_HOP_LIMIT is not None:
            self._sock.setsockopt(socket.IPPROTO_IPV6, _RECV_HOP_LIMIT, 1)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _ttl(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        is_v4 = level == socket.IPPROTO_IP and kind == _IP_TTL
        is_v6 = level == socket.IPPROTO_IPV6 and kind == _HOP_LIMIT
        if is_v4 or is_v6:
            return int.from_bytes(data, sys.byteorder)  # an int, or one octet
    return None
