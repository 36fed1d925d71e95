"""The export of another collector, line by line over HTTPS."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from collector.lake.pulling import LINE_BYTES
from collector.settings import SettingsError
from probe.api_types import ServiceReply

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# Between two pieces; a whole export may take hours.
_SECONDS = 120.0


class RemoteCollector(NamedTuple):
    """Another collector: its address, its operator's token, and its authority if it is private."""

    url: str
    token: str = ""
    ca_file: Path | None = None


def checked(url: str) -> str:
    """The address without its last slash.

    Raises:
        SettingsError: It is no https address; a token must not cross the network in the clear.
    """
    parts = urlsplit(url)
    clear = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or (parts.scheme != "https" and not clear):
        raise SettingsError(f"pull {url}: https://HOST expected")
    return url.rstrip("/")


class RemoteExport(NamedTuple):
    """The id of the collector, and the lines of its export."""

    origin: str
    lines: AsyncIterator[bytes]


@asynccontextmanager
async def export_of(
    remote: RemoteCollector, params: Mapping[str, str]
) -> AsyncIterator[RemoteExport]:
    """Open the export.

    Raises:
        SettingsError: The collector cannot be reached, or does not give one.
    """
    context = _trusting(remote.ca_file) if remote.ca_file else None
    headers = {"Authorization": f"Bearer {remote.token}"} if remote.token else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30.0, sock_read=_SECONDS)
    connector = aiohttp.TCPConnector(ssl=context) if context else None
    try:
        async with aiohttp.ClientSession(
            timeout=timeout, connector=connector, headers=headers
        ) as session:
            origin = await _origin(session, remote.url)
            where = f"{remote.url}/v1/export"
            async with session.get(where, params=params, allow_redirects=False) as reply:
                if reply.status != 200:
                    raise SettingsError(f"pull {remote.url}: /v1/export answered {reply.status}")
                yield RemoteExport(origin, _lines(reply.content))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise SettingsError(f"pull {remote.url}: {str(error) or type(error).__name__}") from error


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise SettingsError(f"--ca-file {ca_file}: a certificate in PEM expected") from error


async def _origin(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(f"{url}/v1/service", allow_redirects=False) as reply:
        body = await reply.content.read(64 * 1024)
    try:
        found = msgspec.json.decode(body, type=ServiceReply)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"pull {url}: no collector answers there") from error
    if not found.collector_id.isalnum():
        raise SettingsError(f"pull {url}: no collector answers there")
    return found.collector_id


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines; one that is too long is given cut, so that it is refused."""
    rest, skipping = b"", False
    async for piece in content.iter_chunked(256 * 1024):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if not skipping and line.strip():
                yield line[:LINE_BYTES]
            skipping = False
        if len(rest) > LINE_BYTES:
            if not skipping:
                yield rest[:LINE_BYTES]
            rest, skipping = b"", True
    if rest.strip() and not skipping:
        yield rest
