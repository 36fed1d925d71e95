"""Fake services that the peer uses before and while it measures.

They are a list of test helpers, STUN servers, and public resolvers that the lab lacks; the latter
forward every query to one of the lab's resolvers.

    python -m bench.peers.fakes HELPER-URL RESOLVER…
"""

import asyncio
import json
import subprocess
import sys
from ipaddress import IPv4Address
from typing import Any

ADDRESS = "45.130.254.20"
API_PORT = 8081
# STUN servers (RFC 8489); `ABSENT` are two HTTPS services for the same purpose.
STUN_SERVERS = {"stun.ekiga.net": 3478, "stun.l.google.com": 19302}
ABSENT = ("www.cloudflare.com", "geoip.ubuntu.com")
RESOLVER = "8.8.8.8"  # answers for all others
RESOLVERS = (
    "8.8.8.8",
    "8.8.4.4",
    "9.9.9.9",
    "149.112.112.112",
    "1.1.1.1",
    "1.0.0.1",
    "208.67.222.222",
    "208.67.220.220",
)
_TIMEOUT = 10.0
_COOKIE = 0x2112A442


def mapped(request: bytes, peer: tuple[str, int]) -> bytes:
    """The response to a STUN binding request: the XOR-mapped address of the client."""
    cookie = _COOKIE.to_bytes(4, "big")
    port = peer[1] ^ _COOKIE >> 16
    address = int(IPv4Address(peer[0])) ^ _COOKIE
    value = b"\0\1" + port.to_bytes(2, "big") + address.to_bytes(4, "big")
    return b"\1\1\0\x0c" + cookie + request[8:20] + b"\0\x20\0\x08" + value


class StunServer(asyncio.DatagramProtocol):
    """A STUN server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(mapped(data, addr), addr)


class Forwarder(asyncio.DatagramProtocol):
    """One resolver: forwards queries to `RESOLVER`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._asking: set[asyncio.Task[None]] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._ask(data, addr))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, data: bytes, addr: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[bytes] = loop.create_future()
        link, _ = await loop.create_datagram_endpoint(
            lambda: _Once(reply), remote_addr=(RESOLVER, 53)
        )
        try:
            link.sendto(data)
            self._transport.sendto(await asyncio.wait_for(reply, _TIMEOUT), addr)
        except TimeoutError:
            pass  # no answer from the resolver: give none
        finally:
            link.close()


class _Once(asyncio.DatagramProtocol):
    def __init__(self, reply: "asyncio.Future[bytes]") -> None:
        self._reply = reply

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        if not self._reply.done():
            self._reply.set_result(data)


async def serve(helper: str, resolvers: list[str]) -> None:
    """Answer until killed."""
    loop = asyncio.get_running_loop()
    body = json.dumps({"web-connectivity": [{"address": helper, "type": "https"}]}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"

    async def helpers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    await asyncio.start_server(helpers, ADDRESS, API_PORT)
    for port in STUN_SERVERS.values():
        await loop.create_datagram_endpoint(StunServer, local_addr=(ADDRESS, port))
    for one in resolvers:
        await loop.create_datagram_endpoint(Forwarder, local_addr=(one, 53))
    print("ready", flush=True)
    await asyncio.Event().wait()


def main(helper: str, *resolvers: str) -> None:
    for one in resolvers:
        subprocess.run(["ip", "route", "add", "local", f"{one}/32", "dev", "lo"], check=True)
    asyncio.run(serve(helper, list(resolvers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
