"""Fetch a target list that was named by a URL: over trusted https, small, and following nothing.

The same trust holds as for a collector (`endpoint.py`): Mozilla's roots, or a laboratory's.
"""

import http.client
from pathlib import Path

from probe.client import endpoint
from probe.errors import UserError

LIMIT = 8 * 1024 * 1024
_SECONDS = 20.0


def fetch_list(url: str, *, lab: bool, ca_file: Path | None) -> str:
    """The text of a list, or `UserError` in one line."""
    try:
        place = endpoint.parse(url.partition("?")[0], lab=lab, ca_file=ca_file)
    except endpoint.EndpointError as error:
        raise UserError(str(error)) from error
    path = (place.prefix or "/") + (f"?{url.partition('?')[2]}" if "?" in url else "")
    link = _link(place)
    try:
        link.request("GET", path, headers={"Accept": "text/csv, text/plain, application/toml"})
        reply = link.getresponse()
        body = reply.read(LIMIT + 1)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"{url}: cannot be fetched ({_why(error)})") from error
    finally:
        link.close()
    if reply.status != http.client.OK:
        raise UserError(f"{url}: answered {reply.status}; expected 200 and a list")
    if len(body) > LIMIT:
        raise UserError(f"{url}: more than {LIMIT} bytes; that is no target list")
    return body.decode("utf-8", "replace")


def _link(place: endpoint.CollectorEndpoint) -> http.client.HTTPConnection:
    if place.scheme == "http":
        return http.client.HTTPConnection(place.host, place.port, timeout=_SECONDS)
    context = endpoint.context(place)
    return http.client.HTTPSConnection(place.host, place.port, timeout=_SECONDS, context=context)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
