"""A connected UDP socket that tells when each datagram came and how far it had travelled.

Connected, so that an ICMP error for it is an error here, and so that only the address that was
asked can answer (or somebody who forges it: that is what the IP TTL is for).
"""

import asyncio
import socket
import sys
from dataclasses import dataclass
from time import monotonic

from probe.net.byte_counter import ByteCounter
from probe.net.stream import endpoint
from probe.net.ttl import Icmp, heard, limit

_SIZE = 65535
_ANCILLARY = 64
# socket has no name for it: <bits/in.h> on Linux, <netinet/in.h> on macOS.
_IP_RECVTTL = {"linux": 12, "darwin": 24}.get(sys.platform)
# The kind of the control message: IP_TTL on Linux, IP_RECVTTL again on macOS.
_IP_TTL = {"linux": 2, "darwin": 24}.get(sys.platform)
# Linux tells of unreachable hosts only whoever asks for it: <bits/in.h>.
_RECVERR = {socket.AF_INET: 11, socket.AF_INET6: 25}
_ERRQUEUE = 0x2000
_ERRORS = 64
_HOP_LIMIT: int | None = getattr(socket, "IPV6_HOPLIMIT", None)
_RECV_HOP_LIMIT: int | None = getattr(socket, "IPV6_RECVHOPLIMIT", None)


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram: its bytes, the monotonic instant it came, its IP TTL where the system says."""

    data: bytes
    at: float
    ip_ttl: int | None


class Datagrams:
    """One connected socket; raises `OSError` as the system does.

    With `errors`, every ICMP error is raised, not only that nobody listens at the port; `drain`
    after each. With a `ttl` its packets cross so many routers only, and that they ran out is no
    error: it is in `said`, where this system tells (`told`).
    """

    def __init__(
        self,
        address: str,
        port: int,
        budget: ByteCounter,
        *,
        errors: bool = False,
        ttl: int | None = None,
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._loop = asyncio.get_running_loop()
        self._budget = budget
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._sock.settimeout(0)
            self.said: list[Icmp] = []
            self.told = ttl is not None and limit(self._sock, ttl)
            self._sock.connect(endpoint(address, port))
            self._ask_for_ttl(family)
            if errors and sys.platform == "linux":
                level = socket.IPPROTO_IPV6 if family == socket.AF_INET6 else socket.IPPROTO_IP
                self._sock.setsockopt(level, _RECVERR[family], 1)
        except BaseException:
            self._sock.close()
            raise

    def send(self, data: bytes) -> None:
        self._budget.bytes_out += self._sock.send(data)

    async def receive(self) -> Datagram:
        """The next datagram; waits for it."""
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
                if not self._hear():
                    raise
                continue
            return self._datagram(data, _ttl(ancillary))

    def drain(self) -> None:
        """Throw away what ICMP said: else the socket is never idle; who said it is not kept."""
        if sys.platform != "linux":
            return
        for _ in range(_ERRORS):
            try:
                self._sock.recvmsg(1, _ANCILLARY, _ERRQUEUE)
            except OSError:
                return

    async def word(self) -> Icmp:
        """What a router says of our packets; waits for it."""
        while not self.said:
            await self._readable()
            self._hear()
        return self.said[-1]

    def close(self) -> None:
        self._sock.close()

    def _hear(self) -> bool:
        """Take what routers said; whether one of them stopped a packet of ours."""
        new = heard(self._sock) if self.told else []
        self.said += new
        return any(said.expired for said in new)

    def _datagram(self, data: bytes, ip_ttl: int | None) -> Datagram:
        self._budget.bytes_in += len(data)
        return Datagram(data, monotonic(), ip_ttl)

    async def _readable(self) -> None:
        waiter = self._loop.create_future()
        handle = self._sock.fileno()  # asyncio writes a socket out in full to find it is not known
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
