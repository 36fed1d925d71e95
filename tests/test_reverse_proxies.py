"""The reverse proxies as packaged: started for real before a real collector, attacked, then read.

A volunteer's address must not be in any byte that a proxy or the collector writes.
"""

import asyncio
import contextlib
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from probe import codec
from probe.api_types import BatchReply
from probe.lab import pki
from tests.collector.harness import CollectorHarness, SigningClient, collector, record

PACKAGED = Path(__file__).parents[1] / "packaging" / "proxy"
# Not the address that the proxy and the collector use between themselves.
VOLUNTEER = "127.83.91.7"
NAME = "collector.example"


@dataclass(frozen=True)
class Proxy:
    """A running reverse proxy."""

    port: int
    folder: Path
    context: ssl.SSLContext

    def connector(self) -> aiohttp.TCPConnector:
        """Connections from the volunteer's address."""
        return aiohttp.TCPConnector(ssl=self.context, local_addr=(VOLUNTEER, 0))

    def written(self) -> Iterator[tuple[Path, bytes]]:
        """Every file that it wrote."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield path, path.read_bytes()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """The command for the packaged nginx.conf with the paths and ports of this test."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    text = (PACKAGED / "nginx.conf").read_text()
    changes = {
        "user www-data;\n": "daemon off;\n",
        "pid /run/nginx.pid;": f"pid {folder}/nginx.pid;",
        "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "        listen [::]:443 ssl http2;\n": "",
        "/etc/ssl/collector/": f"{folder}/",
        "http {\n": "http {\n"
        + "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
    }
    (folder / "nginx.conf").write_text(_replaced(text, changes))
    return [program, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    """The command for the packaged Caddyfile with the paths and ports of this test."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not installed")
    text = (PACKAGED / "Caddyfile").read_text()
    changes = {
        "admin off\n": "admin off\n\tauto_https disable_redirects\n",
        "127.0.0.1:8080": f"127.0.0.1:{upstream}",
        f"\n{NAME} {{\n": f"\nhttps://{NAME}:{port} {{\n\tbind 127.0.0.1\n"
        f"\ttls {folder}/fullchain.pem {folder}/privkey.pem\n",
    }
    (folder / "Caddyfile").write_text(_replaced(text, changes))
    return [program, "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


def _replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextmanager
def started(
    command: Callable[[Path, int, int], list[str]], folder: Path, upstream: int
) -> Iterator[Proxy]:
    """A proxy that runs until the context ends; everything that it prints is in its folder."""
    now = datetime.now(UTC)
    authority = pki.root("CN=Lab Root,O=Lab", now=now)
    issued = pki.leaf(authority, [NAME], now=now)
    (folder / "fullchain.pem").write_bytes(issued.chain)
    (folder / "privkey.pem").write_bytes(issued.key)
    port = free_port()
    words = command(folder, port, upstream)
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    context = ssl.create_default_context(cadata=authority.pem.decode())
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            words, cwd=folder, stdout=printed, stderr=printed, env={**os.environ, **home}
        )
        try:
            _wait_for(process, port, folder)
            yield Proxy(port, folder, context)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "printed").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError((folder / "printed").read_text())


class ProxiedHarness(CollectorHarness):
    """The same collector, reached through the proxy."""

    def __init__(
        self, inner: CollectorHarness, proxy: Proxy, session: aiohttp.ClientSession
    ) -> None:
        super().__init__(inner.running, session)
        self.url = f"https://{NAME}:{proxy.port}"


class OneAddress(aiohttp.abc.AbstractResolver):
    """Resolves every name to loopback."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


async def check_proxy(command: Callable[[Path, int, int], list[str]], folder: Path) -> None:
    proxies = (ipaddress.ip_network("127.0.0.1/32"),)
    (folder / "collector").mkdir()
    (folder / "proxy").mkdir()
    async with collector(folder / "collector", proxies=proxies) as inner:
        upstream = int(inner.url.rpartition(":")[2])
        with started(command, folder / "proxy", upstream) as proxy:
            await ordinary_use(inner, proxy)
            await misuse(proxy)
    for path, text in proxy.written():
        assert VOLUNTEER.encode() not in text, path
    for path in (folder / "collector").rglob("*"):
        assert not path.is_file() or VOLUNTEER.encode() not in path.read_bytes(), path


async def ordinary_use(inner: CollectorHarness, proxy: Proxy) -> None:
    connector = aiohttp.TCPConnector(
        ssl=proxy.context, local_addr=(VOLUNTEER, 0), resolver=OneAddress()
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        outer = ProxiedHarness(inner, proxy, session)
        client = SigningClient(outer)
        assert (await client.enrol()).status == 200
        body = codec.pack(map(codec.encode, [record(), record()]))
        stored = await client.post(body)
        assert stored.status == 200, stored.body
        assert stored.read(BatchReply).stored == 2
        assert (await outer.ask("GET", "/")).status == 200
        # Metrics are the operator's.
        assert (await outer.ask("GET", "/metrics")).status == 404
        large = await outer.ask("POST", "/v1/measurements", b"x" * (17 * 1024 * 1024))
        # Caddy passes the headers on first, and the collector refuses the type.
        assert large.status in {413, 415}
        # A client does not choose its address.
        forged = await outer.ask("GET", "/v1/service", headers={"X-Forwarded-For": "203.0.113.9"})
        assert forged.status == 200


async def misuse(proxy: Proxy) -> None:
    """Requests that make a proxy write to its error log."""
    for sent in (b"\x16\x03\x01\x00\x05garbage", b"GET / HTTP/1.1\r\n\r\n", b""):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", proxy.port, local_addr=(VOLUNTEER, 0)
        )
        writer.write(sent)
        with contextlib.suppress(OSError):
            await writer.drain()
            await asyncio.wait_for(reader.read(), 3)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("command", [nginx, caddy])
def test_a_proxy_passes_uploads_on_and_keeps_no_address(
    command: Callable[[Path, int, int], list[str]], tmp_path: Path
) -> None:
    asyncio.run(check_proxy(command, tmp_path))
