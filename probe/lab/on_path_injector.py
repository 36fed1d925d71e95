"""An on-path middlebox: it sees copies of packets and injects answers; it drops nothing."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from probe.lab import addresses as plan, names
from probe.lab.middlebox import HOME
from probe.lab.scenario import RouterMiddlebox

IP_ID = 0x51AB
WINDOW = 1111
_ETH_P_IP = 0x0800
_OUTGOING = 4
_TCP, _UDP = 6, 17
_RST_ACK = 0x14


@dataclass(frozen=True, slots=True)
class ParsedPacket:
    """One parsed TCP or UDP packet."""

    source: str
    target: str
    ports: tuple[int, int]
    protocol: int
    sequence: int
    acknowledged: int
    payload: bytes


@dataclass
class OnPathInjector:
    """One middlebox and the function that sends its packets."""

    middlebox: RouterMiddlebox
    send: Callable[[bytes, str], object]

    def handle(self, data: bytes) -> None:
        """Inject an answer to a packet if it matches."""
        packet = read(data)
        if packet is None or not self._matches(packet):
            return
        time.sleep(self.middlebox.delay)
        if packet.protocol == _UDP:
            self._answer(packet)
        else:
            self._reset(packet)

    def _matches(self, packet: ParsedPacket) -> bool:
        name = self.middlebox.name.encode()
        match self.middlebox.what:
            case "hello":
                wanted = b"\0" + struct.pack("!H", len(name)) + name
                return packet.protocol == _TCP and wanted in packet.payload
            case "host":
                return packet.protocol == _TCP and b"\r\nhost: " + name in packet.payload.lower()
            case "query":
                labels = b"".join(bytes([len(each)]) + each for each in name.split(b"."))
                return packet.protocol == _UDP and labels + b"\0" in packet.payload.lower()
            case _:  # an address is blocked in the path only
                return False

    def _reset(self, packet: ParsedPacket) -> None:
        """Send a RST to both ends, each with the other's address as source."""
        after = (packet.sequence + max(len(packet.payload), 1)) & 0xFFFFFFFF
        near, far = packet.ports
        self._segment((packet.target, packet.source), (far, near), packet.acknowledged, after)
        self._segment((packet.source, packet.target), (near, far), after, packet.acknowledged)

    def _segment(
        self, ends: tuple[str, str], ports: tuple[int, int], sequence: int, acknowledged: int
    ) -> None:
        rest = struct.pack("!BBHHH", 5 << 4, _RST_ACK, WINDOW, 0, 0)
        segment = struct.pack("!HHII", *ports, sequence, acknowledged) + rest
        self._packet(ends, _TCP, segment[:16] + _sum(_pseudo(ends, _TCP, segment)) + segment[18:])

    def _answer(self, packet: ParsedPacket) -> None:
        query = names.parse(packet.payload)
        if query is None:
            return
        answer = names.respond(query, addresses=(plan.BLOCK_PAGE,)).to_wire()
        ends = (packet.target, packet.source)
        header = struct.pack("!HHHH", packet.ports[1], packet.ports[0], 8 + len(answer), 0)
        total = _sum(_pseudo(ends, _UDP, header + answer))
        self._packet(ends, _UDP, header[:6] + total + answer)

    def _packet(self, ends: tuple[str, str], protocol: int, body: bytes) -> None:
        start = struct.pack(
            "!BBHHHBBH", 0x45, 0, 20 + len(body), IP_ID, 0, self.middlebox.ttl, protocol, 0
        )
        header = start + b"".join(map(socket.inet_aton, ends))
        self.send(header[:10] + _sum(header) + header[12:] + body, ends[1])


def read(data: bytes) -> ParsedPacket | None:
    """Parse an IPv4 packet; None if it is neither TCP nor UDP."""
    if len(data) < 28 or data[0] >> 4 != 4 or data[9] not in {_TCP, _UDP}:
        return None
    source, target = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    body = data[(data[0] & 15) * 4 : int.from_bytes(data[2:4], "big")]
    near, far = struct.unpack_from("!HH", body)
    if data[9] == _UDP:
        return ParsedPacket(source, target, (near, far), _UDP, 0, 0, body[8:])
    sequence, acknowledged = struct.unpack_from("!II", body, 4)
    return ParsedPacket(
        source, target, (near, far), _TCP, sequence, acknowledged, body[(body[12] >> 4) * 4 :]
    )


def start(middlebox: RouterMiddlebox) -> None:
    """Inspect packets at this router's client side in a thread of its own."""
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    receiver.bind((HOME, _ETH_P_IP))
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    injector = OnPathInjector(middlebox, lambda packet, target: sender.sendto(packet, (target, 0)))

    def listen() -> None:
        while True:
            data, where = receiver.recvfrom(65535)
            if where[2] != _OUTGOING:
                injector.handle(data)

    threading.Thread(target=listen, daemon=True).start()


def _pseudo(ends: tuple[str, str], protocol: int, body: bytes) -> bytes:
    start_ = b"".join(map(socket.inet_aton, ends))
    return start_ + struct.pack("!BBH", 0, protocol, len(body)) + body


def _sum(data: bytes) -> bytes:
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
