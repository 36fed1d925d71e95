"""Anonymise a packet: remove the user's address and the routers near the user.

This is an allow-list: the fields of the headers, the first bytes of a received payload, and the
addresses of known routers are kept; packets that cannot be parsed are dropped. Checksums are
computed again, because the original ones reveal the address.
"""

import socket
import struct
from collections.abc import Collection

OURS = "192.0.2.1"  # RFC 5737: documentation
NEARBY = "192.0.2.2"
HEAD = 16  # bytes of a received payload: enough for a TLS record header or a status line
_ICMP, _TCP, _UDP = 1, 6, 17
_UNREACHABLE, _TIME_EXCEEDED = 3, 11
_QUOTE = 8  # of the packet that an ICMP error quotes: its ports and sequence (RFC 792)
_SIMPLE = {2, 3, 4, 5, 8}  # size, scale, selective acknowledgement, timestamps


def anonymize(
    data: bytes, *, ours: bool, destinations: Collection[str], known: Collection[str]
) -> bytes | None:
    """The packet without data of the user, or None if it must be dropped."""
    header = _header(data)
    if header is None:
        return None
    source, target = _text(header[12:16]), _text(header[16:20])
    body = data[(data[0] & 15) * 4 : int.from_bytes(data[2:4], "big")]
    there, here = (target, header[12:16]) if ours else (source, header[16:20])
    if header[9] == _ICMP and not ours:
        inner = _quoted(body, destinations)
        shown = source if source in known or source in destinations else NEARBY
        return None if inner is None else _packet(header, shown, OURS, inner)
    if there not in destinations:
        return None
    ends = (OURS, target) if ours else (source, OURS)
    made = _transport(header[9], body, ends, ours=ours, here=here)
    return None if made is None else _packet(header, *ends, made)


def _header(data: bytes) -> bytes | None:
    """The fixed 20 bytes of an IPv4 header; None if it is invalid or a later fragment."""
    size = (data[0] & 15) * 4 if data else 0
    if size < 20 or data[0] >> 4 != 4 or not size <= int.from_bytes(data[2:4], "big") <= len(data):
        return None
    return None if int.from_bytes(data[6:8], "big") & 0x1FFF else data[:20]


def _transport(
    protocol: int, body: bytes, ends: tuple[str, str], *, ours: bool, here: bytes
) -> bytes | None:
    if protocol == _TCP and len(body) >= 20 and 20 <= (body[12] >> 4) * 4 <= len(body):
        size = (body[12] >> 4) * 4
        payload = _payload(body[size:], ours=ours, here=here)
        return _with_checksum(body[:20] + _options(body[20:size]) + payload, 16, protocol, ends)
    if protocol == _UDP and len(body) >= 8:
        payload = body[8:] if ours else b"\0" * len(body[8:])
        return _with_checksum(body[:8] + _payload(payload, ours=True, here=here), 6, protocol, ends)
    return None


def _payload(data: bytes, *, ours: bool, here: bytes) -> bytes:
    """A sent payload, or the first bytes of a received one, without our address in any notation."""
    shown = data if ours else data[:HEAD] + b"\0" * len(data[HEAD:])
    for written in (here, here[::-1], _text(here).encode(), here.hex().encode()):
        shown = shown.replace(written, b"\0" * len(written))
    return shown


def _options(data: bytes) -> bytes:
    """TCP options that contain only numbers; the others are replaced by no-operations."""
    made, at = bytearray(b"\1" * len(data)), 0
    while at < len(data) and data[at]:
        size = 1 if data[at] == 1 else data[at + 1] if at + 1 < len(data) else 0
        if size < 1 or (data[at] != 1 and size < 2) or at + size > len(data):
            break
        if data[at] in _SIMPLE:
            made[at : at + size] = data[at : at + size]
        at += size
    return bytes(made)


def _quoted(body: bytes, destinations: Collection[str]) -> bytes | None:
    """An ICMP error about a packet of ours, cut to the part that every router quotes."""
    if len(body) < 8 + 20 + _QUOTE or body[0] not in {_UNREACHABLE, _TIME_EXCEEDED}:
        return None
    inner = body[8:]
    size = (inner[0] & 15) * 4
    if inner[0] >> 4 != 4 or size < 20 or len(inner) < size + _QUOTE:
        return None
    if _text(inner[16:20]) not in destinations:
        return None
    quoted = inner[size : size + _QUOTE]
    if inner[9] == _UDP:
        quoted = quoted[:6] + b"\0\0"  # its checksum depends on our address
    header = _ip_header(inner[:20], OURS, _text(inner[16:20]), int.from_bytes(inner[2:4], "big"))
    made = body[:2] + b"\0\0" + b"\0" * 4 + header + quoted
    return made[:2] + _checksum(made) + made[4:]


def _packet(header: bytes, source: str, target: str, body: bytes) -> bytes:
    return _ip_header(header, source, target, 20 + len(body)) + body


def _ip_header(header: bytes, source: str, target: str, size: int) -> bytes:
    """The header without options and with other addresses."""
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    made = b"\x45" + header[1:2] + struct.pack("!H", size & 0xFFFF) + header[4:10] + b"\0\0" + ends
    return made[:10] + _checksum(made) + made[12:]


def _with_checksum(body: bytes, at: int, protocol: int, ends: tuple[str, str]) -> bytes:
    blank = body[:at] + b"\0\0" + body[at + 2 :]
    pseudo = b"".join(map(socket.inet_aton, ends)) + struct.pack("!BBH", 0, protocol, len(body))
    return body[:at] + _checksum(pseudo + blank) + body[at + 2 :]


def _checksum(data: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def _text(packed: bytes) -> str:
    return socket.inet_ntoa(packed)
