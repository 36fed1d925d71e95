"""Open a URL as a browser would: ask for its name, fetch, follow where it redirects.

Every hop is taken like the first. What the machine's own resolver says is fetched at once; what
others say of the name is asked meanwhile and only kept.
"""

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from probe.compare import host_of, is_address
from probe.experiments.interface import Net, Resolver, Task
from probe.experiments.operations import DnsQuery, HttpRequest
from probe.experiments.step_log import StepLog
from probe.model import Dns, Http, Role, Step, Steps, Tcp

HOPS = 10
ADDRESSES = 3


@dataclass(frozen=True, slots=True)
class Site:
    """One URL of a chain of redirects."""

    url: str
    hop: int

    @property
    def host(self) -> str:
        """Its host."""
        return host_of(self.url)

    @property
    def secure(self) -> bool:
        """It is an https URL."""
        return urlsplit(self.url).scheme == "https"

    @property
    def port(self) -> int:
        """Its port, said or implied."""
        return urlsplit(self.url).port or (443 if self.secure else 80)


async def walk(task: Task, net: Net, trail: StepLog, site: Site, *, try_: int) -> None:
    """Fetch a URL and what it redirects to, until it ends."""
    seen = {site.url}
    while True:
        page = await _visit(task, net, trail, site, try_=try_)
        following = next_url(page)
        if following is None or site.hop >= HOPS:
            return
        site = Site(following, site.hop + 1)
        if following in seen:
            return
        seen.add(following)


async def _visit(task: Task, net: Net, trail: StepLog, site: Site, *, try_: int) -> Http | None:
    """Resolve and fetch one hop: from what the system says, without waiting for what others say."""
    if try_ > 1 or is_address(site.host) or _known(trail, site, try_) is not None:
        addresses = await resolve(task, net, trail, site, try_=try_)
        return await fetch(net, trail, site, addresses, try_=try_)
    own = await _ask(net, trail, site, net.resolvers[:1], try_=try_)
    asking = _ask(net, trail, site, _a_few(net.resolvers[1:], task.seed + try_, try_), try_=try_)
    if not own:
        return await fetch(net, trail, site, await asking, try_=try_)
    _, page = await net.together([asking, fetch(net, trail, site, own, try_=try_)])
    return page if isinstance(page, Http) else None


def next_url(page: Http | None) -> str | None:
    """Where a redirect leads, when it is one that a browser follows."""
    if page is None or page.failure is not None or page.location is None:
        return None
    if page.status not in {301, 302, 303, 307, 308} or not host_of(page.location):
        return None
    return page.location if urlsplit(page.location).scheme in {"http", "https"} else None


# --- names -------------------------------------------------------------------------------------


async def resolve(task: Task, net: Net, trail: StepLog, site: Site, *, try_: int) -> list[str]:
    """Ask for the host's addresses; the system's answers come first."""
    if is_address(site.host):
        return [site.host]
    known = _known(trail, site, try_)
    if known is not None:
        return known
    system, *public = net.resolvers
    few = _a_few(public, task.seed + try_, try_)
    return await _ask(net, trail, site, [system, *few], try_=try_)


async def _ask(
    net: Net, trail: StepLog, site: Site, resolvers: Sequence[Resolver], *, try_: int
) -> list[str]:
    """Ask these resolvers at once; the system's also for IPv6, where there is any."""
    asks: list[Awaitable[Dns]] = [net.dns(DnsQuery(site.host, one)) for one in resolvers]
    system = [one for one in resolvers if one.label == "system"]
    if net.ipv6:
        asks += [net.dns(DnsQuery(site.host, one, type="AAAA")) for one in system]
    answers = await net.together(asks)
    for answer in answers:
        trail.add(answer, hop=site.hop, try_=try_)
    return _ordered(answers)


def _known(trail: StepLog, site: Site, try_: int) -> list[str] | None:
    """Addresses that this try was given for this host on an earlier hop."""
    asked = [
        s
        for s in trail.steps
        if isinstance(s, Dns) and s.name == site.host and s.try_ == try_ and s.role is Role.TARGET
    ]
    return _ordered(asked) if asked and asked[0].hop != site.hop else None


def _a_few(public: Sequence[Resolver], turn: int, try_: int) -> list[Resolver]:
    """One plain and one encrypted resolver, in turn; all of them when it is looked at again."""
    if try_ > 1:
        return list(public)
    plain = [r for r in public if r.transport == "udp"]
    encrypted = [r for r in public if r.transport in {"doh", "dot"}]
    return [group[turn % len(group)] for group in (plain, encrypted) if group]


def _ordered(answers: Iterable[Dns]) -> list[str]:
    """Distinct addresses: the system's, then others'; IPv4 before IPv6."""
    said = list(answers)
    system = [a for s in said if s.resolver == "system" for a in s.addresses]
    others = [a for s in said if s.resolver != "system" for a in s.addresses]
    by_family = sorted(system, key=lambda a: ":" in a)
    return list(dict.fromkeys([*by_family, *sorted(others, key=lambda a: ":" in a)]))


# --- pages -------------------------------------------------------------------------------------


async def fetch(
    net: Net, trail: StepLog, site: Site, addresses: Sequence[str], *, try_: int
) -> Http | None:
    """Fetch from the first address that connects, of the first few."""
    for address in [a for a in addresses if net.safe(a)][:ADDRESSES]:
        steps = await fetch_from(net, trail, site, address, try_=try_)
        if connected(steps):
            return next((s for s in steps if isinstance(s, Http)), None)
    return None


async def fetch_from(
    net: Net,
    trail: StepLog,
    site: Site,
    address: str,
    *,
    try_: int,
    limit: float | None = None,
) -> Steps:
    """Fetch from one address, on the trail."""
    steps = await net.http(HttpRequest(site.url, address, limit=limit))
    parent = _said_by(trail, site, address, try_)
    return trail.chain(steps, hop=site.hop, try_=try_, parent=parent)


def _said_by(trail: StepLog, site: Site, address: str, try_: int) -> int | None:
    """The query that gave this address."""
    for step in trail.steps:
        asked = isinstance(step, Dns) and step.name == site.host and step.try_ == try_
        if asked and isinstance(step, Dns) and address in step.addresses:
            return step.id
    return None


def connected(steps: Iterable[Step]) -> bool:
    return any(isinstance(s, Tcp) and s.failure is None for s in steps)
