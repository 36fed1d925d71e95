"""The network session of one run: settings, shared state, and a `SocketNet` for each target."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from probe.experiments.interface import Resolver
from probe.net.chain_verifier import ChainVerifier, root_finder
from probe.net.concurrency import FIRST, AdaptiveConcurrency
from probe.net.dial import SessionContext, TargetContext
from probe.net.further import PAGES, SLOW_PAGES, FurtherReading
from probe.net.rate_limit import RateLimiter
from probe.net.resolver_connections import ResolverConnections
from probe.net.resolver_pool import ResolverPool
from probe.net.resolver_retries import ResolverRetries
from probe.net.resolvers import ResolverAddress, system_resolvers
from probe.net.route import has_route
from probe.net.stream import ByteCounter
from probe.net.target_net import SocketNet
from probe.net.timeouts import AdaptiveTimeouts

# Enough for a title, a hash and a fuzzy hash, and to see that more than some 20 KB get through,
# where known throttles freeze a connection. More would cost the user data volume.
BODY_CAP = 18 * 1024
# DNS queries are small: the limits are higher than those of connections.
_QUESTIONS = 256
_QUESTIONS_EACH = 16
_QUESTION_SPACING = 0.002
# Connections to reference sites at first: each has two, and silent ones are not waited for in turn.
_REFERENCES = 16
# Any public address will do: nothing is sent, the kernel only looks up a route.
_SOMEWHERE = "2001:4860:4860::8888"


class SessionSettings(Struct, frozen=True):
    """The settings of a session.

    Attributes:
        lab: Addresses that are not public may be connected to.
        ca_file: In a lab, the only roots; None: Mozilla's.
        resolver: Used as `system` instead of the machine's own.
        public: Public resolvers to ask as well.
        concurrency: Concurrent connections in all. per_address: to one address.
        spacing: Seconds between any two connections. per_address_spacing: to one address.
        body_cap: Bytes of a body that are read. further_pages: how many are read further;
            with 0, not those that come slowly either.
        ipv6: Whether the machine has IPv6; None: ask the kernel.
    """

    lab: bool = False
    ca_file: Path | None = None
    resolver: ResolverAddress | None = None
    public: Sequence[Resolver] = ()
    concurrency: int = 64
    per_address: int = 4
    spacing: float = 0.0
    per_address_spacing: float = 0.01
    body_cap: int = BODY_CAP
    further_pages: int = PAGES
    ipv6: bool | None = None


class NetSession:
    """Opened once per run: `async with NetSession(settings) as session`."""

    def __init__(self, settings: SessionSettings | None = None) -> None:
        self.settings = settings = settings or SessionSettings()
        self.timeouts = AdaptiveTimeouts()
        self.counter = ByteCounter()
        self.ipv6 = has_route(_SOMEWHERE) if settings.ipv6 is None else settings.ipv6
        self._pool = ResolverPool((), ())
        self._retries = ResolverRetries(self._pool)
        self._verifier = ChainVerifier(root_finder(settings.ca_file))
        self._context = SessionContext(
            limiter=_limiter(settings, FIRST),
            dns_limiter=RateLimiter(
                AdaptiveConcurrency(_QUESTIONS, first=_QUESTIONS),
                each=_QUESTIONS_EACH,
                each_spacing=_QUESTION_SPACING,
            ),
            counter=self.counter,
            timeouts=self.timeouts,
            verifier=self._verifier,
            further=FurtherReading(
                settings.further_pages, SLOW_PAGES if settings.further_pages else 0
            ),
            lab=settings.lab,
        )
        self._apart = replace(self._context, limiter=_limiter(settings, _REFERENCES))
        self._connections = ResolverConnections(self._context)

    async def __aenter__(self) -> Self:
        settings = self.settings
        if settings.resolver is not None:
            own: tuple[ResolverAddress, ...] = (settings.resolver,)
        else:
            own = await asyncio.to_thread(system_resolvers)
        usable = tuple(one for one in settings.public if self.ipv6 or ":" not in one.address)
        self._pool = ResolverPool(own, usable)
        self._retries = ResolverRetries(self._pool)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._retries.close()
        await self._connections.close()

    def net(self, origin: float) -> SocketNet:
        """The network for one target; its steps count from `origin`, a `time.monotonic()`."""
        return self._net(self._context, origin)

    def reference_net(self, origin: float) -> SocketNet:
        """The network for reference sites: those that are silent hold up no target's connection."""
        return self._net(self._apart, origin)

    def _net(self, context: SessionContext, origin: float) -> SocketNet:
        return SocketNet(
            TargetContext(context, origin),
            self._connections,
            self._pool,
            self._retries,
            ipv6=self.ipv6,
            body_cap=self.settings.body_cap,
        )

    @property
    def bytes_in(self) -> int:
        """Bytes received so far."""
        return self.counter.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes sent so far."""
        return self.counter.bytes_out

    @property
    def resolvers(self) -> tuple[Resolver, ...]:
        """The system's resolver, then the public resolvers in use."""
        return self._pool.resolvers

    @property
    def resolvers_dead(self) -> tuple[str, ...]:
        """The public resolvers that never answered."""
        return self._pool.dead

    @property
    def roots(self) -> str:
        """The label of the root store that chains are verified with."""
        return self._verifier.roots.label


def _limiter(settings: SessionSettings, first: int) -> RateLimiter:
    """A limiter of connections that begins with so many."""
    return RateLimiter(
        AdaptiveConcurrency(settings.concurrency, first),
        settings.per_address,
        settings.spacing,
        settings.per_address_spacing,
    )
