"""A box on the path: it sees copies of packets and is quicker than the server; it stops nothing."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from probe.lab import addresses as plan, names
from probe.lab.middlebox import HOME
from probe.lab.scenario import Box

IP_ID = 0x51AB
WINDOW = 1111
_ETH_P_IP = 0x0800
_OUTGOING = 4
_TCP, _UDP = 6, 17
_RST_ACK = 0x14


@dataclass(frozen=True, slots=True)
class Seen:
    """One packet with ports, taken apart."""

    source: str
    target: str
    ports: tuple[int, int]
    protocol: int
    sequence: int
    acknowledged: int
    payload: bytes


@dataclass
class OnPathInjector:
    """One box, and how it speaks."""

    box: Box
    send: Callable[[bytes, str], object]

    def take(self, data: bytes) -> None:
        """Look at one packet, and speak if it is one of those."""
        seen = read(data)
        if seen is None or not self._named(seen):
            return
        time.sleep(self.box.delay)
        if seen.protocol == _UDP:
            self._answer(seen)
        else:
            self._reset(seen)

    def _named(self, seen: Seen) -> bool:
        name = self.box.name.encode()
        match self.box.what:
            case "hello":
                wanted = b"\0" + struct.pack("!H", len(name)) + name
                return seen.protocol == _TCP and wanted in seen.payload
            case "host":
                return seen.protocol == _TCP and b"\r\nhost: " + name in seen.payload.lower()
            case "query":
                labels = b"".join(bytes([len(each)]) + each for each in name.split(b"."))
                return seen.protocol == _UDP and labels + b"\0" in seen.payload.lower()

    def _reset(self, seen: Seen) -> None:
        """To both ends, each in the other's name."""
        after = (seen.sequence + max(len(seen.payload), 1)) & 0xFFFFFFFF
        near, far = seen.ports
        self._segment((seen.target, seen.source), (far, near), seen.acknowledged, after)
        self._segment((seen.source, seen.target), (near, far), after, seen.acknowledged)

    def _segment(
        self, ends: tuple[str, str], ports: tuple[int, int], sequence: int, acknowledged: int
    ) -> None:
        rest = struct.pack("!BBHHH", 5 << 4, _RST_ACK, WINDOW, 0, 0)
        segment = struct.pack("!HHII", *ports, sequence, acknowledged) + rest
        self._packet(ends, _TCP, segment[:16] + _sum(_pseudo(ends, _TCP, segment)) + segment[18:])

    def _answer(self, seen: Seen) -> None:
        query = names.parse(seen.payload)
        if query is None:
            return
        said = names.respond(query, addresses=(plan.BLOCK_PAGE,)).to_wire()
        ends = (seen.target, seen.source)
        header = struct.pack("!HHHH", seen.ports[1], seen.ports[0], 8 + len(said), 0)
        total = _sum(_pseudo(ends, _UDP, header + said))
        self._packet(ends, _UDP, header[:6] + total + said)

    def _packet(self, ends: tuple[str, str], protocol: int, body: bytes) -> None:
        start = struct.pack(
            "!BBHHHBBH", 0x45, 0, 20 + len(body), IP_ID, 0, self.box.ttl, protocol, 0
        )
        header = start + b"".join(map(socket.inet_aton, ends))
        self.send(header[:10] + _sum(header) + header[12:] + body, ends[1])


def read(data: bytes) -> Seen | None:
    """Take an IPv4 packet with ports apart."""
    if len(data) < 28 or data[0] >> 4 != 4 or data[9] not in {_TCP, _UDP}:
        return None
    source, target = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    body = data[(data[0] & 15) * 4 : int.from_bytes(data[2:4], "big")]
    near, far = struct.unpack_from("!HH", body)
    if data[9] == _UDP:
        return Seen(source, target, (near, far), _UDP, 0, 0, body[8:])
    sequence, acknowledged = struct.unpack_from("!II", body, 4)
    return Seen(
        source, target, (near, far), _TCP, sequence, acknowledged, body[(body[12] >> 4) * 4 :]
    )


def start(box: Box) -> None:
    """Listen on this router's near end, in a thread of its own."""
    ears = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    ears.bind((HOME, _ETH_P_IP))
    mouth = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    tap = OnPathInjector(box, lambda packet, target: mouth.sendto(packet, (target, 0)))

    def listen() -> None:
        while True:
            data, where = ears.recvfrom(65535)
            if where[2] != _OUTGOING:
                tap.take(data)

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
