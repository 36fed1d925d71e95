"""OpenVPN: whether a server of the volunteer's own configuration answers the first packet.

    [options.openvpn]
    endpoints = ["vpn.example.org:1194/udp", "192.0.2.3:443/tcp"]

The first packet (P_CONTROL_HARD_RESET_CLIENT_V2) has no secret in it and is easily known;
an answer (…_SERVER_V2 with our session in it) is all that is asked for. A server with `tls-auth` or
`tls-crypt` stays silent to everybody who lacks its key, so there silence says nothing. Over UDP the
same packet behind meaningless ones is the comparison: a server passes over those, a box that knows
the protocol by a flow's first packet does not know it then.

Source: OpenVPN's protocol description (openvpn-rfc; `ssl_pkt.h`).
"""

import struct
from collections.abc import Mapping
from dataclasses import replace

from probe.experiments import service
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.operations import AppMessage
from probe.experiments.option import LIST
from probe.experiments.private_servers import MOST, Server, listed, read_server, visit
from probe.experiments.step_log import StepLog
from probe.experiments.web import look_at
from probe.model import Role, Steps

_CLIENT_V2, _SERVER_V2 = 7, 8
PREFACE = (53, 211, 127)


def packet(fresh: bytes, _: float) -> bytes:
    """The packet that a client begins with: opcode, session, nothing acknowledged, number 0."""
    return bytes((_CLIENT_V2 << 3,)) + fresh[:8] + bytes(5)


def answers(sent: bytes, heard: bytes) -> bool:
    """The server's answer, with our session in it."""
    return len(heard) >= 22 and heard[0] >> 3 == _SERVER_V2 and sent[1:9] in heard[9:]


def framed(fresh: bytes, now: float) -> bytes:
    """Over TCP each packet has its length before it."""
    data = packet(fresh, now)
    return struct.pack("!H", len(data)) + data


def framed_answers(sent: bytes, heard: bytes) -> bool:
    """The same over TCP, once the whole packet is there."""
    if len(heard) < 2 or len(heard) < 2 + int.from_bytes(heard[:2], "big"):
        return False
    return answers(sent[2:], heard[2:])


UDP = AppMessage("openvpn", packet, answers)
TCP = AppMessage("openvpn", framed, framed_answers)
BEHIND = replace(UDP, preface=PREFACE)


def objection(options: Mapping[str, object]) -> str | None:
    """Say which endpoint cannot be used."""
    found = listed(options, "endpoints")
    if found is None:
        return f'endpoints: a list of 1 to {MOST} like "192.0.2.3:1194/udp" expected'
    for number, text in enumerate(found, start=1):
        if read_server(text, default="udp") is None:
            return f"endpoints: number {number} is no HOST:PORT/udp or HOST:PORT/tcp"
    return None


def servers(task: Task) -> list[tuple[str, Server]]:
    """The configured servers, by the word they have in a record."""
    read = [read_server(one, default="udp") for one in listed(task.options, "endpoints") or ()]
    return [(f"endpoint {n}", one) for n, one in enumerate(read, start=1) if one is not None]


async def measure(task: Task, net: Net) -> Steps:
    """Ask each server once."""
    trail = StepLog()
    for what, server in servers(task):
        trail.add(await visit(net, server, what, _talk(server)))
    return trail.steps


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Ask again, between the same question behind a preface, and between references."""
    trail = StepLog(seen)
    failed = {one.what for one in service.summaries(seen) if one.failure is not None}
    reference = task.references[0] if task.references else None
    await look_at(net, trail, reference)
    for what, server in servers(task):
        if what in failed:
            await _compare(net, trail, what, server)
    await look_at(net, trail, reference)
    return trail.steps


async def _compare(net: Net, trail: StepLog, what: str, server: Server) -> None:
    behind = BEHIND if server.transport == "udp" else None
    if behind is not None:
        trail.add(await visit(net, server, what, behind), role=Role.HARMLESS)
    trail.add(await visit(net, server, what, _talk(server)), try_=2)
    if behind is not None:
        trail.add(await visit(net, server, what, behind), role=Role.HARMLESS, try_=2)


def _talk(server: Server) -> AppMessage:
    return UDP if server.transport == "udp" else TCP


EXPERIMENT = Experiment(
    "openvpn",
    1,
    measure,
    confirm,
    service.wanted,
    service=True,
    objection=objection,
    takes={"endpoints": LIST},
)
