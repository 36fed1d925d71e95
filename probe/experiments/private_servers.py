"""Servers of the volunteer's own configuration: looked at, and never written down by address.

A bridge or a VPN server may be a secret shared by few, and the volunteer's own. Its steps are one
`ping` each, called `bridge 1`, `peer 2` …: no address, no port, no name, no certificate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from probe.compare import is_address
from probe.experiments.interface import ExchangeNet, Net
from probe.experiments.operations import AppMessage, DnsQuery, Exchange, TcpConnect, TlsHandshake
from probe.failure import Failure
from probe.model import Ping, Step, Tls
from probe.urls import TargetError, ascii_host

MOST = 8

Transport = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True)
class Server:
    """Where one of them is."""

    host: str
    port: int
    transport: Transport


def read_server(text: object, *, default: Transport) -> Server | None:
    """Read `HOST:PORT`, `[IPV6]:PORT`, either with `/udp` or `/tcp` behind it; None: it is none."""
    if not isinstance(text, str):
        return None
    where, _, transport = text.strip().partition("/")
    host, colon, port = where.rpartition(":")
    if not colon or transport not in {"", "udp", "tcp"}:
        return None
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
        return None
    try:
        name = ascii_host(host).strip("[]")
    except TargetError:
        return None
    chosen: Transport = "udp" if transport == "udp" else "tcp" if transport == "tcp" else default
    return Server(name, int(port), chosen)


def listed(options: Mapping[str, object], key: str) -> Sequence[object] | None:
    """A list among the options, of a bearable length; None when there is none."""
    value = options.get(key)
    usable = isinstance(value, Sequence) and not isinstance(value, str) and 0 < len(value) <= MOST
    return value if usable and isinstance(value, Sequence) else None


async def visit(net: Net, server: Server, what: str, talk: AppMessage | None = None) -> Ping:
    """Look at one server and forget where it was."""
    address, failure = await _address(net, server.host)
    if address is None or not net.safe(address):
        return Ping(what=what, failure=failure or Failure.NETWORK_UNREACHABLE)
    if talk is not None and isinstance(net, ExchangeNet):
        if server.transport == "udp":
            return hidden(await net.exchange_udp(Exchange(address, server.port, talk)), what)
        tcp, said = await net.exchange_tcp(Exchange(address, server.port, talk))
        return hidden(said or tcp, what)
    if server.transport == "tls":
        connected, shaken = await net.tls(TlsHandshake(address, server.port, None))
        return hidden(shaken or connected, what)
    return hidden(await net.tcp(TcpConnect(address, server.port)), what)


def hidden(step: Step, what: str) -> Ping:
    """The same step without where it went."""
    out, back = (step.bytes_out, step.bytes_in) if isinstance(step, Ping | Tls) else (0, 0)
    return Ping(
        what=what,
        failure=step.failure,
        at=step.at,
        elapsed=step.elapsed,
        limit=step.limit,
        bytes_out=out,
        bytes_in=back,
    )


async def _address(net: Net, host: str) -> tuple[str | None, Failure | None]:
    if is_address(host):
        return host, None
    answer = await net.dns(DnsQuery(host, net.resolvers[0]))
    usable = [one for one in answer.addresses if net.safe(one)]
    return (usable[0], None) if usable else (None, answer.failure or Failure.DNS_NO_ANSWER)
