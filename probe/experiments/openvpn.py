"""OpenVPN: whether a server of the user's own configuration answers the first packet.

    [options.openvpn]
    endpoints = ["vpn.example.org:1194/udp", "192.0.2.3:443/tcp"]

The first packet (P_CONTROL_HARD_RESET_CLIENT_V2) contains no secret and is easily recognised; only
an answer (…_SERVER_V2 with our session in it) is asked for. A server with `tls-auth` or `tls-crypt`
does not answer a client without its key, so there silence proves nothing. Over UDP the same packet
behind random datagrams is the comparison: a server ignores those, and a middlebox that classifies a
flow by its first packet does not recognise the protocol then.

Source: OpenVPN's protocol description (openvpn-rfc; `ssl_pkt.h`).
"""

import struct
from collections.abc import Mapping

from probe.experiments.interface import Task
from probe.experiments.operations import AppMessage
from probe.experiments.private_servers import MOST, Server, listed, of_servers, read_server
from probe.i18n import _

_CLIENT_V2, _SERVER_V2 = 7, 8


def packet(fresh: bytes, _: float) -> bytes:
    """The first packet of a client: opcode, session, nothing acknowledged, number 0."""
    return bytes((_CLIENT_V2 << 3,)) + fresh[:8] + bytes(5)


def is_answer(sent: bytes, received: bytes) -> bool:
    """The server's answer, with our session in it."""
    return len(received) >= 22 and received[0] >> 3 == _SERVER_V2 and sent[1:9] in received[9:]


def framed(fresh: bytes, now: float) -> bytes:
    """The same over TCP, where the length precedes each packet."""
    data = packet(fresh, now)
    return struct.pack("!H", len(data)) + data


def is_framed_answer(sent: bytes, received: bytes) -> bool:
    """The same over TCP, once the whole packet is there."""
    if len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2], "big"):
        return False
    return is_answer(sent[2:], received[2:])


UDP = AppMessage("openvpn", packet, is_answer)
TCP = AppMessage("openvpn", framed, is_framed_answer)


def objection(options: Mapping[str, object]) -> str | None:
    """Name the first endpoint that cannot be used."""
    found = listed(options, "endpoints")
    if found is None:
        return _('endpoints: a list of 1 to {most} like "192.0.2.3:1194/udp" expected').format(
            most=MOST
        )
    for number, text in enumerate(found, start=1):
        if read_server(text, default="udp") is None:
            return _("endpoints: number {number} is no HOST:PORT/udp or HOST:PORT/tcp").format(
                number=number
            )
    return None


def servers(task: Task) -> list[tuple[str, Server, AppMessage]]:
    """The configured servers, by the word they have in a record."""
    read = [read_server(one, default="udp") for one in listed(task.options, "endpoints") or ()]
    return [
        (f"endpoint {n}", one, UDP if one.transport == "udp" else TCP)
        for n, one in enumerate(read, start=1)
        if one is not None
    ]


EXPERIMENT = of_servers("openvpn", "endpoints", servers, objection)
