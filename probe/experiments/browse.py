"""Open a URL as a browser would: resolve its name, fetch it, follow redirects.

Every hop is handled like the first. The address from the system's resolver is fetched at once;
other resolvers are asked meanwhile, and their answers are only recorded: neither a page nor the hop
after it waits for them.
"""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field

from probe.analysis.web_suspicion import next_url
from probe.compare import host_of, is_address, port_of
from probe.cookies import CookieJar
from probe.experiments.interface import Net, Reference, Resolver, Task
from probe.experiments.operations import DnsQuery, HttpRequest, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import Dns, Http, Role, Step, Steps, Tcp

HOPS = 10
ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class UrlHop:
    """One URL of a redirect chain; `number` 0 is the target's own."""

    url: str
    number: int = 0

    @property
    def host(self) -> str:
        """Its host."""
        return host_of(self.url)

    @property
    def secure(self) -> bool:
        """It is an https URL."""
        return self.url.startswith("https:")

    @property
    def port(self) -> int:
        """Its port, explicit or implied."""
        return port_of(self.url) or (443 if self.secure else 80)

    @property
    def tls_port(self) -> int:
        """Where its name is offered over TLS: at 443 for a plain-http URL."""
        return self.port if self.secure else 443


async def follow(task: Task, net: Net, log: StepLog, hop: UrlHop, *, try_: int) -> None:
    """Fetch a URL and the redirects from it, until a page, a failure or a loop."""
    chain = _Chain(task, net, log, try_)
    chain.visited.add((hop.url, b""))
    await chain.visit(hop)


@dataclass(frozen=True, slots=True)
class _Chain:
    """The redirects from one URL.

    Attributes:
        visited: URLs that were fetched, with the cookies that were sent: many sites redirect to the
            same URL once they have set a cookie.
    """

    task: Task
    net: Net
    log: StepLog
    try_: int
    cookies: CookieJar = field(default_factory=CookieJar)
    visited: set[tuple[str, bytes]] = field(default_factory=set)

    async def visit(self, hop: UrlHop) -> None:
        """Resolve and fetch a hop and those after it; public resolvers are asked meanwhile."""
        task, net, log, try_ = self.task, self.net, self.log, self.try_
        if try_ > 1 or is_address(hop.host) or _resolved_before(log, hop, try_) is not None:
            await self._fetch(hop, await resolve(task, net, log, hop, try_=try_))
            return
        own = await _query(net, log, hop, net.resolvers[:1], try_=try_)
        few = _choose(net.resolvers[1:], task.seed + try_, try_)
        asking = _query(net, log, hop, few, try_=try_)
        if own:
            asks: list[Awaitable[object]] = [asking, self._fetch(hop, own)]
            await net.together(asks)
        else:
            await self._fetch(hop, await asking)

    async def _fetch(self, hop: UrlHop, addresses: Sequence[str]) -> None:
        """Fetch a hop, then go on with the hop that it redirects to."""
        page = await _fetch(self.net, self.log, hop, addresses, self.cookies, try_=self.try_)
        following = next_url(page)
        if following is not None and hop.number < HOPS:
            visit = (following, self.cookies.header(following))
            if visit not in self.visited:
                self.visited.add(visit)
                await self.visit(UrlHop(following, hop.number + 1))
                return
        self.task.only_compares()


# --- names -------------------------------------------------------------------------------------


async def resolve(task: Task, net: Net, log: StepLog, hop: UrlHop, *, try_: int) -> list[str]:
    """The host's addresses, asked of the system's resolver and public ones; the system's first."""
    if is_address(hop.host):
        return [hop.host]
    known = _resolved_before(log, hop, try_)
    if known is not None:
        return known
    system, *public = net.resolvers
    few = _choose(public, task.seed + try_, try_)
    return await _query(net, log, hop, [system, *few], try_=try_)


