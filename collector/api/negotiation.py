"""How a response is given: format, compression, ETag, and who else may read it.

Rule: `format=` decides, else the header Accept, else the first format. The same data have the same
ETag, which `If-None-Match` turns into a 304.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from aiohttp import web

from collector.admin.export_packing import packer
from collector.api.routes import ROUTE

MEDIA: Mapping[str, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "html": "text/html",
    "atom": "application/atom+xml",
}
VARY = "Accept, Accept-Encoding, Authorization"
Coding = Literal["zstd", "gzip"]
# Preferred first.
CODINGS: tuple[Coding, ...] = ("zstd", "gzip")
# Smaller bodies are not compressed; larger ones in a thread.
_SMALL = 2 * 1024
_ELSEWHERE = 64 * 1024
_EXPOSED = "ETag, Link, Content-Range, Content-Length, Accept-Ranges, Retry-After"
_ASKED = "Accept, If-None-Match, If-Range, Range"


def chosen(request: web.Request, asked: str | None, offered: Sequence[str]) -> str:
    """The format of a response: as asked, as accepted, or else the first one."""
    if asked is not None:
        return asked
    best, weight = offered[0], 0.0
    accepted = _weights(request.headers.get("Accept", ""))
    for name in offered:
        q = accepted.get(MEDIA[name], 0.0)
        if q > weight:
            best, weight = name, q
    return best


def coding(request: web.Request) -> Coding | None:
    """The compression that a client wants most; None: none."""
    accepted = _weights(request.headers.get("Accept-Encoding", ""))
    every = accepted.get("*", 0.0)
    found = [(accepted.get(name, every), name) for name in CODINGS]
    q, name = max(found, key=lambda one: (one[0], -CODINGS.index(one[1])))
    return name if q > accepted.get("identity", 0.0) or q >= 1 else None


def _weights(header: str) -> dict[str, float]:
    """The words of a header with their weights (`q=`); what is not understood is left out."""
    found: dict[str, float] = {}
    for part in header.split(",")[:64]:
        word, *rest = (one.strip().lower() for one in part.split(";"))
        if not word:
            continue
        q = next((one[2:] for one in rest if one.startswith("q=")), "1")
        try:
            found[word] = min(1.0, max(0.0, float(q)))
        except ValueError:
            continue
    return found


def tag(body: bytes, media: str) -> str:
    """The ETag of a body; a weak one, because it is the same for every compression."""
    return f'W/"{hashlib.blake2b(body, key=media.encode()[:64], digest_size=12).hexdigest()}"'


def is_known(request: web.Request, etag: str) -> bool:
    """Whether the client has it already (weak comparison, RFC 9110 section 13.1.2)."""
    header = request.headers.get("If-None-Match", "")
    known = {one.strip().removeprefix("W/") for one in header.split(",")}
    return "*" in known or etag.removeprefix("W/") in known


async def give(
    request: web.Request, body: bytes, format_: str, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A body that was made whole, compressed as the client wants, or 304 if it has it already."""
    media = MEDIA[format_]
    etag = tag(body, media)
    said = {"ETag": etag, "Vary": VARY, "Cache-Control": cache_control(request), **(headers or {})}
    if is_known(request, etag):
        return web.Response(status=304, headers=said)
    kind = coding(request) if len(body) >= _SMALL else None
    if kind is not None:
        said["Content-Encoding"] = kind
        small = len(body) < _ELSEWHERE
        body = _packed(body, kind) if small else await asyncio.to_thread(_packed, body, kind)
    charset = "utf-8" if media.startswith("text/") or format_ == "atom" else None
    return web.Response(body=body, content_type=media, charset=charset, headers=said)


def cache_control(request: web.Request) -> str:
    """Others may keep what is public, and ask each time whether it is still that."""
    return "private, no-store" if "Authorization" in request.headers else "public, no-cache"


def _packed(body: bytes, kind: Coding) -> bytes:
    by = packer(kind)
    return by.pack(body) + by.end()


async def add_sharing_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let any web page read what is the same for every reader, but never with a token."""
    route = request.get(ROUTE)
    if route is None or route.access != "open" or "Authorization" in request.headers:
        return
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED


async def preflight(request: web.Request) -> web.Response:
    """What a browser asks before a page may send more than a plain request."""
    del request
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, HEAD",
        "Access-Control-Allow-Headers": _ASKED,
        "Access-Control-Max-Age": "86400",
    }
    return web.Response(status=204, headers=headers)
