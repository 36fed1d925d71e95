"""A TCP connection that counts its bytes and keeps a reset, a goodbye and silence apart.

`read` gives bytes; b"" after the peer's FIN; it raises the system's own error after a RST; and it
simply does not return while there is silence (the caller holds the clock). A failing `write` does
not raise: what the peer said before it hung up (an alert, a refusal) is still there to be read, so
the error is kept until reading has come to its end.

A connection may be limited: from then on its packets cross so many routers only. A router's word
that they ran out does not end it, for somebody nearer may have answered too; after a short while
without anything else that word is raised as what it is.
"""

import asyncio
import errno
import socket
from time import monotonic

from probe.net import tcp_info, ttl
from probe.net.byte_counter import ByteCounter

CHUNK = 16384
AHEAD = 24 * 1024  # bytes that a peer may send before we read them
GRACE = 0.25  # seconds in which a nearer answer overtakes, or follows, a router's word


class Stream:
    """One connection, connected or about to be."""

    __slots__ = (
        "_broken",
        "_loop",
        "_sock",
        "_word",
        "budget",
        "bytes_in",
        "bytes_out",
        "expired",
        "last_arrival",
        "limited",
    )

    def __init__(self, sock: socket.socket, budget: ByteCounter) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._broken: OSError | None = None
        self.budget = budget
        self.bytes_in = 0
        self.bytes_out = 0
        self.last_arrival: float | None = None
        self.limited = False
        self.expired: bool | None = None
        self._word: OSError | None = None

    @property
    def local_port(self) -> int:
        """Our own port: what tells this connection from others to the same place."""
        return int(self._sock.getsockname()[1])

    @property
    def acknowledged(self) -> bool | None:
        """The far side's TCP has confirmed all that we sent; None where the kernel does not say."""
        waiting = tcp_info.read(self._sock).unacked
        return None if waiting is None else waiting == 0

    def limit(self, hops: int) -> None:
        """From now on let packets cross so many routers only."""
        self.limited = True
        self.expired = False if ttl.limit(self._sock, hops) else None

    def keep_short(self, size: int) -> None:
        """Let the peer send about so much ahead of us: what is not read need not cross the line."""
        _clamp(self._sock, size)

    async def read(self, size: int = CHUNK) -> bytes:
        """What has come; b"" when the peer has said goodbye."""
        try:
            data = await self._receive(size)
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
            if not self._is_word(error):
                self._broken = error
            return
        if self.limited:
            self._ask()
        self.bytes_out += len(data)
        self.budget.bytes_out += len(data)

    def close(self) -> None:
        """Hang up, with whatever is still unread."""
        if self.limited:
            ttl.give_up(self._sock)
        self._sock.close()

    async def _receive(self, size: int) -> bytes:
        """What has come, for as long as a router's word leaves time."""
        while self._word is None:
            try:
                return await self._loop.sock_recv(self._sock, size)
            except OSError as error:
                if not self._is_word(error):
                    self._ask()
                    raise
        try:
            async with asyncio.timeout(GRACE):
                return await self._loop.sock_recv(self._sock, size)
        except TimeoutError:
            raise self._word from None

    def _ask(self) -> None:
        """Whether a router's word came while the kernel was busy with this socket: a soft error."""
        if not self.limited:
            return
        number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        error = OSError(number, errno.errorcode.get(number, ""))  # reading it has cleared it
        if number and not self._is_word(error):
            self._broken = error

    def _is_word(self, error: OSError) -> bool:
        """Whether this is a router's word on limited packets, and not the connection's end."""
        if self.expired is None or error.errno != errno.EHOSTUNREACH:
            return False
        self.expired, self._word = True, error
        return True


async def connect(address: str, port: int, budget: ByteCounter) -> Stream:
    """Open a connection to a literal address; raises what the system says."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        _clamp(sock, AHEAD)
        # Two writes are two segments: the split ClientHello relies on it, and nothing waits.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, endpoint(address, port))
    except BaseException:
        sock.close()
        raise
    return Stream(sock, budget)


def _clamp(sock: socket.socket, size: int) -> None:
    option = getattr(socket, "TCP_WINDOW_CLAMP", None)  # Linux only
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, size)


def endpoint(address: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The socket address of a literal IP address, its IPv6 scope (`%eth0`) resolved."""
    if ":" not in address:
        return (address, port)
    host, _, scope = address.partition("%")
    if not scope:
        return (host, port, 0, 0)
    return (host, port, 0, int(scope) if scope.isdigit() else socket.if_nametoindex(scope))