async def _query(
    net: Net, log: StepLog, hop: UrlHop, resolvers: Sequence[Resolver], *, try_: int
) -> list[str]:
    """Ask these resolvers concurrently; the system's also for IPv6, where there is any."""
    asks: list[Awaitable[Dns]] = [net.dns(DnsQuery(hop.host, one)) for one in resolvers]
    system = [one for one in resolvers if one.label == "system"]
    if net.ipv6:
        asks += [net.dns(DnsQuery(hop.host, one, type="AAAA")) for one in system]
    answers = await net.together(asks)
    for answer in answers:
        log.add(answer, hop=hop.number, try_=try_)
    return _ordered(answers)


def _resolved_before(log: StepLog, hop: UrlHop, try_: int) -> list[str] | None:
    """Addresses that this try got for this host on an earlier hop."""
    asked = [
        s
        for s in log.steps
        if isinstance(s, Dns) and s.name == hop.host and s.try_ == try_ and s.role is Role.TARGET
    ]
    return _ordered(asked) if asked and asked[0].hop != hop.number else None


def _choose(public: Sequence[Resolver], turn: int, try_: int) -> list[Resolver]:
    """One plain and one encrypted resolver, in turn; all of them from the second try on."""
    if try_ > 1:
        return list(public)
    plain = [r for r in public if r.transport == "udp"]
    encrypted = [r for r in public if r.transport in {"doh", "dot"}]
    return [group[turn % len(group)] for group in (plain, encrypted) if group]


def _ordered(answers: Iterable[Dns]) -> list[str]:
    """Distinct addresses: the system's, then others'; IPv4 before IPv6."""
    every = list(answers)
    system = [a for s in every if s.resolver == "system" for a in s.addresses]
    others = [a for s in every if s.resolver != "system" for a in s.addresses]
    by_family = sorted(system, key=lambda a: ":" in a)
    return list(dict.fromkeys([*by_family, *sorted(others, key=lambda a: ":" in a)]))


# --- pages -------------------------------------------------------------------------------------


async def _fetch(
    net: Net,
    log: StepLog,
    hop: UrlHop,
    addresses: Sequence[str],
    cookies: CookieJar,
    *,
    try_: int,
) -> Http | None:
    """Fetch from the first address that connects, of the first few."""
    for address in [a for a in addresses if net.safe(a)][:ADDRESSES]:
        steps = await fetch_from(net, log, hop, address, try_=try_, cookies=cookies)
        if connected(steps):
            return next((s for s in steps if isinstance(s, Http)), None)
    return None


async def fetch_from(
    net: Net,
    log: StepLog,
    hop: UrlHop,
    address: str,
    *,
    try_: int,
    limit: float | None = None,
    segment_limit: int | None = None,
    cookies: CookieJar | None = None,
) -> Steps:
    """Fetch from one address; the steps stand on the query that returned it."""
    request = HttpRequest(
        hop.url, address, limit=limit, segment_limit=segment_limit, cookies=cookies
    )
    steps = await net.http(request)
    queries = (
        s.id
        for s in log.steps
        if isinstance(s, Dns) and s.name == hop.host and s.try_ == try_ and address in s.addresses
    )
    return log.chain(steps, hop=hop.number, try_=try_, parent=next(queries, None))


async def measure_reference(net: Net, log: StepLog, reference: Reference | None) -> None:
    """Measure a reference site, if there is one whose address is known."""
    if reference is None or reference.address is None:
        return
    hop = UrlHop(reference.url)
    if hop.secure:
        handshake = TlsHandshake(reference.address, hop.port, hop.host)
        log.chain(await net.tls(handshake), role=Role.REFERENCE)
    else:
        request = HttpRequest(reference.url, reference.address)
        log.chain(await net.http(request), role=Role.REFERENCE)


def connected(steps: Iterable[Step]) -> bool:
    return any(isinstance(s, Tcp) and s.failure is None for s in steps)
