"""Look at references, before and after a sweep: does the line work, does it lie about all names.

A look is cheap (one query, one handshake, a few bytes over plain http) and never waits long: a
laboratory has none of the world's anchors, and a line that is cut must not cost half a minute to
say so. Looks are facts; what they say of the line is for `reading/facts.py`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probe.analysis.evidence import at_home
from probe.experiments.interface import Net, Reference
from probe.experiments.operations import DnsQuery, HttpRequest, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Http, Role, Step, Steps, Tcp, Tls
from probe.ordering import host_of, keyed, port_of
from probe.runner.byte_budget import BytesSpent

LIMIT = 2.0
ABREAST = 16
FOUND = 3


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """One reference, what was seen of it, and whether it worked."""

    site: Reference
    steps: Steps

    @property
    def works(self) -> bool:
        """The name was proven over TLS, or, for a plain-http site, a page came."""
        if self.site.url.startswith("http:"):
            return any(isinstance(s, Http) and s.status is not None for s in self.steps)
        return any(isinstance(s, Tls) and s.trust is not None and s.trust.valid for s in self.steps)

    @property
    def address(self) -> str | None:
        """Where it was looked at."""
        return next((s.address for s in self.steps if isinstance(s, Tcp)), None)

    @property
    def reference(self) -> Reference:
        """The same, ready to be compared with."""
        return Reference(self.site.url, self.address, self.site.foreign)


class ReferenceChecks:
    """The references of one run: looked at before, after, and once more when nothing works.

    Attributes:
        sightings: The newest look at each anchor.
        before, after: The steps of the looks, for the facts of the line.
        reached: Something beyond this home answered a look.
    """

    def __init__(self, net: Callable[[], Net], anchors: Sequence[Reference], seed: int) -> None:
        self.sightings: tuple[ReferenceResult, ...] = ()
        self.before: Steps = ()
        self.after: Steps = ()
        self.reached = False
        self._net = net
        self._anchors = anchors
        self._seed = seed

    @property
    def working(self) -> list[Reference]:
        """Anchors that worked when they were last looked at, with the address where they did."""
        return [one.reference for one in self.sightings if one.works]

    async def look_before(self) -> None:
        """Look at every anchor; a second time replaces what the first one saw."""
        seen, steps = await self._look(self._anchors)
        self.sightings, self.before = seen or self.sightings, steps or self.before

    async def look_after(self, found: Sequence[Reference]) -> None:
        """Look at what worked before and at sites found since; at every anchor if nothing did."""
        fresh = {host_of(site.url): site for site in reversed(found)}
        sites = [*self.working, *list(fresh.values())[:FOUND]]
        _, self.after = await self._look(sites or self._anchors)

    async def _look(self, sites: Sequence[Reference]) -> tuple[tuple[ReferenceResult, ...], Steps]:
        try:
            seen, steps = await look(self._net(), sites, self._seed)
        except BytesSpent:
            return (), ()
        self.reached = self.reached or reached(steps) or _asked_the_world(steps)
        return seen, steps


async def look(
    net: Net, sites: Sequence[Reference], seed: int
) -> tuple[tuple[ReferenceResult, ...], Steps]:
    """Look at every site, and ask for a name that exists nowhere.

    Returns:
        The sightings, and all steps numbered as one trail.
    """
    turns = asyncio.Semaphore(ABREAST)

    async def one(site: Reference) -> _Found:
        async with turns:
            return await _site(net, site)

    nowhere = f"{keyed(seed, 'nowhere'):016x}.com"
    chains, missing = await asyncio.gather(
        asyncio.gather(*map(one, sites)), net.dns(DnsQuery(nowhere, net.resolvers[0], limit=LIMIT))
    )
    trail = StepLog()
    seen = [
        ReferenceResult(site, _placed(trail, found))
        for site, found in zip(sites, chains, strict=True)
    ]
    trail.add(missing, role=Role.NEUTRAL)
    return tuple(seen), trail.steps


@dataclass(frozen=True, slots=True)
class _Found:
    """What was seen of one site: queries, and what stands on the answer of one of them."""

    queries: tuple[Dns, ...]
    chosen: int | None = None
    chains: tuple[Steps, ...] = ()


async def _site(net: Net, site: Reference) -> _Found:
    host, port = host_of(site.url), port_of(site.url)
    queries, address = await _resolve(net, host, site.address)
    if address is None or not net.safe(address):
        return _Found(queries)
    chosen = next((n for n, query in enumerate(queries) if address in query.addresses), None)
    if site.url.startswith("http:"):
        return _Found(
            queries, chosen, (await net.http(HttpRequest(site.url, address, limit=LIMIT)),)
        )
    shaken, page = await asyncio.gather(
        net.tls(TlsHandshake(address, port, host, limit=LIMIT)), _portal(net, host, address, port)
    )
    return _Found(queries, chosen, (tuple(step for step in shaken if step is not None), page))


async def _portal(net: Net, host: str, address: str, port: int) -> Steps:
    """Plain http, which a portal or an injector answers for everybody."""
    if port != 443:
        return ()
    return await net.http(HttpRequest(f"http://{host}/", address, limit=LIMIT))


async def _resolve(net: Net, host: str, known: str | None) -> tuple[tuple[Dns, ...], str | None]:
    """Ask the system's resolver and one other: a dead resolver must not look like a dead line."""
    if known is not None:
        return (), known
    asked = net.resolvers[:2]
    queries = await net.together([net.dns(DnsQuery(host, one, limit=LIMIT)) for one in asked])
    return tuple(queries), next((query.addresses[0] for query in queries if query.addresses), None)


def _placed(trail: StepLog, found: _Found) -> Steps:
    queries = [trail.add(query, role=Role.REFERENCE) for query in found.queries]
    parent = None if found.chosen is None else queries[found.chosen].id
    placed: Steps = tuple(queries)
    for chain in found.chains:
        placed += trail.chain(chain, role=Role.REFERENCE, parent=parent)
    return placed


def reached(steps: Steps) -> bool:
    """Something beyond this home answered: the line is not dead.

    An answer by the system's resolver does not count: it may be this machine's own cache.
    """
    return any(_beyond(step) for step in steps)


def _asked_the_world(looks: Steps) -> bool:
    """The system's resolver knows that the name which exists nowhere does not exist.

    No cache has that name, and a resolver that is cut off itself says SERVFAIL, or nothing: so it
    was told by somebody beyond this home.
    """
    return any(
        isinstance(step, Dns) and step.role is Role.NEUTRAL and step.failure is Failure.DNS_NXDOMAIN
        for step in looks
    )


def _beyond(step: Step) -> bool:
    if isinstance(step, Dns):
        return step.resolver != "system" and bool(step.replies)
    turned_away = isinstance(step, Tcp) and step.failure in {Failure.REFUSED, Failure.RESET}
    return (step.failure is None or turned_away) and not at_home(step)
