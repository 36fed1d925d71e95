"""Download a target list from a URL: https only, bounded in size, no redirects.

The server is authenticated like a collector (`endpoint.py`): Mozilla's roots, or a laboratory's.
"""

import http.client
from pathlib import Path

from probe.client import endpoint
from probe.errors import UserError

LIMIT = 8 * 1024 * 1024
_SECONDS = 20.0


def fetch_list(url: str, *, lab: bool, ca_file: Path | None) -> str:
    """Return the text of a list, or raise `UserError`."""
    try:
        server = endpoint.parse(url.partition("?")[0], lab=lab, ca_file=ca_file)
    except endpoint.EndpointError as error:
        raise UserError(str(error)) from error
    path = (server.prefix or "/") + (f"?{url.partition('?')[2]}" if "?" in url else "")
    if server.scheme == "http":
        link = http.client.HTTPConnection(server.host, server.port, timeout=_SECONDS)
    else:
        link = http.client.HTTPSConnection(
            server.host, server.port, timeout=_SECONDS, context=endpoint.tls_context(server)
        )
    try:
        link.request("GET", path, headers={"Accept": "text/csv, text/plain, application/toml"})
        reply = link.getresponse()
        body = reply.read(LIMIT + 1)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(f"{url}: cannot be fetched ({reason})") from error
    finally:
        link.close()
    if reply.status != http.client.OK:
        raise UserError(f"{url}: HTTP status {reply.status}; expected 200 and a list")
    if len(body) > LIMIT:
        raise UserError(f"{url}: larger than {LIMIT} bytes; not a target list")
    return body.decode("utf-8", "replace")
