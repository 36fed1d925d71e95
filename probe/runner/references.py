"""Check the reference sites before and after a sweep, to see the state of the line.

A check is small (a query, a handshake, a plain-http page) and has a short timeout: a laboratory has
none of the public anchors, and a dead line must not delay a run by half a minute. The facts of the
line are derived from these steps in `analysis/facts.py`.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain

from msgspec import Struct
from msgspec.structs import replace

from probe.analysis.evidence import at_home
from probe.experiments.interface import Net, Reference
from probe.experiments.operations import DnsQuery, HttpRequest, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Http, Role, Step, Steps, Tcp, Tls
from probe.ordering import host_of, keyed, port_of
from probe.runner.byte_budget import BytesSpent

TIMEOUT = 2.0
CONCURRENCY = 16
MAX_FOUND_SITES = 3


class ReferenceResult(Struct, frozen=True):
    """One reference site and the steps of its check."""

    site: Reference
    steps: Steps

    @property
    def works(self) -> bool:
        """Whether the certificate was valid or, for a plain-http site, a page came."""
        if self.site.url.startswith("http:"):
            return any(isinstance(s, Http) and s.status is not None for s in self.steps)
        return any(isinstance(s, Tls) and s.trust is not None and s.trust.valid for s in self.steps)

    @property
    def reference(self) -> Reference:
        """The site with the address that was dialled."""
        address = next((s.address for s in self.steps if isinstance(s, Tcp)), None)
        return replace(self.site, address=address)


FoundFunction = Callable[[ReferenceResult], None]


class ReferenceChecks:
    """The checks of a run's reference sites.

    Attributes:
        results: The newest result of each anchor.
        before, after: Steps of the checks before and after the sweep.
        reached: Whether something beyond the home network answered a check.
    """

    def __init__(self, net: Callable[[], Net], anchors: Sequence[Reference], seed: int) -> None:
        self.results: tuple[ReferenceResult, ...] = ()
        self.before: Steps = ()
        self.after: Steps = ()
        self.reached = False
        self._net = net
        self._anchors = anchors
        self._seed = seed

    @property
    def working(self) -> list[Reference]:
        """Anchors that worked at their newest check."""
        return [one.reference for one in self.results if one.works]

    async def check_before(self) -> None:
        """Check every anchor; called again, replace the results.

        Each result counts as soon as it is there: a silent anchor does not hold up the others.
        """
        results, steps = await self._check(self._anchors, self._add)
        self.results, self.before = results or self.results, steps or self.before

    def _add(self, result: ReferenceResult) -> None:
        others = (one for one in self.results if one.site != result.site)
        self.results = (*others, result)
        self.reached = self.reached or reached(result.steps)

    async def check_after(self, found: Sequence[Reference]) -> None:
        """Check the working anchors and a few `found` sites; every anchor if there are none."""
        by_host = {host_of(site.url): site for site in reversed(found)}
        sites = [*self.working, *list(by_host.values())[:MAX_FOUND_SITES]]
        _, self.after = await self._check(sites or self._anchors)

    async def _check(
        self, sites: Sequence[Reference], found: FoundFunction | None = None
    ) -> tuple[tuple[ReferenceResult, ...], Steps]:
        try:
            results, steps = await check(self._net(), sites, self._seed, found)
        except BytesSpent:
            return (), ()
        self.reached = self.reached or reached(steps) or _got_nxdomain(steps)
        return results, steps


async def check(
    net: Net, sites: Sequence[Reference], seed: int, found: FoundFunction | None = None
) -> tuple[tuple[ReferenceResult, ...], Steps]:
    """Check every site, and query a name that does not exist.

    Args:
        found: Called with each result at once; its steps are not numbered yet.

    Returns:
        The results, and all steps in one numbering.
    """
    semaphore = asyncio.Semaphore(CONCURRENCY)

    async def limited(site: Reference) -> _SiteSteps:
        async with semaphore:
            steps = await _check_site(net, site)
        if found is not None:
            found(ReferenceResult(site, steps.steps))
        return steps

    nonexistent = DnsQuery(f"{keyed(seed, 'nowhere'):016x}.com", net.resolvers[0], limit=TIMEOUT)
    checked, missing = await asyncio.gather(
        asyncio.gather(*map(limited, sites)), net.dns(nonexistent)
    )
    log = StepLog()
    results = [
        ReferenceResult(site, _add(log, steps)) for site, steps in zip(sites, checked, strict=True)
    ]
    log.add(missing, role=Role.NEUTRAL)
    return tuple(results), log.steps


class _SiteSteps(Struct, frozen=True):
    """The steps of one check, not numbered yet.

    Attributes:
        chosen: Index of the query whose answer was dialled.
        chains: Connections to that address.
    """

    queries: tuple[Dns, ...]
    chosen: int | None = None
    chains: tuple[Steps, ...] = ()

    @property
    def steps(self) -> Steps:
        """All of them."""
        return (*self.queries, *chain.from_iterable(self.chains))


async def _check_site(net: Net, site: Reference) -> _SiteSteps:
    host, port = host_of(site.url), port_of(site.url)
    queries, address = await _resolve(net, host, site.address)
    if address is None or not net.safe(address):
        return _SiteSteps(queries)
    chosen = next((n for n, query in enumerate(queries) if address in query.addresses), None)
    if site.url.startswith("http:"):
        page = await net.http(HttpRequest(site.url, address, limit=TIMEOUT))
        return _SiteSteps(queries, chosen, (page,))
    handshake, page = await asyncio.gather(
        net.tls(TlsHandshake(address, port, host, limit=TIMEOUT)),
        _plain_page(net, host, address, port),
    )
    return _SiteSteps(
        queries, chosen, (tuple(step for step in handshake if step is not None), page)
    )


async def _plain_page(net: Net, host: str, address: str, port: int) -> Steps:
    """Fetch over plain http, which captive portals and injectors answer for every name."""
    if port != 443:
        return ()
    return await net.http(HttpRequest(f"http://{host}/", address, limit=TIMEOUT))


async def _resolve(net: Net, host: str, known: str | None) -> tuple[tuple[Dns, ...], str | None]:
    """Ask the system's resolver and another one: a dead resolver is no dead line."""
    if known is not None:
        return (), known
    queries = await net.together(
        [net.dns(DnsQuery(host, resolver, limit=TIMEOUT)) for resolver in net.resolvers[:2]]
    )
    return tuple(queries), next((query.addresses[0] for query in queries if query.addresses), None)


