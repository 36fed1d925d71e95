"""A TCP connection that counts its bytes and distinguishes RST, FIN and timeout.

`read` returns bytes, or b"" after the peer's FIN; it raises the system's error after a RST, and
does not return while nothing arrives (the caller sets the timeout). A failing `write` does not
raise: data that the peer sent before it closed (an alert, an error page) can still be read, so the
error is raised when there is nothing more to read.

The TTL of a connection may be limited. An ICMP time-exceeded error does not end the connection,
because a middlebox nearer than the router may have answered too; it is raised if nothing else
arrives within `GRACE` seconds.
"""

import asyncio
import errno
import os
import socket
import sys
from ipaddress import ip_address
from time import monotonic

from msgspec import Struct

from probe.net import tcp_info, ttl
from probe.net.flow_ports import bind_port

CHUNK = 16384
AHEAD = 24 * 1024  # receive window, bytes
LEAST_WINDOW = 4096  # a sender waits for room for two segments (RFC 9293 section 3.8.6.2.1)
GRACE = 0.25  # seconds in which an answer may follow an ICMP error


class ByteCounter(Struct):
    """Bytes above TCP and UDP that a session has received and sent."""

    bytes_in: int = 0
    bytes_out: int = 0


class Stream:
    """One TCP connection.

    Attributes:
        ended_by_peer: A FIN proves nothing: it may come from anywhere on the path.
        first_arrival, last_arrival: When bytes arrived; the first since `time_arrivals`.
        pause: The longest time between two arrivals since then, seconds.
        patience: Seconds without a byte after which `read` raises `TimeoutError`; None: no limit.
    """

    ended_by_peer = False

    __slots__ = (
        "_broken",
        "_icmp_error",
        "_loop",
        "_sock",
        "_unread",
        "_waiting",
        "_watched",
        "bytes_in",
        "bytes_out",
        "counter",
        "expired",
        "first_arrival",
        "last_arrival",
        "limited",
        "patience",
        "pause",
    )

    def __init__(self, sock: socket.socket, counter: ByteCounter) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        # The descriptor, while the loop reports when it is readable.
        self._watched: int | None = None
        self._waiting: tuple[asyncio.Future[bytes | OSError], int]
        self._unread: bytes | OSError | None = None
        self._broken: OSError | None = None
        self.counter = counter
        self.bytes_in = 0
        self.bytes_out = 0
        self.first_arrival: float | None = None
        self.last_arrival: float | None = None
        self.pause = 0.0
        self.patience: float | None = None
        self.limited = False
        self.expired: bool | None = None
        self._icmp_error: OSError | None = None

    @property
    def local_port(self) -> int:
        """The local port, which distinguishes connections to one endpoint."""
        return int(self._sock.getsockname()[1])

    @property
    def acknowledged(self) -> bool | None:
        """Whether the peer's TCP acknowledged all sent data; None if not known."""
        waiting = tcp_info.read(self._sock).unacked
        return None if waiting is None else waiting == 0

    def limit(self, hops: int) -> None:
        """Limit the TTL of all further packets."""
        self.limited = True
        self.expired = False if ttl.limit_ttl(self._sock, hops) else None

    def limit_window(self, size: int) -> None:
        """Limit the receive window, so that data that will not be read is not sent."""
        _clamp(self._sock, size)

    def time_arrivals(self) -> None:
        """Time arrivals from here on."""
        self.first_arrival, self.pause = None, 0.0

    @property
    def spread(self) -> float | None:
        """Seconds from the first timed arrival to the last."""
        if self.first_arrival is None or self.last_arrival is None:
            return None
        return self.last_arrival - self.first_arrival

    @property
    def arriving(self) -> float | None:
        """The same, less the longest pause."""
        return None if self.spread is None else max(self.spread - self.pause, 0.0)

    async def read(self, size: int = CHUNK) -> bytes:
        """The next bytes; b"" after the peer's FIN."""
        try:
            if self.patience is None:
                data = await self._receive(size)
            else:
                async with asyncio.timeout(self.patience):
                    data = await self._receive(size)
        except OSError as error:
            raise self._broken or error from None
        if not data:
            if self._broken is not None:
                raise self._broken
            return b""
        now = monotonic()
        if self.first_arrival is None or self.last_arrival is None:
            self.first_arrival = now
        else:
            self.pause = max(self.pause, now - self.last_arrival)
        self.last_arrival = now
        self.bytes_in += len(data)
        self.counter.bytes_in += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Send all of `data`; an error is raised by a later `read`."""
        if self._broken is not None:
            return
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as error:
            if not self._is_icmp_error(error):
                self._broken = error
            return
        if self.limited:
            self._check_soft_error()
        self.bytes_out += len(data)
        self.counter.bytes_out += len(data)

    def close(self) -> None:
        """Close the connection, with a RST if its TTL is limited."""
        if self.limited:
            ttl.prepare_reset(self._sock)
        self._unwatch()
        self._sock.close()

    async def _receive(self, size: int) -> bytes:
        """The next bytes; after an ICMP error, wait `GRACE` seconds for them."""
        while self._icmp_error is None:
            try:
                return await self._next_bytes(size)
            except OSError as error:
                if not self._is_icmp_error(error):
                    self._check_soft_error()
                    raise
        try:
            async with asyncio.timeout(GRACE):
                return await self._next_bytes(size)
        except TimeoutError:
            raise self._icmp_error from None

    async def _next_bytes(self, size: int) -> bytes:
        """`sock_recv`, but the loop watches the socket from one waiting read to the next.

        Most reads wait, and to begin and to end watching takes a system call each.
        """
        if sys.platform == "win32":
            return await self._loop.sock_recv(self._sock, size)
        arrived = self._unread
        if arrived is None:
            try:
                return self._sock.recv(size)
            except (BlockingIOError, InterruptedError):
                arrived = await self._next_arrival(size)
        self._unread = None
        if isinstance(arrived, OSError):
            raise arrived
        if len(arrived) > size:
            arrived, self._unread = arrived[:size], arrived[size:]
        return arrived

    async def _next_arrival(self, size: int) -> bytes | OSError:
        waiting: asyncio.Future[bytes | OSError] = self._loop.create_future()
        self._waiting = waiting, size
        if self._watched is None:
            self._watched = self._sock.fileno()
            self._loop.add_reader(self._watched, self._on_readable)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():  # given up in the moment of arrival
                self._unread = waiting.result()
            raise

    def _on_readable(self) -> None:
        waiting, size = self._waiting
        if waiting.done():
            self._unwatch()  # nobody reads: the loop would report it without end
            return
        try:
            waiting.set_result(self._sock.recv(size))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            waiting.set_result(error)

    def _unwatch(self) -> None:
        if self._watched is not None:
            self._loop.remove_reader(self._watched)
            self._watched = None

    def _check_soft_error(self) -> None:
        """Take an ICMP error that the kernel kept as a soft error of this socket."""
        if not self.limited:
            return
        number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        error = OSError(number, errno.errorcode.get(number, ""))  # reading clears it
        if number and not self._is_icmp_error(error):
            self._broken = error

    def _is_icmp_error(self, error: OSError) -> bool:
        """Whether this is an ICMP error about limited packets; if so, keep it."""
        if self.expired is None or error.errno != errno.EHOSTUNREACH:
            return False
        self.expired, self._icmp_error = True, error
        return True


async def connect(
    address: str,
    port: int,
    counter: ByteCounter,
    *,
    segment_limit: int | None = None,
    local_port: int | None = None,
) -> Stream:
    """Open a connection to a literal address; raises `OSError`.

    Args:
        segment_limit: The largest TCP segment that either side may send, where the system can say
            so.
        local_port: Where to connect from, if it is free.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        _clamp(sock, AHEAD)
        if segment_limit is not None:
            _limit_segments(sock, segment_limit)
        # Two writes must be two segments: the split ClientHello relies on it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bind_port(sock, local_port)
        await asyncio.get_running_loop().sock_connect(sock, socket_address(address, port))
    except BaseException:
        sock.close()
        raise
    return Stream(sock, counter)


def _clamp(sock: socket.socket, size: int) -> None:
    option = getattr(socket, "TCP_WINDOW_CLAMP", None)  # Linux only
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, size)


def _limit_segments(sock: socket.socket, size: int) -> None:
    """Limit the segments of both directions: our SYN announces it. Not on Windows."""
    option = getattr(socket, "TCP_MAXSEG", None)
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, size)


def socket_address(address: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The address for `connect`, with the IPv6 scope (`%eth0`) resolved.

    Raises `OSError` ENODEV for a link-local address without scope, or for an unknown one.
    """
    if ":" not in address:
        return (address, port)
    host, _, scope = address.partition("%")
    index = _scope_index(scope) if scope else 0
    if not index and ip_address(host).is_link_local:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return (host, port, 0, index)


def _scope_index(scope: str) -> int:
    if scope.isascii() and scope.isdigit() and len(scope) < 10:
        return int(scope)
    try:
        return socket.if_nametoindex(scope)
    except (OSError, ValueError) as error:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from error
