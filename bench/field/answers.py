"""The responses of the field's servers: DNS replies, and a subset of HTTP/1.1 and HTTP/2.

Written for speed and for one client, the probe: requests are parsed only as far as needed.
"""

import struct
from ipaddress import IPv4Address
from secrets import token_hex
from typing import Literal

from bench.field.plan import Field, Site

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_FRAME = 16384
_TYPE_A = 1
Dripping = Literal["byte", "header", "endless"]


def dns_reply(plan: Field, message: bytes, *, honest: bool = True) -> bytes | None:
    """The reply to one query: one address, no data, or NXDOMAIN."""
    labels, at = [], 12
    while at < len(message) and message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]])
        at += 1 + message[at]
    if at + 5 > len(message):
        return None
    question = message[12 : at + 5]
    kind = int.from_bytes(message[at + 1 : at + 3], "big")
    site = plan.by_name.get(b".".join(labels).decode("latin-1").lower())
    if site is not None and site.behaviour == "denied" and not honest:
        site = None
    answer = b""
    if site is not None and kind == _TYPE_A:
        answer = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04" + IPv4Address(site.address).packed
    flags = 0x8180 | (0 if site else 3)
    return message[:2] + struct.pack("!HHHHH", flags, 1, bool(answer), 0, 0) + question + answer