def _add(log: StepLog, found: _SiteSteps) -> Steps:
    queries = [log.add(query, role=Role.REFERENCE) for query in found.queries]
    parent = None if found.chosen is None else queries[found.chosen].id
    added: Steps = tuple(queries)
    for steps in found.chains:
        added += log.chain(steps, role=Role.REFERENCE, parent=parent)
    return added


def reached(steps: Steps) -> bool:
    """Whether something beyond the home network answered, so that the line is not dead.

    An answer from the system's resolver does not count: it may be a cache on this machine.
    """
    return any(_is_beyond_home(step) for step in steps)


def _got_nxdomain(steps: Steps) -> bool:
    """Whether the system's resolver answered that the nonexistent name does not exist.

    No cache has that name, and a resolver without upstream answers SERVFAIL or not at all, so
    something beyond the home network answered.
    """
    return any(
        isinstance(step, Dns) and step.role is Role.NEUTRAL and step.failure is Failure.DNS_NXDOMAIN
        for step in steps
    )


def _is_beyond_home(step: Step) -> bool:
    if isinstance(step, Dns):
        return step.resolver != "system" and bool(step.replies)
    rejected = isinstance(step, Tcp) and step.failure in {Failure.REFUSED, Failure.RESET}
    return (step.failure is None or rejected) and not at_home(step)


def with_foreign(
    references: tuple[Reference, ...], anchors: Sequence[Reference]
) -> tuple[Reference, ...]:
    """The reference sites with a foreign one among them, neither first nor last."""
    if any(one.foreign for one in references):
        return references
    more = tuple(one for one in anchors if one.foreign)[:1]
    return (*references[:-1], *more, *references[-1:])
