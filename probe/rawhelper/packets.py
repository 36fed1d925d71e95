"""Read the captured packets of one connection, and write all of them as a pcap file."""

import io
import time
from collections.abc import Iterator, Sequence

from scapy.layers.inet import ICMP, IP, TCP, IPerror, TCPerror
from scapy.packet import Packet
from scapy.utils import RawPcapWriter

from probe.rawhelper.anonymize import anonymize
from probe.rawhelper.capture import CapturedPacket, PacketLog

_RAW_IP = 101  # LINKTYPE_RAW: no link layer
_MAX_PACKETS = 64
_HALF = 1 << 31
Fact = dict[str, object]


def flow(captured: Sequence[CapturedPacket], address: str, port: int) -> list[Fact]:
    """Packets received on the latest connection from local `port` to `address`, in order.

    Earlier connections may have had the same port: both names of a trace go one way.
    """
    # Parsing costs much, and a packet without the port in it is not of this connection.
    mark = port.to_bytes(2, "big")
    parsed = [(each, IP(each.data)) for each in captured if mark in each.data]
    ours = [(each.at, ip) for each, ip in parsed if each.ours and _belongs(ip, address, port)]
    begun = [(at, ip[TCP].seq) for at, ip in ours if "S" in str(ip[TCP].flags)]
    first = begun[-1][1] if begun else None
    since = min((at for at, seq in begun if seq == first), default=0.0)  # a SYN may be sent again
    received = ((each.at, ip) for each, ip in parsed if not each.ours and each.at >= since)
    return list(_facts(received, address, port, first))[-_MAX_PACKETS:]


def _belongs(ip: Packet, address: str, port: int) -> bool:
    return TCP in ip and ip.dst == address and ip[TCP].sport == port


def _facts(
    received: Iterator[tuple[float, Packet]], address: str, port: int, first: int | None
) -> Iterator[Fact]:
    for at, ip in received:
        if TCP in ip and ip.src == address and ip[TCP].dport == port:
            yield _segment_fact(at, ip, first)
        elif ICMP in ip and ip[ICMP].type == 11 and _quotes(ip, address, port):
            yield {"at": at, "by": "router", "ip_ttl": ip.ttl, "ip_id": ip.id, "address": ip.src}


def _segment_fact(at: float, ip: Packet, first: int | None) -> Fact:
    tcp = ip[TCP]
    return {
        "at": at,
        "by": "peer",
        "ip_ttl": ip.ttl,
        "ip_id": ip.id,
        "flags": str(tcp.flags),
        "window": tcp.window,
        "size": len(tcp.payload),
        "acked": _acked(tcp, first),
    }


def _acked(tcp: TCP, first: int | None) -> int | None:
    """How many of our bytes it acknowledges, counted from our SYN."""
    if first is None or "A" not in str(tcp.flags):
        return None
    count = (tcp.ack - first - 1) % (1 << 32)
    return count if count < _HALF else None


def _quotes(ip: Packet, address: str, port: int) -> bool:
    if IPerror not in ip or TCPerror not in ip:
        return False
    return bool(ip[IPerror].dst == address and ip[TCPerror].sport == port)


def capture(log: PacketLog, known: frozenset[str]) -> bytes:
    """All captured packets, anonymised, as a pcap file."""
    file = io.BytesIO()
    writer = RawPcapWriter(file, linktype=_RAW_IP)
    writer.write_header(None)
    offset = time.time() - time.monotonic()
    for each in log.packets:
        shown = anonymize(each.data, ours=each.ours, destinations=log.destinations, known=known)
        if shown is not None:
            at = each.at + offset
            writer.write_packet(shown, sec=int(at), usec=int(at % 1 * 1_000_000))
    writer.flush()
    return file.getvalue()
