"""Hostile requests as bytes, and the ways in which they are sent.

Rule: everything follows from the random generator that is passed in, so that a seed repeats a run.
"""

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_from_bytes

from collector.api.app import HEALTH, METRICS, ROUTES
from probe import codec

Manner = Literal["whole", "slow", "half_closed", "aborted", "unread", "cut"]
MANNERS: tuple[Manner, ...] = ("whole", "whole", "slow", "half_closed", "aborted", "unread", "cut")
Signer = Callable[[str, str, bytes], dict[str, str]]

PATHS = tuple(dict.fromkeys(route.path for route in (*ROUTES, *HEALTH, METRICS)))
NAMES = tuple(
    dict.fromkeys(name for route in ROUTES for name in route.parameters.__struct_fields__)
)
METHODS = ("GET", "GET", "GET", "GET", "POST", "POST", "DELETE", "HEAD", "PUT", "OPTIONS", "PATCH")
ODD_METHODS = ("", "get", "CONNECT", "TRACE", "PRI", "\0", "GET GET", "G" * 9000)
VALUES = (
    b"", b"\0", b"a\0b", b"-1", b"0", b"1", b"1e999", b"nan", b"9" * 400, b"x" * 3000, b"KZ",
    b"kz\n",
    b"AS9198", b"2300-01-01", b"0001-01-01", b"9999-12-31T23:59:59.999999+00:00", b"2026-01-01",
    b"\xff\xfe", b"\xed\xa0\x80", b"' OR 1=1 --", b"../../etc/passwd", b"%00", b"ok", b"blocked",
    b"parquet", b"csv", b"jsonl", b"json", b"leaf", b"newest", b"oldest",
    b"https://listed.example/",
    b"\xd9\xa1", b"[1]", b"{}", b"true", b"null", b"1000", b"1001", b"9223372036854775807",
)  # fmt: skip
HEADERS = (
    "Host: x", "Host: ", "Host: a\r\nHost: b", "Accept-Encoding: gzip", "Accept-Encoding: br, zstd",
    "Accept-Encoding: gzip;q=" + "9" * 300, "Content-Encoding: gzip", "Content-Encoding: deflate",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 0", "Content-Length: 5",
    "Content-Length: -1", "Content-Length: +5", "Content-Length: 0x5",
    "Content-Length: 99999999999999999999", "Content-Length: 1\r\nContent-Length: 2",
    "Content-Length: 18446744073709551616", "Expect: 100-continue", "Expect: 200-ok",
    "Connection: close", "Connection: upgrade\r\nUpgrade: websocket", "Upgrade: h2c",
    "Range: bytes=0-1", "Range: bytes=-99999999999999", "If-None-Match: *",
    "If-None-Match: " + '"x",' * 900,
    "X-Forwarded-For: " + "1.2.3.4, " * 500, "X-Forwarded-For: \xff", "Forwarded: for=unknown",
    "Cookie: " + "a=b; " * 1000, "Content-Type: application/json", "Content-Type: text/plain",
    f"Content-Type: {codec.BATCH_TYPE}", "Content-Type: multipart/form-data; boundary=x",
    "Qaz-Key: " + "0" * 32, "Qaz-Key: x", "Qaz-Created: 1", "Qaz-Created: 9e9",
    "Qaz-Signature: AAAA",
    "Qaz-Signature: " + "A" * 8000, "Bad Header: x", ": x", " folded", "\0: x", "X: \0",
    "X: " + "y" * 9000,
    "Accept: text/csv", "TE: trailers", "Trailer: X", "HTTP2-Settings: AAAA",
    "Authorization: Basic AA==",
)  # fmt: skip
CHUNKS = (
    b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n", b"ffffffffffffffff\r\n", b"-1\r\nx\r\n",
    b"5;a=b\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n", b"5\r\nhel", b"0\r\nX: y\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    b"z\r\n",
    b"00000000000000000000000005\r\nhello\r\n0\r\n\r\n", b"1\r\na\r\n" * 3000 + b"0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes for one connection, how they are sent, and what made them."""

    what: str
    data: bytes
    manner: Manner


def make(rng: random.Random, sign: Signer, honest: Callable[[], bytes]) -> Case:
    """One hostile case; `honest` makes the line of a valid record."""
    kind = rng.choice((_plain, _plain, _plain, _signed, _signed, _chunked, _pipelined, _garbage))
    return Case(kind.__name__, kind(rng, sign, honest), rng.choice(MANNERS))


def _target(rng: random.Random) -> str:
    path = rng.choice(PATHS).replace("{id}", _quoted(rng)).replace("{file}", _quoted(rng))
    if rng.random() < 0.1:
        path = rng.choice(
            (path + "/", "/" + path, path.upper(), path * 300, path + "%00", "*", "//", "http://x/")
        )
    count = rng.choice((0, 0, 1, 1, 1, 2, 3, 600))
    pairs = (f"{rng.choice((*NAMES, 'x'))}={_quoted(rng)}" for _ in range(count))
    return path + ("?" + "&".join(pairs) if count else "")


def _quoted(rng: random.Random) -> str:
    return quote_from_bytes(rng.choice(VALUES))


def _head(rng: random.Random, method: str, target: str, headers: dict[str, str]) -> bytes:
    version = rng.choice(
        ("HTTP/1.1",) * 12 + ("HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 x", "", "ICY")
    )
    odd = rng.sample(HEADERS, rng.choice((0, 0, 1, 2, 5)))
    lines = [
        f"{method} {target} {version}",
        "Host: x",
        *(f"{k}: {v}" for k, v in headers.items()),
        *odd,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _plain(rng: random.Random, _sign: Signer, _honest: Callable[[], bytes]) -> bytes:
    method = rng.choice(METHODS if rng.random() < 0.95 else ODD_METHODS)
    body = rng.choice((b"", b"", b"{}", b"null", b"[" * 5000, b'{"a":' * 3000, rng.randbytes(2000)))
    headers = {"Content-Length": str(len(body))} if body or rng.random() < 0.2 else {}
    return _head(rng, method, _target(rng), headers) + body


def _signed(rng: random.Random, sign: Signer, honest: Callable[[], bytes]) -> bytes:
    path, body = rng.choice(
        (
            ("/v1/measurements", _batch(rng, honest)),
            ("/v1/measurements", _batch(rng, honest)),
            (
                "/v1/heartbeat",
                _json(
                    rng,
                    b'{"country":"KZ","asn":9198,"unheard":[{"since":9,"until":1,"reach":"home"}]}',
                ),
            ),
            (
                "/v1/recheck",
                _json(
                    rng,
                    b'{"wait":1,"asks":[{"input":"https://listed.example/","addresses":["1.2.3.4"]}]}',
                ),
            ),
            ("/v1/enroll", _json(rng, b'{"key":"AAAA","proof":"AAAA","role":"probe"}')),
        )
    )
    type_ = codec.BATCH_TYPE if path == "/v1/measurements" else "application/json"
    headers = {"Content-Type": type_, "Content-Length": str(len(body)), **sign("POST", path, body)}
    lines = [f"POST {path} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _batch(rng: random.Random, honest: Callable[[], bytes]) -> bytes:
    packed = codec.pack([_json(rng, honest()) for _ in range(rng.choice((1, 5, 40)))])
    odd: tuple[Callable[[], bytes], ...] = (
        lambda: gzip.compress(b"\n" * 30_000_000, 1, mtime=0),
        lambda: gzip.compress(b"{" * 20_000_000, 1, mtime=0),
        lambda: packed[: rng.randrange(len(packed))],
        lambda: packed + rng.choice((b"x", packed)),
        lambda: codec.pack([honest()[:-1] + b',"x":"' + b"y" * 600_000 + b'"}']),
        lambda: codec.pack([b"{}"] * 600),
    )
    return rng.choice(odd)() if rng.random() < 0.6 else packed


def _json(rng: random.Random, text: bytes) -> bytes:
    """The text with some damage: a value exchanged, a part repeated or removed, a byte flipped."""
    changed = bytearray(text)
    for _ in range(rng.choice((0, 1, 1, 2, 6))):
        at = rng.randrange(len(changed) or 1)
        end = min(len(changed), at + rng.choice((1, 2, 8, 60)))
        put = rng.choice(
            (
                b"",
                b"9" * 30,
                b"-1",
                b"1e308",
                b"null",
                b"\\u0000",
                b'"',
                b"\xff",
                b"[[[[",
                bytes(changed[at:end]) * 2,
            )
        )
        changed[at:end] = put
    return bytes(changed)


def _chunked(rng: random.Random, sign: Signer, _honest: Callable[[], bytes]) -> bytes:
    path = rng.choice(("/v1/measurements", "/v1/enroll", "/v1/heartbeat", "/v1/service"))
    signed = sign("POST", path, b"hello") if rng.random() < 0.6 else {}
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "application/json", **signed}
    return _head(rng, "POST", path, headers) + rng.choice(CHUNKS)


def _pipelined(rng: random.Random, sign: Signer, honest: Callable[[], bytes]) -> bytes:
    count = rng.choice((2, 10, 100, 1500))
    one = rng.choice(
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    )
    return (
        one * count
        if rng.random() < 0.6
        else b"".join(_plain(rng, sign, honest) for _ in range(10))
    )


def _garbage(rng: random.Random, _sign: Signer, _honest: Callable[[], bytes]) -> bytes:
    return rng.choice(
        (
            rng.randbytes(rng.choice((1, 100, 70_000))),
            b"\r\n" * 5000,
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(50),
            b"GET /" + b"a" * 200_000,
        )
    )
