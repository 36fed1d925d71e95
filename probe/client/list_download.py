"""Download a target list from a URL: https only, bounded in size and time, no redirects.

The server is authenticated like a collector (`endpoint.py`): Mozilla's roots, or a laboratory's.
"""

import errno
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.client import endpoint
from probe.errors import UserError
from probe.i18n import _

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

LIMIT = 8 * 1024 * 1024
SECONDS = 20.0
_PART = 64 * 1024
_OK, _NOT_MODIFIED = 200, 304


class Download(Struct, frozen=True):
    """A downloaded list; `body` is None if the version that was named is still current."""

    body: bytes | None
    etag: str | None = None


def fetch_list(
    url: str,
    *,
    lab: bool,
    ca_file: Path | None,
    etag: str | None = None,
    seconds: float = SECONDS,
    pin: str | None = None,
) -> Download:
    """Return a list unless it still has this ETag, or raise `UserError`."""
    import http.client  # only a run whose list is due fetches one

    deadline = time.monotonic() + seconds
    try:
        server = endpoint.parse(url.partition("?")[0], pin=pin, lab=lab, ca_file=ca_file)
    except endpoint.EndpointError as error:
        raise UserError(str(error)) from error
    path = (server.prefix or "/") + (f"?{url.partition('?')[2]}" if "?" in url else "")
    if server.scheme == "http":
        link = http.client.HTTPConnection(server.host, server.port, timeout=seconds)
    else:
        context = endpoint.tls_context(server)
        link = http.client.HTTPSConnection(
            server.host, server.port, timeout=seconds, context=context
        )
    try:
        return _fetch(link, path, etag, deadline)
    except UserError as error:
        raise UserError(f"{url}: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = _(getattr(error, "strerror", None) or type(error).__name__)
        message = _("{url}: cannot be fetched ({reason})")
        raise UserError(message.format(url=url, reason=reason)) from error
    finally:
        link.close()


def _fetch(link: "HTTPConnection", path: str, etag: str | None, deadline: float) -> Download:
    headers = {"Accept": "text/csv, text/plain, application/toml", "User-Agent": "qazprobe"}
    if etag is not None:
        headers["If-None-Match"] = etag
    link.request("GET", path, headers=headers)
    with closing(link.getresponse()) as reply:
        if etag is not None and reply.status == _NOT_MODIFIED:
            return Download(None, etag)
        if reply.status != _OK:
            message = _("HTTP status {status}; expected 200 and a list")
            raise UserError(message.format(status=reply.status))
        return Download(_body(reply, deadline), _usable(reply.getheader("ETag")))


def _body(reply: "HTTPResponse", deadline: float) -> bytes:
    """Read in parts: a server that sends a byte now and then must not hold up a run."""
    body = bytearray()
    while part := reply.read1(_PART):
        body += part
        if len(body) > LIMIT:
            message = _("larger than {limit} bytes; not a target list")
            raise UserError(message.format(limit=LIMIT))
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "timed out")
    return bytes(body)


def _usable(etag: str | None) -> str | None:
    """An ETag that may be sent back in a header."""
    fits = etag is not None and len(etag) <= 200 and etag.isascii() and etag.isprintable()
    return etag if fits else None
