"""How far does this line reach? Gateway, resolver, sites at home, sites abroad: kilobytes a look.

Each look at a site is a query and a handshake; a `ping` step after it says which class the site is
of and how the look ended, so that the record can be judged without any list. When nothing abroad
answers it looks again some minutes later, and tries the ports that stayed open in Kazakhstan in
January 2022 (179, 3785, 5060) on a server of ours: they tell a filter from a pulled plug.
"""

from collections.abc import Sequence
from typing import Literal

from probe.analysis.shutdown import BY_ADDRESS as BY_NO_NAME, BY_PORT, Mode, classify, reach
from probe.experiments.interface import Experiment, GatewayNet, Net, Task
from probe.experiments.operations import DnsQuery, HttpRequest, TcpConnect, TlsHandshake
from probe.experiments.option import ADDRESS, lasting
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.model import Dns, Ping, Role, Step, Steps, Tls, Transport
from probe.ordering import host_of, port_of
from probe.reference_data import Anchor, anchors

LIMIT = 8.0
AGAIN_SECONDS = 300.0
# 443 beside them: on it a filter of names answers and a filter of ports does not.
OPEN_PORTS = (179, 3785, 5060, 443)
BY_ADDRESS = 3

Class = Literal["essential", "ordinary", "foreign", "resolver", "port"]


async def measure(task: Task, net: Net) -> Steps:
    """Look once at everything."""
    trail = StepLog()
    await _look(task, net, trail, 1)
    if _mode(trail.steps) is not Mode.NORMAL:
        await _ports(task, net, trail)
    return trail.steps


async def confirm(task: Task, net: Net, steps: Steps) -> Steps:
    """Look again, minutes later."""
    trail = StepLog(steps)
    seconds = task.options.get("again_seconds", AGAIN_SECONDS)
    await net.pause(float(seconds) if isinstance(seconds, int | float) else AGAIN_SECONDS)
    await _look(task, net, trail, 2)
    return trail.steps


def wanted(_task: Task, steps: Steps) -> bool:
    """Whether a second look could tell more: at home there is nothing to confirm."""
    return _mode(steps) not in {Mode.NORMAL, Mode.HOME_DOWN}


def _mode(steps: Sequence[Step]) -> Mode:
    return classify(reach(step for step in steps if isinstance(step, Ping)))


async def _look(task: Task, net: Net, trail: StepLog, try_: int) -> None:
    router = await net.gateway() if isinstance(net, GatewayNet) else None
    if router is not None:
        trail.add(router, role=Role.NEUTRAL, try_=try_)
    sites = _sites(task)
    addresses = [place for place in by_address(net) if net.safe(place[0])]
    asks = [_site(net, site) for site in sites]
    asks += [_address(net, *place) for place in addresses]
    looks = await net.together(asks)
    classes: list[Class] = [class_of(site) for site in sites]
    classes.extend(BY_NO_NAME for _ in addresses)
    for what, steps in zip(classes, looks, strict=True):
        trail.chain(steps, role=Role.REFERENCE, try_=try_)
        _sum_up(trail, what, try_)
    await _encrypted(net, trail, try_)


async def _encrypted(net: Net, trail: StepLog, try_: int) -> None:
    """Where nothing abroad answers: port 443, which stays open when port 53 is closed."""
    seen = reach(s for s in trail.steps if isinstance(s, Ping) and s.try_ == try_)
    if seen.foreign.up or seen.addresses.up:
        return
    seen_before = by_address(net)
    encrypted = [place for place in by_address(net, "doh") if place not in seen_before]
    places = [place for place in encrypted if net.safe(place[0])]
    for steps in await net.together([_address(net, *place) for place in places]):
        trail.chain(steps, role=Role.REFERENCE, try_=try_)
        _sum_up(trail, BY_PORT, try_)


async def _address(net: Net, address: str, port: int) -> Steps:
    """A place abroad that needs no name."""
    return (await net.tcp(TcpConnect(address, port, limit=LIMIT)),)


def _sites(task: Task) -> Sequence[Anchor]:
    given = task.options.get("anchors")
    if isinstance(given, Sequence) and all(isinstance(one, Anchor) for one in given):
        return given
    return anchors()


def class_of(site: Anchor) -> Class:
    """Which of the three classes a site counts for."""
    if site.foreign:
        return "foreign"
    return "essential" if site.essential else "ordinary"


def by_address(net: Net, transport: Transport | None = None) -> tuple[tuple[str, int], ...]:
    """A few places abroad that need no name: the public resolvers that this run may ask (so)."""
    public = [r for r in net.resolvers if r.label != "system" and transport in {None, r.transport}]
    chosen = {r.address: (r.address, r.port) for r in reversed(public)}
    return tuple(chosen.values())[-BY_ADDRESS:]


async def _site(net: Net, site: Anchor) -> Steps:
    """A query to the system's resolver (to another one if it is silent), then a handshake."""
    host, asked = host_of(site.url), []
    for resolver in net.resolvers[:2]:
        asked.append(await net.dns(DnsQuery(host, resolver, limit=LIMIT)))
        usable = [address for address in asked[-1].addresses if net.safe(address)]
        if usable:
            port = port_of(site.url)
            if port == 80:
                return (*asked, *await net.http(HttpRequest(site.url, usable[0], limit=LIMIT)))
            tcp, tls = await net.tls(TlsHandshake(usable[0], port, host, limit=LIMIT))
            return (*asked, tcp, *([tls] if tls is not None else []))
    return tuple(asked)


def _sum_up(trail: StepLog, what: Class, try_: int) -> None:
    last = trail.steps[-1]
    summary = Ping(what=what, failure=_failure(last), at=last.at, elapsed=last.elapsed)
    trail.add(summary, role=Role.REFERENCE, try_=try_, parent=last.id)


def _failure(last: Step) -> Failure | None:
    """How a look at a site ended; a handshake that proves nothing reached nobody."""
    if last.failure is None and isinstance(last, Dns):
        return Failure.DNS_NO_ANSWER
    if isinstance(last, Tls) and last.trust is not None and not last.trust.valid:
        return last.failure or Failure.SSL_AUTHORITY
    return last.failure


async def _ports(task: Task, net: Net, trail: StepLog) -> None:
    own = task.options.get("own_server")
    if not isinstance(own, str) or not net.safe(own):
        return
    for port in OPEN_PORTS:
        trail.add(await net.tcp(TcpConnect(own, port, limit=LIMIT)), role=Role.NEUTRAL)


EXPERIMENT = Experiment(
    "connectivity",
    1,
    measure,
    confirm,
    wanted,
    once=True,
    given=frozenset({"anchors", "own_server"}),
    takes={"again_seconds": lasting(3600), "own_server": ADDRESS},
)
