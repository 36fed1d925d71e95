"""Send a SYN, a ClientHello or a datagram with a limited TTL, in flows of constant ports.

A load balancer chooses the way of a packet by its addresses and ports, so packets of one flow go
one way and meet the same routers. Everything here works without privileges; ICMP errors are
reported on Linux only, and without them nothing is sent.
"""

import asyncio
import errno
import socket
import sys

from probe.failure import Failure
from probe.model import Ping, Tcp, Tls, Travel
from probe.net.address_policy import is_dialable
from probe.net.attempt import attempt
from probe.net.datagrams import Datagrams
from probe.net.dial import ServerEndpoint, TargetContext, tls_handshake
from probe.net.flow_ports import FlowPorts, bind_port
from probe.net.routers import FIRST_PORT, ROUTER, SERVER, find_routers
from probe.net.stream import Stream
from probe.net.ttl import limit_ttl, prepare_reset, read_errors

AVAILABLE = sys.platform == "linux"
_SYN_SECONDS = (0.3, 0.9)  # the second SYN is sent after 1 s (RFC 6298)
_HELLO_SECONDS = 0.9  # a ClientHello is sent three times in it
_DATAGRAM_SECONDS = 0.6
_WINDOW = 1460  # one segment of the server's answer is enough


class SocketFlowProber:
    """The probes of one target; a flow is a number with a local port of its own."""

    def __init__(self, target: TargetContext, ports: FlowPorts | None = None) -> None:
        self._target = target
        self._ports = ports or FlowPorts()

    async def syn(self, address: str, port: int, ttl: int, flow: int) -> Tcp:
        """Send one SYN with this TTL; what it met is the failure, and `expired`."""
        async with self._target.session.limiter.enter(address):
            at, limit = self._target.now(), self._syn_limit()
            if not self._allowed(address):
                return Tcp(address=address, port=port, failure=Failure.NETWORK_UNREACHABLE, at=at)
            sock = self._socket(flow)
            try:
                limit_ttl(sock, ttl)
                asked = await attempt(_connect(sock, address, port), limit=limit)
                expired = any(error.expired for error in read_errors(sock))
            finally:
                _close(sock)
        return Tcp(
            address=address,
            port=port,
            failure=asked.failure,
            detail=asked.detail,
            errno=asked.errno,
            at=at,
            elapsed=round(asked.elapsed, 6),
            limit=limit,
            travel=Travel(ttl=ttl, expired=expired),
        )

    async def hello(self, address: str, port: int, sni: str, ttl: int, flow: int) -> Tls | None:
        """Connect normally, then offer `sni` with this TTL; None: not connected."""
        if not self._allowed(address):
            return None
        async with self._target.session.limiter.enter(address):
            sock = self._socket(flow)
            limit = 1.0 + self._syn_limit()
            opened = await attempt(_connect(sock, address, port), limit=limit)
            if opened.failure is not None:
                _close(sock)
                return None
            stream = Stream(sock, self._target.session.counter)
            try:
                stream.limit_window(_WINDOW)
                stream.limit(ttl)
                limit = round(_HELLO_SECONDS + 2 * min(opened.elapsed, 1.0), 3)
                step, _ = await tls_handshake(
                    self._target, ServerEndpoint(address, port, sni), stream, limit
                )
            finally:
                stream.close()
        return _with_travel(step, Travel(ttl=ttl, expired=stream.expired))

    async def datagram(self, address: str, ttl: int, flow: int) -> Ping:
        """Send a datagram with this TTL to a closed port, as traceroute does."""
        at = self._target.now()
        asked = await attempt(self._icmp_error(address, ttl, flow), limit=_DATAGRAM_SECONDS)
        error = asked.value
        return Ping(
            what=ROUTER if error is None or error[0] else SERVER,
            failure=Failure.TIMEOUT if error is None else None,
            at=at,
            elapsed=round(asked.elapsed, 6),
            limit=_DATAGRAM_SECONDS,
            travel=Travel(ttl=ttl, expired=None if error is None else error[0]),
        )

    async def routers(self, address: str, hops: int) -> tuple[Ping, ...]:
        """The routers on the way, by UDP; none near the user by address."""
        return await find_routers(self._target, address, hops, 1)

    async def _icmp_error(self, address: str, ttl: int, flow: int) -> tuple[bool]:
        """Whether the ICMP error is "time exceeded"."""
        sock = Datagrams(address, FIRST_PORT + 64 + flow, self._target.session.counter, ttl=ttl)
        try:
            sock.send(b"\0" * 32)
            return ((await sock.icmp_error()).expired,)
        finally:
            sock.close()

    def _allowed(self, address: str) -> bool:
        return ":" not in address and is_dialable(address, lab=self._target.session.lab)

    def _syn_limit(self) -> float:
        usual = self._target.session.timeouts.round_trip
        least, most = _SYN_SECONDS
        return most if usual is None else round(min(max(least, 0.2 + 3 * usual), most), 3)

    def _socket(self, flow: int) -> socket.socket:
        """A socket with the local port of this flow, or with any port where that is in use."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bind_port(sock, self._ports.of(flow))
        return sock


def _close(sock: socket.socket) -> None:
    prepare_reset(sock)
    sock.close()


async def _connect(sock: socket.socket, address: str, port: int) -> bool:
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(sock, (address, port))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:  # the port still serves the flow before
            raise
        await asyncio.sleep(0.05)
        await loop.sock_connect(sock, (address, port))
    return True


def _with_travel(step: Tls, travel: Travel) -> Tls:
    from msgspec.structs import replace

    failure = step.failure
    if failure is Failure.TIMEOUT and travel.expired:
        failure = Failure.HOST_UNREACHABLE
    return replace(step, failure=failure, travel=travel)
