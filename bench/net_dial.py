"""The cost of one dial: handshakes per second and processor time per dial, on loopback.

    python bench/net_dial.py [--dials 2000] [--at-once 64]

The server runs in a process of its own, so that the processor time is the probe's alone.
"""

import argparse
import asyncio
import multiprocessing
import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, process_time

sys.path.insert(0, str(Path(__file__).parent.parent))

from probe.experiments.operations import HttpRequest, TcpConnect, TlsHandshake
from probe.net.session import NetSession, SessionSettings
from probe.net.target_net import SocketNet
from tests.probe.net.servers import Authority

NAME = "site.example"
BODY = b"<html><title>Bench</title>" + b"<p>some words of a page to read</p>" * 1000
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY
Ask = Callable[[SocketNet, int], Awaitable[object]]


def serve(pem: str, ports: Connection) -> None:
    """Answer TLS and plain HTTP until killed."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(PAGE)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    async def both() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        secure = await asyncio.start_server(page, "127.0.0.1", 0, ssl=context, backlog=512)
        plain = await asyncio.start_server(page, "127.0.0.1", 0, backlog=512)
        ports.send([server.sockets[0].getsockname()[1] for server in (secure, plain)])
        await asyncio.Event().wait()

    asyncio.run(both())


async def time_dials(settings: SessionSettings, ask: Ask, dials: int, at_once: int) -> str:
    """Run this many dials, `at_once` of them at a time."""
    async with NetSession(settings) as session:
        turns = asyncio.Semaphore(at_once)
        net = session.net(monotonic())

        async def one(number: int) -> None:
            async with turns:
                await ask(net, number)

        await one(0)
        begun, spent = monotonic(), process_time()
        await asyncio.gather(*(one(number) for number in range(dials)))
        took, spent = monotonic() - begun, process_time() - spent
    return f"{dials / took:8.0f}/s   {1000 * spent / dials:6.2f} ms of processor each"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dials", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority()
        pem = Path(folder) / "leaf.pem"
        pem.write_bytes(authority.leaf(NAME).pem)
        receiver, sender = multiprocessing.Pipe()
        server = multiprocessing.Process(target=serve, args=(str(pem), sender), daemon=True)
        server.start()
        secure, plain = receiver.recv()
        settings = SessionSettings(
            lab=True,
            ca_file=authority.write(Path(folder)),
            resolver=("127.0.0.1", 1),
            per_address=options.at_once,
            per_address_spacing=0.0,
            ipv6=False,
        )
        kinds: dict[str, Ask] = {
            "tcp": lambda net, _: net.tcp(TcpConnect("127.0.0.1", plain)),
            "tls": lambda net, _: net.tls(TlsHandshake("127.0.0.1", secure, NAME)),
            "http": lambda net, _: net.http(HttpRequest(f"http://{NAME}:{plain}/", "127.0.0.1")),
            "https": lambda net, _: net.http(HttpRequest(f"https://{NAME}:{secure}/", "127.0.0.1")),
        }
        for kind, ask in kinds.items():
            line = asyncio.run(time_dials(settings, ask, options.dials, options.at_once))
            print(f"{kind:6}{line}")
        server.terminate()


if __name__ == "__main__":
    main()
