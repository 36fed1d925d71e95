"""Parse an HTTP/1 response that strict parsers reject.

Browsers accept lower-case versions, bare line feeds, and headers with a space before the colon or
without a colon. Nothing here raises, and the time is linear in the number of bytes.
"""

import re

from msgspec import Struct

from probe.net.http_response import Headers

HEAD_LIMIT = 65536
_HEADERS = 256
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,8}")
_WITHOUT_BODY = frozenset({204, 304})  # RFC 9110 section 6.4.1


class ResponseHead(Struct, frozen=True):
    """A status line and headers; `body_at` is the offset of the body."""

    version: str
    status: int
    headers: Headers
    body_at: int

    @property
    def length(self) -> int | None:
        """Content-Length, if it is one number."""
        if self.status in _WITHOUT_BODY:
            return 0
        found = {value for name, value in self.headers if name == b"content-length"}
        value = found.pop() if len(found) == 1 else b""
        return int(value) if value.isdigit() and len(value) < 16 else None

    @property
    def chunked(self) -> bool:
        """Whether the body is chunked."""
        return any(
            name == b"transfer-encoding" and value.lower().endswith(b"chunked")
            for name, value in self.headers
        )


def read_head(raw: bytes) -> ResponseHead | None:
    """The head at the front of `raw`; None if it is incomplete or not HTTP."""
    start = raw[:HEAD_LIMIT]
    ends = [(at, size) for mark, size in _ENDS if (at := start.find(mark)) >= 0]
    if not ends or start[:5].lower() != b"http/":
        return None
    at, size = min(ends)
    lines = start[:at].split(b"\n")
    version, _, rest = lines[0].strip().partition(b" ")
    code = rest.strip()[:3]
    if len(code) != 3 or not code.isdigit():
        return None
    split = (line.partition(b":") for line in lines[1 : _HEADERS + 1])
    headers = [(name.strip().lower(), value.strip()) for name, _, value in split]
    number = version[5:8].decode("ascii", "replace")
    return ResponseHead(number, int(code), [one for one in headers if one[0]], at + size)


def unchunk(data: bytes) -> tuple[bytes, bool]:
    """The decoded body, raw from an invalid chunk on, and whether its last chunk arrived."""
    body = bytearray()
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        size = _size(data[at:end])
        if size is None:
            return bytes(body + data[at:]), False
        if size == 0:
            return bytes(body), True
        body += data[end + 1 : end + 1 + size]
        at = end + 1 + size
        at += 2 if data[at : at + 2] == b"\r\n" else 1
    return bytes(body), False


_ENDS = ((b"\r\n\r\n", 4), (b"\n\n", 2), (b"\n\r\n", 3))


def _size(line: bytes) -> int | None:
    digits = line.split(b";", 1)[0].strip()
    # `int` takes signs and underscores as well: after a negative size, a body would never end.
    return int(digits, 16) if _HEXADECIMAL.fullmatch(digits) else None
