"""One run's open door to the network: its settings, what it counts, and a view for each target."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from probe.experiments.interface import Resolver
from probe.net.byte_counter import ByteCounter
from probe.net.chain_verifier import ChainVerifier, load_roots
from probe.net.concurrency import AdaptiveConcurrency
from probe.net.dial import SessionContext, TargetContext
from probe.net.rate_limit import RateLimiter
from probe.net.resolver_connections import ResolverConnections
from probe.net.resolver_pool import ResolverPool
from probe.net.resolvers import Address, system_resolvers
from probe.net.route import has_route
from probe.net.target_net import SocketNet
from probe.net.timeouts import AdaptiveTimeouts

# A judgement needs a title, a hash and a likeness, and to see that more than some 20 KB get through
# (where known throttles freeze a connection); more of a page would be the volunteer's bytes.
BODY_CAP = 18 * 1024
# DNS questions are small: so many at once at one resolver, so far apart.
_QUESTIONS = 256
_QUESTIONS_EACH = 16
_QUESTION_SPACING = 0.002
# Any address in the public internet would do: nothing is sent, the kernel only looks for a route.
_SOMEWHERE = "2001:4860:4860::8888"


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a session is told.

    Attributes:
        lab: Addresses that are not public may be dialled.
        ca_file: In a laboratory, the only roots; None means Mozilla's.
        resolver: Ask this one as `system` instead of the machine's own.
        public: Public resolvers to ask besides.
        concurrency: Connections at once in all. per_address: at once to one address.
        spacing: Seconds between any two connections. per_address_spacing: to one address.
        max_bytes: Both directions together; None is no limit.
        ipv6: Whether the line has it; None finds out.
    """

    lab: bool = False
    ca_file: Path | None = None
    resolver: Address | None = None
    public: Sequence[Resolver] = ()
    concurrency: int = 64
    per_address: int = 4
    spacing: float = 0.0
    per_address_spacing: float = 0.01
    max_bytes: int | None = None
    body_cap: int = BODY_CAP
    ipv6: bool | None = None


class Session:
    """Opened once per run: `async with Session(settings) as session`."""

    def __init__(self, settings: SessionSettings | None = None) -> None:
        self.settings = settings = settings or SessionSettings()
        self.pace = AdaptiveTimeouts()
        self.budget = ByteCounter(settings.max_bytes)
        self.ipv6 = has_route(_SOMEWHERE) if settings.ipv6 is None else settings.ipv6
        self._roster = ResolverPool((), ())
        self._prover = ChainVerifier(load_roots(settings.ca_file))
        self._door = SessionContext(
            gate=RateLimiter(
                AdaptiveConcurrency(settings.concurrency),
                settings.per_address,
                settings.spacing,
                settings.per_address_spacing,
            ),
            questions=RateLimiter(
                AdaptiveConcurrency(_QUESTIONS, first=_QUESTIONS),
                each=_QUESTIONS_EACH,
                each_spacing=_QUESTION_SPACING,
            ),
            budget=self.budget,
            pace=self.pace,
            prover=self._prover,
            lab=settings.lab,
        )
        self._channels = ResolverConnections(self._door)

    async def __aenter__(self) -> Self:
        settings = self.settings
        if settings.resolver is not None:
            own: tuple[Address, ...] = (settings.resolver,)
        else:
            own = await asyncio.to_thread(system_resolvers)
        usable = tuple(one for one in settings.public if self.ipv6 or ":" not in one.address)
        self._roster = ResolverPool(own, usable)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channels.close()

    def net(self, origin: float) -> SocketNet:
        """The network as one target sees it; `origin` is a `time.monotonic()`."""
        return SocketNet(
            TargetContext(self._door, origin),
            self._channels,
            self._roster,
            ipv6=self.ipv6,
            body_cap=self.settings.body_cap,
        )

    @property
    def bytes_in(self) -> int:
        """Received so far."""
        return self.budget.bytes_in

    @property
    def bytes_out(self) -> int:
        """Sent so far."""
        return self.budget.bytes_out

    @property
    def resolvers(self) -> tuple[Resolver, ...]:
        """The system's resolver first, then the public ones still worth asking."""
        return self._roster.resolvers

    @property
    def resolvers_dead(self) -> tuple[str, ...]:
        """The public ones that never answered and are no longer asked."""
        return self._roster.dead

    @property
    def roots(self) -> str:
        """Where the roots come from that chains are judged by."""
        return self._prover.roots.label
