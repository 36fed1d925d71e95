"""A network that is a dict: it answers from tables and records what it was asked."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from probe.compare import host_of
from probe.experiments.interface import Resolver
from probe.experiments.operations import DnsQuery, HttpRequest, TcpConnect, TlsHandshake
from probe.failure import Failure
from probe.model import Dns, Http, Reply, Steps, Tcp, Tls, Trust

T = TypeVar("T")

SYSTEM = Resolver("system", "192.0.2.53")
PLAIN = Resolver("8.8.8.8", "8.8.8.8")
ENCRYPTED = Resolver("1.1.1.1", "1.1.1.1", 443, "doh", "one.one.one.one")

VALID = Trust(valid=True, anchored=True, named=True, issuer_key="root", leaf_key="leaf")


@dataclass
class FakeNet:
    """Answers from tables, whose values are a failure or the content of the step.

    Attributes:
        names: (resolver label, name) -> addresses, or a failure.
        handshakes: (address, sni) -> a failure, a trust, or nothing for a valid one.
        pages: (address, url, host) -> a page's fields, or a failure; absent means a plain 200.
        dead: Addresses that do not answer.
    """

    names: dict[tuple[str, str], tuple[str, ...] | Failure] = field(default_factory=dict)
    handshakes: dict[tuple[str, str | None], Failure | Trust] = field(default_factory=dict)
    pages: dict[tuple[str, str, str], dict[str, object] | Failure] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    resolvers: Sequence[Resolver] = (SYSTEM, PLAIN, ENCRYPTED)
    ipv6: bool = False
    asked: list[str] = field(default_factory=list)
    clock: float = 0.0
    before_each: Callable[[str], None] | None = None

    def _tick(self, what: str) -> float:
        self.asked.append(what)
        if self.before_each is not None:
            self.before_each(what)
        self.clock += 0.1
        return self.clock

    async def dns(self, query: DnsQuery) -> Dns:
        resolver, name = query.resolver, query.name
        at = self._tick(f"dns {resolver.label} {name}")
        answer = self.names.get((resolver.label, name), Failure.DNS_NXDOMAIN)
        step = Dns(
            name=name, resolver=resolver.label, transport=resolver.transport, type=query.type, at=at
        )
        if isinstance(answer, Failure):
            silent = answer is Failure.TIMEOUT
            return replace(
                step, failure=answer, replies=() if silent else (Reply(at=0.01, rcode=3),)
            )
        return replace(step, replies=(Reply(at=0.01, rcode=0, answers=answer),))

    async def tcp(self, connect: TcpConnect) -> Tcp:
        address, port = connect.address, connect.port
        at = self._tick(f"tcp {address}:{port}")
        failure = Failure.TIMEOUT if address in self.dead else None
        return Tcp(address=address, port=port, failure=failure, at=at, elapsed=0.05)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        address, port, sni = handshake.address, handshake.port, handshake.sni
        tcp = await self.tcp(TcpConnect(address, port))
        if tcp.failure is not None:
            return tcp, None
        at = self._tick(f"tls {address} {sni}")
        answer = self.handshakes.get((address, sni), VALID)
        step = Tls(address=address, port=port, sni=sni, hello=handshake.hello, bytes_out=517, at=at)
        if isinstance(answer, Failure):
            return tcp, replace(step, failure=answer)
        return tcp, replace(step, bytes_in=3000, trust=answer)

    async def http(self, request: HttpRequest) -> Steps:
        url, address = request.url, request.address
        own = request.host or host_of(url)
        secure = url.startswith("https:")
        if secure:
            tcp, tls = await self.tls(TlsHandshake(address, 443, request.sni or own))
            tcp = replace(tcp, segment_limit=request.segment_limit)
            if tls is None:
                return (tcp,)
            if tls.failure is not None:
                return (tcp, tls)
            before: Steps = (tcp, tls)
            proven = tls.trust is not None and tls.trust.valid
        else:
            connected = await self.tcp(TcpConnect(address, 80))
            if connected.failure is not None:
                return (connected,)
            before, proven = (connected,), False
        page = self._page(url, address, own, proven=proven)
        return (*before, replace(page, limit=request.limit or 0.0))

    def _page(self, url: str, address: str, host: str, *, proven: bool) -> Http:
        at = self._tick(f"http {address} {host} {url}")
        port = 443 if url.startswith("https:") else 80
        answer = self.pages.get((address, url, host), {})
        step = Http(url=url, address=address, port=port, host=host, proven=proven, at=at)
        if isinstance(answer, Failure):
            return replace(step, failure=answer)
        fine = {
            "status": 200,
            "title": "The site",
            "received_bytes": 900,
            "bytes_in": 900,
            "complete": True,
        }
        return replace(step, **{**fine, **answer})

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        return [await ask for ask in asks]

    async def pause(self, seconds: float) -> None:
        self.clock += seconds

    def safe(self, address: str) -> bool:
        return not address.startswith("10.")
