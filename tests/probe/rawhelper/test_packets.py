"""The packets of one connection, among those of others."""

import pytest

pytest.importorskip("scapy")

from scapy.layers.inet import ICMP, IP, TCP

from probe.rawhelper.capture import CapturedPacket
from probe.rawhelper.packets import flow

HERE, SERVER, ROUTER = "192.0.2.1", "203.0.113.7", "198.51.100.4"
PORT = 40_000


def sent(at: float, flags: str, seq: int) -> CapturedPacket:
    packet = IP(src=HERE, dst=SERVER) / TCP(sport=PORT, dport=443, flags=flags, seq=seq)
    return CapturedPacket(at, bytes(packet), ours=True)


def received(at: float, flags: str, ack: int, port: int = PORT) -> CapturedPacket:
    packet = IP(src=SERVER, dst=HERE) / TCP(sport=443, dport=port, flags=flags, ack=ack)
    return CapturedPacket(at, bytes(packet), ours=False)


def expired(at: float) -> CapturedPacket:
    quoted = IP(src=HERE, dst=SERVER) / TCP(sport=PORT, dport=443)
    return CapturedPacket(at, bytes(IP(src=ROUTER, dst=HERE) / ICMP(type=11) / quoted), ours=False)


def test_a_later_connection_from_the_same_port_has_its_own_packets() -> None:
    first = [sent(1.0, "S", 100), received(1.1, "SA", 101), expired(1.2)]
    second = [
        sent(2.0, "S", 500),
        received(2.05, "SA", 999, port=PORT + 1),
        sent(3.0, "S", 500),  # once more: the first one was lost
        received(3.1, "SA", 501),
        received(3.2, "RA", 1018),
    ]
    (reply, error) = flow(first, SERVER, PORT)
    assert (reply["flags"], error["by"]) == ("SA", "router")
    seen = flow([*first, *second], SERVER, PORT)
    assert [(one["at"], one["flags"], one["acked"]) for one in seen] == [
        (3.1, "SA", 0),
        (3.2, "RA", 517),
    ]
