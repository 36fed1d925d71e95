"""Servers of the user's own configuration: measured, and never recorded by address.

A bridge or a VPN server may be a secret shared by few, and the user's own. Its steps are one `ping`
each, called `bridge 1`, `peer 2` …: no address, no port, no name, no certificate.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from probe.analysis.service_attempts import attempts
from probe.compare import is_address
from probe.experiments import service
from probe.experiments.browse import measure_reference
from probe.experiments.interface import ExchangeNet, Experiment, Net, Task
from probe.experiments.operations import AppMessage, DnsQuery, Exchange, TcpConnect, TlsHandshake
from probe.experiments.option import LIST
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Ping, Role, Step, Steps, Tls
from probe.urls import TargetError, ascii_host

MOST = 8
# Sizes of the random datagrams sent before the message that is compared.
PREFACE = (53, 211, 127)

ServerTransport = Literal["udp", "tcp", "tls"]


class Server(Struct, frozen=True):
    """The endpoint of a configured server."""

    host: str
    port: int
    transport: ServerTransport


# The configured servers: the word for each in a record, its endpoint, and what it is sent.
Configured = Callable[[Task], Sequence[tuple[str, Server, AppMessage]]]


def of_servers(
    name: str,
    option: str,
    servers: Configured,
    objection: Callable[[Mapping[str, object]], str | None],
) -> Experiment:
    """The experiment on configured servers that answer a message."""
    return Experiment(
        name,
        1,
        partial(_measure, servers),
        partial(_confirm, servers),
        service.needs_confirmation,
        service=True,
        objection=objection,
        takes={option: LIST},
    )


async def _measure(servers: Configured, task: Task, net: Net) -> Steps:
    """Send each server its message once."""
    log = StepLog()
    for what, server, message in servers(task):
        log.add(await visit(net, server, what, message))
    return log.steps


async def _confirm(servers: Configured, task: Task, net: Net, seen: Steps) -> Steps:
    """Send it again where it failed, between the same message behind a preface.

    The preface is sent over UDP only. A reference site is measured before and after.
    """
    log = StepLog(seen)
    failed = {one.part for one in attempts(seen) if one.failure is not None}
    await measure_reference(net, log, task.reference)
    for what, server, message in [one for one in servers(task) if one[0] in failed]:
        behind = replace(message, preface=PREFACE) if server.transport == "udp" else None
        if behind is not None:
            log.add(await visit(net, server, what, behind), role=Role.HARMLESS)
        log.add(await visit(net, server, what, message), try_=2)
        if behind is not None:
            log.add(await visit(net, server, what, behind), role=Role.HARMLESS, try_=2)
    await measure_reference(net, log, task.reference)
    return log.steps


def read_server(text: object, *, default: ServerTransport) -> Server | None:
    """Parse `HOST:PORT` or `[IPV6]:PORT`, with `/udp` or `/tcp` behind it or not; None: invalid."""
    if not isinstance(text, str):
        return None
    endpoint, _, transport = text.strip().partition("/")
    host, colon, port = endpoint.rpartition(":")
    if not colon or transport not in {"", "udp", "tcp"}:
        return None
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
        return None
    try:
        name = ascii_host(host).strip("[]")
    except TargetError:
        return None
    chosen: ServerTransport = (
        "udp" if transport == "udp" else "tcp" if transport == "tcp" else default
    )
    return Server(name, int(port), chosen)


def listed(options: Mapping[str, object], key: str) -> Sequence[object] | None:
    """A list of 1 to `MOST` items among the options; None when there is none."""
    value = options.get(key)
    usable = isinstance(value, Sequence) and not isinstance(value, str) and 0 < len(value) <= MOST
    return value if usable and isinstance(value, Sequence) else None


async def visit(net: Net, server: Server, what: str, message: AppMessage | None = None) -> Ping:
    """Try one server: send the message if there is one, else connect or shake hands."""
    address, failure = await _address(net, server.host)
    if address is None or not net.safe(address):
        return Ping(what=what, failure=failure or Failure.NETWORK_UNREACHABLE)
    if message is not None and isinstance(net, ExchangeNet):
        exchange = Exchange(address, server.port, message)
        if server.transport == "udp":
            return _anonymous(await net.exchange_udp(exchange), what)
        tcp, answer = await net.exchange_tcp(exchange)
        return _anonymous(answer or tcp, what)
    if server.transport == "tls":
        connected, shaken = await net.tls(TlsHandshake(address, server.port, None))
        return _anonymous(shaken or connected, what)
    return _anonymous(await net.tcp(TcpConnect(address, server.port)), what)


def _anonymous(step: Step, what: str) -> Ping:
    """The same step without its endpoint."""
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
