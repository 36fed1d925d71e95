"""The field's servers: a few processes that answer for every address, on one port each kind."""

import asyncio
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from bench.field import plan as plans
from bench.field.answers import Visitor, dns_reply
from bench.field.plan import Field

_BACKLOG = 4096


class Certificates:
    """A TLS context for each name, made when it is first asked for."""

    def __init__(self, plan: Field, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        self._made: dict[str, ssl.SSLContext] = {}
        self.front = self._make("nobody.invalid", h2=True)
        self.front.sni_callback = self._choose

    def _choose(self, talk: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: object) -> None:
        known = self._name(name)
        if known not in self._made:
            site = self._plan.by_name.get(known)
            self._made[known] = self._make(known, h2=site is None or site.h2)
        talk.context = self._made[known]
        talk.offered = name  # type: ignore[union-attr]

    def _name(self, name: str | None) -> str:
        site = self._plan.by_name.get(name or "")
        if site is not None:
            return site.name
        return name if name in plans.PUBLIC_RESOLVERS.values() and name else "nobody.invalid"

    def _make(self, name: str, *, h2: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{name}.pem")
        context.set_alpn_protocols(["h2", "http/1.1"] if h2 else ["http/1.1"])
        context.num_tickets = 2
        return context


class Door(asyncio.Protocol):
    """One connection."""

    def __init__(self, plan: Field, *, secure: bool) -> None:
        self._plan, self._secure = plan, secure

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        talk = transport.get_extra_info("ssl_object")
        name = getattr(talk, "offered", None)
        h2 = talk is not None and talk.selected_alpn_protocol() == "h2"
        if name is not None and name not in self._plan.by_name:
            name = name if name in plans.PUBLIC_RESOLVERS.values() else None
        address = transport.get_extra_info("sockname")[0]
        self._visitor = Visitor(self._plan, name, address=address, secure=self._secure, h2=h2)

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._visitor.feed(data))
        if self._visitor.finished:
            self._transport.close()


class Asked(asyncio.DatagramProtocol):
    """Questions by UDP."""

    def __init__(self, plan: Field) -> None:
        self._plan = plan

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = dns_reply(self._plan, data)
        if reply is not None:
            self._transport.sendto(reply, addr)


def start(plan: Field, folder: Path, *, processes: int) -> None:
    """Fork the servers; gives back when they listen."""
    ready, done = os.pipe()
    for _ in range(processes):
        if os.fork() == 0:
            try:
                asyncio.run(_serve(plan, folder, done))
            finally:
                os._exit(1)
    for _ in range(processes):
        if os.read(ready, 1) != b"r":
            raise OSError("a server of the field did not start")


async def _serve(plan: Field, folder: Path, done: int) -> None:
    loop = asyncio.get_running_loop()
    contexts = Certificates(plan, folder)
    await loop.create_server(
        lambda: Door(plan, secure=True), "0.0.0.0", 443, ssl=contexts.front,
        reuse_port=True, backlog=_BACKLOG, ssl_shutdown_timeout=15,
    )  # fmt: skip
    await loop.create_server(
        lambda: Door(plan, secure=False), "0.0.0.0", 80, reuse_port=True, backlog=_BACKLOG
    )
    for address in (plans.SYSTEM_RESOLVER, *plans.PUBLIC_RESOLVERS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.settimeout(0)
        sock.bind((address, 53))
        await loop.create_datagram_endpoint(lambda: Asked(plan), sock=sock)
    os.write(done, b"r")
    await asyncio.Event().wait()
