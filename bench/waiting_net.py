"""A network of which only the time that operations take is simulated."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeVar

from msgspec.structs import replace

from bench.field.plan import EVERY_KIND, MISBEHAVING, Behaviour
from probe.experiments.interface import Resolver
from probe.experiments.operations import (
    DnsQuery,
    HttpRequest,
    QuicHandshake,
    TcpConnect,
    TlsHandshake,
    TransferRequest,
)
from probe.failure import Failure
from probe.model import Dns, Http, Quic, Reply, Steps, Tcp, Tls, Transfer, Trust
from probe.net.concurrency import AdaptiveConcurrency
from probe.net.rate_limit import RateLimiter
from probe.net.resolver_pool import ResolverPool
from probe.net.resolver_retries import ResolverRetries
from probe.net.target_net import await_all
from probe.ordering import host_of, keyed

T = TypeVar("T")

ROUND_TRIP = 0.1
# Limits and waits as `net/timeouts.py` has them on this line.
LISTENING, DNS_LIMIT, SECURE_LIMIT = 0.3, 2.8, 4.05
TCP_LIMIT, TLS_LIMIT, IDLE_LIMIT, TOTAL = 3.65, 2.15, 5.15, 20.0
_SINGLE_USE = 8
_SLOW = 2.0
_LEFT = "9.9.9.9"
_SYSTEM = Resolver("system", "192.0.2.53")
_PUBLIC = tuple(
    [Resolver(one, one) for one in ("8.8.8.8", "1.1.1.1", "9.9.9.9", "77.88.8.8")]
    + [Resolver(one, one, 443, "doh", one) for one in ("8.8.8.8", "1.1.1.1", "9.9.9.9")]
)
_VALID = Trust(valid=True, anchored=True, named=True, issuer_key="root", leaf_key="leaf")

KINDS: Mapping[str, tuple[tuple[Behaviour, int], ...]] = {
    "none": (),
    "usual": MISBEHAVING,
    "every": EVERY_KIND,
}


@dataclass(frozen=True, slots=True)
class Line:
    """How anchors and public resolvers behave; `fields` of `bench/field/plan.py`."""

    resolvers: Literal["works", "silent", "closing", "refusing", "slow", "one"] = "works"
    anchors: Literal["works", "silent", "missing"] = "works"


LINES: Mapping[str, Line] = {
    "works": Line(),
    "anchors": Line(anchors="silent"),
    "missing": Line(anchors="missing"),
    "silent": Line(resolvers="silent"),
    "closing": Line(resolvers="closing"),
    "refusing": Line(resolvers="refusing"),
    "slow": Line(resolvers="slow"),
    "one": Line(resolvers="one"),
}


def kinds_of(name: str, sites: int) -> Sequence[tuple[Behaviour, int]]:
    """How many sites do what; `shut`: the ClientHellos of three tenths are dropped."""
    return (("shut", sites * 3 // 10),) if name == "shut" else KINDS[name]


def sites_of(kinds: Sequence[tuple[Behaviour, int]], number: int) -> tuple[str, ...]:
    """So many hosts; the first ones misbehave as their names say."""
    bad = [kind for kind, count in kinds for _ in range(count)]
    return tuple(
        f"site{n:04}-{bad[n]}.example" if n < len(bad) else f"site{n:04}.example"
        for n in range(number)
    )


def kind_of(host: str) -> str:
    """What a host does, after the hyphen of its name."""
    return host.partition("-")[2].partition(".")[0]


def _address(host: str) -> str:
    number = keyed(0, host)
    return f"93.{184 + number % 60}.{number // 60 % 250}.{1 + number // 15_000 % 250}"


class SimulatedSession:
    """The session of one run.

    Attributes:
        asked: How many queries each kind of resolver got, and connections.
    """

    def __init__(self, line: Line, hosts: Sequence[str]) -> None:
        self.line, self.hosts = line, hosts
        self.asked: Counter[str] = Counter()
        self.by_address = {_address(host): host for host in hosts}
        self.bytes_in = self.bytes_out = 0
        self.roots = "simulated"
        self.pool = ResolverPool((("192.0.2.53", 53),), _PUBLIC)
        self.retries = ResolverRetries(self.pool)
        self.limiter = RateLimiter(AdaptiveConcurrency(64), each=4, each_spacing=0.01)
        self.apart = RateLimiter(AdaptiveConcurrency(64, first=16), each=4, each_spacing=0.01)
        self.turns = {one: asyncio.Semaphore(_SINGLE_USE) for one in _PUBLIC}

    @property
    def resolvers_dead(self) -> tuple[str, ...]:
        return self.pool.dead

    def net(self, origin: float) -> "SimulatedNet":
        return SimulatedNet(self, origin, self.limiter)

    def reference_net(self, origin: float) -> "SimulatedNet":
        return SimulatedNet(self, origin, self.apart)

    def query_time(self, resolver: Resolver) -> tuple[float, Failure | None]:
        """Seconds until this resolver answers or fails, and how."""
        encrypted = resolver.transport != "udp"
        silent = (SECURE_LIMIT if encrypted else DNS_LIMIT), Failure.TIMEOUT
        if self.line.resolvers == "one" and resolver.label != "system":
            return (ROUND_TRIP, None) if encrypted and resolver.label == _LEFT else silent
        ways: Mapping[str, tuple[float, Failure | None]] = {
            "silent": silent,
            "refusing": (ROUND_TRIP, Failure.REFUSED),
            "closing": (4 * ROUND_TRIP, None),
            "slow": (_SLOW + ROUND_TRIP, None),
        }
        usual = ROUND_TRIP, None
        return ways.get(self.line.resolvers, usual) if encrypted else usual


class SimulatedNet:
    """The net of one target."""

    def __init__(self, session: SimulatedSession, origin: float, limiter: RateLimiter) -> None:
        self.session, self.origin, self.limiter = session, origin, limiter
        self.certs: dict[str, bytes] = {}
        self.ipv6 = False

    @property
    def resolvers(self) -> Sequence[Resolver]:
        return self.session.pool.resolvers

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self.origin

    # --- names -----------------------------------------------------------------------------------

    async def dns(self, query: DnsQuery) -> Dns:
        step, whole = await self.early_dns(query)
        del step
        return await whole

    async def early_dns(self, query: DnsQuery) -> tuple[Dns, Awaitable[Dns]]:
        resolver, session = query.resolver, self.session
        step = await self._ask(query)
        session.pool.note(resolver, answered=bool(step.replies))

        async def again() -> bool:
            return bool((await self._ask(query)).replies)

        session.retries.follow(resolver, again)

        async def whole() -> Dns:
            if resolver.transport == "udp" and step.replies:
                await asyncio.sleep(LISTENING)
            return step

        return step, whole()

    async def _ask(self, query: DnsQuery) -> Dns:
        resolver, session = query.resolver, self.session
        session.asked[f"to {'system' if resolver.label == 'system' else resolver.transport}"] += 1
        seconds, failure = session.query_time(resolver)
        if session.line.resolvers == "closing" and resolver.transport == "doh":
            async with session.turns[resolver]:
                at = self._now()
                await asyncio.sleep(seconds)
        else:
            at = self._now()
            await asyncio.sleep(min(seconds, query.limit or seconds))
        step = Dns(
            name=query.name, type=query.type, resolver=resolver.label, transport=resolver.transport,
            at=at, elapsed=seconds, failure=failure,
        )  # fmt: skip
        if failure is not None:
            return step
        if self._denied(query.name, resolver):
            reply = Reply(at=seconds, rcode=3)
            return replace(step, replies=(reply,), failure=Failure.DNS_NXDOMAIN)
        reply = Reply(at=seconds, rcode=0, answers=(_address(query.name),))
        return replace(step, replies=(reply,))

    def _denied(self, name: str, resolver: Resolver) -> bool:
        missing = self.session.line.anchors == "missing" and "anchor" in name
        own = kind_of(name) == "denied" and resolver.label == "system"
        return missing or own or name.endswith(".com")

    # --- connections -----------------------------------------------------------------------------

    async def tcp(self, connect: TcpConnect) -> Tcp:
        async with self.limiter.enter(connect.address):
            return await self._connect(connect.address, connect.port, connect.limit)

    async def _connect(self, address: str, port: int, limit: float | None) -> Tcp:
        self.session.asked["connections"] += 1
        host = self.session.by_address.get(address, "")
        silent = kind_of(host) == "dead" or (not host and self.session.line.anchors == "silent")
        at = self._now()
        limit = limit or TCP_LIMIT
        step = Tcp(address=address, port=port, at=at, elapsed=ROUND_TRIP, limit=limit)
        if silent:
            await asyncio.sleep(limit)
            return _with(step, Failure.TIMEOUT, limit)
        await asyncio.sleep(ROUND_TRIP)
        return _with(step, Failure.REFUSED if kind_of(host) == "refuse" else None)

    async def tls(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        async with self.limiter.enter(handshake.address):
            return await self._shake(handshake)

    async def _shake(self, handshake: TlsHandshake) -> tuple[Tcp, Tls | None]:
        address, name = handshake.address, handshake.sni or ""
        tcp = await self._connect(address, handshake.port, handshake.limit)
        if tcp.failure is not None:
            return tcp, None
        mute = kind_of(self.session.by_address.get(address, "")) == "mute"
        limit = handshake.limit or TLS_LIMIT
        step = Tls(
            address=address, port=handshake.port, sni=handshake.sni, hello=handshake.hello,
            bytes_out=517, at=self._now(), elapsed=2 * ROUND_TRIP, limit=limit,
        )  # fmt: skip
        if mute or kind_of(name) == "shut":
            await asyncio.sleep(limit)
            return tcp, _with(step, Failure.TIMEOUT, limit)
        await asyncio.sleep(2 * ROUND_TRIP)
        if kind_of(name) == "reset":
            return tcp, _with(step, Failure.RESET)
        self.limiter.concurrency.note(2 * ROUND_TRIP)
        return tcp, replace(step, bytes_in=3000, trust=_VALID)

    async def http(self, request: HttpRequest) -> Steps:
        async with self.limiter.enter(request.address):
            own = request.host or host_of(request.url)
            before: Steps
            if request.url.startswith("https:"):
                name = request.sni or own
                tcp, tls = await self._shake(TlsHandshake(request.address, 443, name))
                if tls is None or tls.failure is not None:
                    return (tcp,) if tls is None else (tcp, tls)
                before = (tcp, tls)
            else:
                tcp = await self._connect(request.address, 80, request.limit)
                if tcp.failure is not None:
                    return (tcp,)
                before = (tcp,)
            return (*before, await self._page(request, own, proven=len(before) > 1))

    async def _page(self, request: HttpRequest, host: str, *, proven: bool) -> Http:
        url, kind = request.url, kind_of(host)
        port = 443 if url.startswith("https:") else 80
        limit = request.limit or IDLE_LIMIT
        page = Http(
            url=url, address=request.address, port=port, host=host, proven=proven, at=self._now(),
            limit=limit, bytes_out=200,
        )  # fmt: skip
        if kind == "hang":
            await asyncio.sleep(limit)
            page = replace(page, acknowledged=True)
            return _with(page, Failure.TIMEOUT, limit)
        seconds = TOTAL if kind in {"byte", "header"} else 2 * ROUND_TRIP
        await asyncio.sleep(seconds)
        if kind == "header":
            return replace(page, bytes_in=20, elapsed=seconds)
        whole = {"status": 200, "title": "A site", "complete": kind not in {"byte", "endless"}}
        size = 20 if kind == "byte" else 18_000
        self.session.bytes_in += size
        if kind == "loop":
            number = keyed(0, url, "next")
            whole = {"status": 302, "location": f"https://{host}/{number}", "complete": True}
        return replace(page, received_bytes=size, bytes_in=size, elapsed=seconds, **whole)

    # --- the rest --------------------------------------------------------------------------------

    async def together(self, asks: Sequence[Awaitable[T]]) -> list[T]:
        return await await_all(asks)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def safe(self, address: str) -> bool:  # noqa: ARG002 - an interface
        return True

    async def transfer(self, request: TransferRequest) -> Transfer:
        _not_simulated(request)

    async def quic(self, handshake: QuicHandshake) -> Quic:
        _not_simulated(handshake)


S = TypeVar("S", Dns, Tcp, Tls, Http)


def _with(step: S, failure: Failure | None, elapsed: float | None = None) -> S:
    """The step with its end."""
    return replace(step, failure=failure, elapsed=step.elapsed if elapsed is None else elapsed)


def _not_simulated(what: object) -> NoReturn:
    raise NotImplementedError(type(what).__name__)