class HttpResponder:
    """The server side of one connection, over HTTP/1.1 or HTTP/2."""

    def __init__(
        self, plan: Field, name: str | None, *, address: str, secure: bool, h2: bool
    ) -> None:
        self._plan, self._secure, self._h2 = plan, secure, h2
        self._address = address
        self._site = self._site_at_address(name or "")
        self._name = name or ""
        self._resolver = name is not None and name not in plan.by_name
        self._buffer = b""
        self._bodies: dict[int, bytes] = {}
        self._preface_seen = False
        self._window = 65535
        self._windows: dict[int, int] = {}
        self._initial = 65535
        self._pending: dict[int, bytes] = {}
        self.finished = False

    def feed(self, data: bytes) -> bytes:
        """Bytes in, bytes out."""
        self._buffer += data
        return self._http2() if self._h2 else self._http1()

    def _http1(self) -> bytes:
        head, end, query = self._buffer.partition(b"\r\n\r\n")
        if not end or (self._resolver and not query) or self._hangs:
            return b""
        if not self._secure:
            host = head.lower().partition(b"\r\nhost:")[2].partition(b"\r\n")[0]
            self._name = host.strip().decode("latin-1")
            self._site = self._site_at_address(self._name)
        self.finished = True
        status, headers, body = self._dns_page(query) if self._resolver else self._page()
        lines = [f"HTTP/1.1 {status} Sure", *(f"{name}: {value}" for name, value in headers)]
        length = [] if self.dripping == "endless" else [f"content-length: {len(body)}"]
        lines += [*length, "connection: close"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def _site_at_address(self, name: str) -> Site | None:
        """The site of that name if it has this address."""
        site = self._plan.by_name.get(name)
        return site if site is not None and site.address == self._address else None

    @property
    def is_resolver(self) -> bool:
        """Whether DNS queries are answered here."""
        return self._resolver

    @property
    def dripping(self) -> Dripping | None:
        """How the answer is sent, if not at once."""
        behaviour = self._site.behaviour if self._site is not None else None
        return behaviour if behaviour in ("byte", "header", "endless") else None

    @property
    def _hangs(self) -> bool:
        return self._site is not None and self._site.behaviour == "hang"

    def _dns_page(self, query: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        reply = dns_reply(self._plan, query) or b""
        return 200, [("content-type", "application/dns-message")], reply

    def _page(self) -> tuple[int, list[tuple[str, str]], bytes]:
        site = self._site
        if site is None:
            return 404, [("content-type", "text/html")], b"<html>no such site</html>"
        if site.behaviour == "loop":
            return 302, [("location", f"https://{site.name}/{token_hex(4)}")], b""
        if site.redirecting and not self._name.startswith("www."):
            return 301, [("location", f"https://www.{site.name}/")], b""
        page = self._plan.pages[site.page]
        body = page.packed if site.compressed else page.plain[: len(page.packed) * 2]
        return 200, _headers(site), body

    # --- HTTP/2: one HEADERS frame a request, and DATA for a DNS query ----------------------------

    def _http2(self) -> bytes:
        out = b""
        if not self._preface_seen:
            if len(self._buffer) < len(_PREFACE):
                return b""
            self._buffer, self._preface_seen = self._buffer[len(_PREFACE) :], True
            out = _frame(_SETTINGS, 0, 0, b"")
        while len(self._buffer) >= 9 and len(self._buffer) >= 9 + int.from_bytes(
            self._buffer[:3], "big"
        ):
            size, kind, flags = (
                int.from_bytes(self._buffer[:3], "big"),
                self._buffer[3],
                self._buffer[4],
            )
            stream = int.from_bytes(self._buffer[5:9], "big")
            payload, self._buffer = self._buffer[9 : 9 + size], self._buffer[9 + size :]
            out += self._receive(kind, flags, stream, payload)
        return out + self._flush()

    def _receive(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(payload), 6):
                what, value = struct.unpack_from("!HI", payload, at)
                self._initial = value if what == 4 else self._initial
            return _frame(_SETTINGS, _ACK, 0, b"")
        if kind == _WINDOW_UPDATE:
            extra = int.from_bytes(payload, "big")
            if stream:
                self._windows[stream] = self._windows.get(stream, self._initial) + extra
            else:
                self._window += extra
        if kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        if kind in (_HEADERS, _DATA):
            query = self._bodies.pop(stream, b"") + (payload if kind == _DATA else b"")
            read = kind == _DATA and payload
            more = _frame(_WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4, "big")) if read else b""
            if flags & _END_STREAM:
                return more + self._answer(stream, query)
            self._bodies[stream] = query
            return more
        return b""

    def _answer(self, stream: int, query: bytes) -> bytes:
        if self._hangs:
            return b""
        status, headers, body = self._dns_page(query) if self._resolver else self._page()
        block = b"\x08\x03" + str(status).encode()  # ":status", literal, by its index
        for name, value in headers:
            block += b"\0" + bytes([len(name)]) + name.encode()
            block += bytes([len(value)]) + value.encode()
        if body:
            self._pending[stream] = body
        flags = _END_HEADERS | (0 if body else _END_STREAM)
        return _frame(_HEADERS, flags, stream, block)

    def _flush(self) -> bytes:
        """As much of the pending bodies as the flow-control windows allow."""
        out = b""
        for stream in list(self._pending):
            rest = self._pending.pop(stream)
            while rest:
                window = min(self._window, self._windows.setdefault(stream, self._initial), _FRAME)
                if window <= 0:
                    break
                part, rest = rest[:window], rest[window:]
                self._window -= len(part)
                self._windows[stream] -= len(part)
                out += _frame(_DATA, 0 if rest else _END_STREAM, stream, part)
            if rest:
                self._pending[stream] = rest
        return out


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


def _headers(site: Site) -> list[tuple[str, str]]:
    headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("server", "nginx"),
        ("cache-control", "max-age=600"),
        ("strict-transport-security", "max-age=31536000"),
        ("date", "Sun, 22 Nov 2026 10:00:00 GMT"),
        ("vary", "Accept-Encoding, Cookie"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("link", '<https://www.example.org/wp-json/>; rel="https://api.w.org/"'),
        ("x-frame-options", "SAMEORIGIN"),
        ("set-cookie", "session=8f14e45fceea167a5a36dedd4bea2543; path=/; secure; HttpOnly"),
    ]
    return [*headers, ("content-encoding", "gzip")] if site.compressed else headers
