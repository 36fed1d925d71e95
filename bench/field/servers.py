"""The field's servers: a few processes that serve every address."""

import asyncio
import os
import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

from bench.field import plan as plans
from bench.field.answers import HttpResponder, dns_reply
from bench.field.plan import Field

_BACKLOG = 4096
# Seconds that an answer of a slow resolver takes, and between the parts of an endless page.
_SLOW, _ENDLESS = 2.0, 0.1


class Certificates:
    """A TLS context for each name, made when it is first asked for."""

    def __init__(self, plan: Field, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        self._made: dict[str, ssl.SSLContext] = {}
        self.default = self._make("nobody.invalid", h2=True)
        self.default.sni_callback = self._choose

    def _choose(self, tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: object) -> None:
        known = self._name(name)
        if known not in self._made:
            site = self._plan.by_name.get(known)
            closing = site is None and self._plan.spec.resolvers == "closing"
            h2 = not closing if site is None else site.h2
            self._made[known] = self._make(known, h2=h2)
        tls.context = self._made[known]
        tls.offered = name  # type: ignore[union-attr]

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


class HttpServer(asyncio.Protocol):
    """Serves one HTTP connection."""

    def __init__(self, plan: Field, *, secure: bool) -> None:
        self._plan, self._secure = plan, secure

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        tls = transport.get_extra_info("ssl_object")
        name = getattr(tls, "offered", None)
        h2 = tls is not None and tls.selected_alpn_protocol() == "h2"
        if name is not None and name not in self._plan.by_name:
            name = name if name in plans.PUBLIC_RESOLVERS.values() else None
        address = transport.get_extra_info("sockname")[0]
        self._responder = HttpResponder(
            self._plan, name, address=address, secure=self._secure, h2=h2
        )

    def data_received(self, data: bytes) -> None:
        answer = self._responder.feed(data)
        if self._responder.is_resolver and self._plan.spec.resolvers == "slow":
            asyncio.get_running_loop().call_later(_SLOW, self._transport.write, answer)
            return
        dripping = self._responder.dripping
        if dripping is not None and answer:
            at = 1 if dripping == "header" else answer.index(b"\r\n\r\n") + 4
            self._transport.write(answer[:at])
            self._drip(answer[at:], endless=dripping == "endless")
            return
        self._transport.write(answer)
        if self._responder.finished:
            self._transport.close()

    def _drip(self, rest: bytes, *, endless: bool) -> None:
        """Send a byte a second, or for ever what there is."""
        if self._transport.is_closing() or not rest:
            self._transport.close()
            return
        self._transport.write(rest if endless else rest[:1])
        after = _ENDLESS if endless else 1.0
        again = partial(self._drip, rest if endless else rest[1:], endless=endless)
        asyncio.get_running_loop().call_later(after, again)


class DnsServer(asyncio.DatagramProtocol):
    """Answers DNS queries over UDP."""

    def __init__(self, plan: Field, *, honest: bool) -> None:
        self._plan, self._honest = plan, honest

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = dns_reply(self._plan, data, honest=self._honest)
        if reply is not None:
            self._transport.sendto(reply, addr)


def start(plan: Field, folder: Path, *, processes: int) -> None:
    """Fork the servers; return when they listen."""
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
        lambda: HttpServer(plan, secure=True), "0.0.0.0", 443, ssl=contexts.default,
        reuse_port=True, backlog=_BACKLOG, ssl_shutdown_timeout=15,
    )  # fmt: skip
    await loop.create_server(
        lambda: HttpServer(plan, secure=False), "0.0.0.0", 80, reuse_port=True, backlog=_BACKLOG
    )
    for address in (plans.SYSTEM_RESOLVER, *plans.PUBLIC_RESOLVERS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.settimeout(0)
        sock.bind((address, 53))
        honest = address != plans.SYSTEM_RESOLVER
        await loop.create_datagram_endpoint(partial(DnsServer, plan, honest=honest), sock=sock)
    os.write(done, b"r")
    await asyncio.Event().wait()
