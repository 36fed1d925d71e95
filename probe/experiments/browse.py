"""Open a URL as a browser would: resolve its name, fetch it, follow redirects.

Every hop is handled like the first. The address from the system's resolver is fetched at once;
other resolvers are asked meanwhile, and their answers are only recorded: neither a page nor the hop
after it waits for them.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from msgspec import Struct, field

from probe.analysis.web_suspicion import next_url
from probe.compare import host_of, is_address, port_of
from probe.cookies import CookieJar
from probe.experiments.interface import EarlyDnsNet, Net, Reference, Resolver, Task
from probe.experiments.operations import DnsQuery, HttpRequest, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.model import Dns, Http, Role, Step, Steps, Tcp

HOPS = 10
ADDRESSES = 3


class UrlHop(Struct, frozen=True):
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
    chain = _Redirects(task, net, log, try_)
    chain.visited.add((hop.url, b""))
    await chain.visit(hop)


class _Redirects(Struct, frozen=True):
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
            found = await resolve(task, net, log, hop, try_=try_)
            await self._fetch(hop, lambda: found)
            return
        first, whole = await _answer(net, DnsQuery(hop.host, net.resolvers[0]))
        own = log.add(first, hop=hop.number, try_=try_)
        asks: list[Awaitable[object]] = [self._hear_out(own, whole), self._compare(hop)]
        if own.addresses:
            await net.together([*asks, self._fetch(hop, lambda: self._addresses(hop, own=True))])
        else:
            await net.together(asks)
            await self._fetch(hop, lambda: self._addresses(hop))

    async def _hear_out(self, own: Dns, whole: Awaitable[Dns]) -> None:
        """Record the replies that came later; one of the two may be forged."""
        self.log.amend(own.id, await whole)

    async def _compare(self, hop: UrlHop) -> None:
        """Ask public resolvers, and the system's for IPv6, where there is any."""
        system, *public = self.net.resolvers
        few = _choose(public, self.task.seed + self.try_, self.try_)
        queries = [DnsQuery(hop.host, system, type="AAAA")] if self.net.ipv6 else []
        queries += [DnsQuery(hop.host, one) for one in few]
        await _ask(self.net, self.log, hop, queries, try_=self.try_)

    def _addresses(self, hop: UrlHop, *, own: bool = False) -> list[str]:
        """What is known by now; `own`: of the system's resolver."""
        asked = [s for s in _asked(self.log, hop, self.try_) if s.resolver == "system" or not own]
        return _ordered(asked)

    async def _fetch(self, hop: UrlHop, addresses: Callable[[], Sequence[str]]) -> None:
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
    queries = [DnsQuery(hop.host, one) for one in (system, *few)]
    if net.ipv6:
        queries.append(DnsQuery(hop.host, system, type="AAAA"))
    return await _ask(net, log, hop, queries, try_=try_)


async def _ask(
    net: Net, log: StepLog, hop: UrlHop, queries: Sequence[DnsQuery], *, try_: int
) -> list[str]:
    """Send these queries concurrently; the addresses."""
    answers = await net.together([net.dns(query) for query in queries])
    for answer in answers:
        log.add(answer, hop=hop.number, try_=try_)
    return _ordered(answers)


async def _answer(net: Net, query: DnsQuery) -> tuple[Dns, Awaitable[Dns]]:
    """An answer as soon as there is one, and the whole one."""
    if isinstance(net, EarlyDnsNet):
        return await net.early_dns(query)
    step = await net.dns(query)

    async def whole() -> Dns:
        return step

    return step, whole()


def _asked(log: StepLog, hop: UrlHop, try_: int) -> list[Dns]:
    """This try's queries for this host."""
    return [
        s
        for s in log.steps
        if isinstance(s, Dns) and s.name == hop.host and s.try_ == try_ and s.role is Role.TARGET
    ]


def _resolved_before(log: StepLog, hop: UrlHop, try_: int) -> list[str] | None:
    """Addresses that this try got for this host on an earlier hop."""
    asked = _asked(log, hop, try_)
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
    addresses: Callable[[], Sequence[str]],
    cookies: CookieJar,
    *,
    try_: int,
) -> Http | None:
    """Fetch from the first address that connects, of the first few that are known by then."""
    tried: list[str] = []
    while len(tried) < ADDRESSES:
        address = next((a for a in addresses() if a not in tried and net.safe(a)), None)
        if address is None:
            break
        tried.append(address)
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
