"""A TCP connection that counts its bytes and keeps a reset, a goodbye and silence apart.

`read` gives bytes; b"" after the peer's FIN; it raises the system's own error after a RST; and it
simply does not return while there is silence (the caller holds the clock). A failing `write` does
not raise: what the peer said before it hung up (an alert, a refusal) is still there to be read, so
the error is kept until reading has come to its end.
"""

import asyncio
import socket
from time import monotonic

from probe.net.budget import Budget

CHUNK = 65536


class Stream:
    """One connection, connected or about to be."""

    __slots__ = ("_broken", "_loop", "_sock", "budget", "bytes_in", "bytes_out", "last_arrival")

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._broken: OSError | None = None
        self.budget = budget
        self.bytes_in = 0
        self.bytes_out = 0
        self.last_arrival: float | None = None

    async def read(self, size: int = CHUNK) -> bytes:
        """What has come; b"" when the peer has said goodbye."""
        try:
            data = await self._loop.sock_recv(self._sock, size)
        except OSError as error:
            raise self._broken or error from None
        if not data:
            if self._broken is not None:
                raise self._broken
            return b""
        self.last_arrival = monotonic()
        self.bytes_in += len(data)
        self.budget.bytes_in += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Send all of `data`, or remember why not."""
        if self._broken is not None:
            return
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as error:
            self._broken = error
            return
        self.bytes_out += len(data)
        self.budget.bytes_out += len(data)

    def close(self) -> None:
        """Hang up, with whatever is still unread."""
        self._sock.close()


async def connect(address: str, port: int, budget: Budget) -> Stream:
    """Open a connection to a literal address; raises what the system says."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        # Two writes are two segments: the split ClientHello relies on it, and nothing waits.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, endpoint(address, port))
    except BaseException:
        sock.close()
        raise
    return Stream(sock, budget)


def endpoint(address: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The socket address of a literal IP address, its IPv6 scope (`%eth0`) resolved."""
    if ":" not in address:
        return (address, port)
    host, _, scope = address.partition("%")
    if not scope:
        return (host, port, 0, 0)
    return (host, port, 0, int(scope) if scope.isdigit() else socket.if_nametoindex(scope))
