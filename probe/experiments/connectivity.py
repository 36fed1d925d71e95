"""How far does this line reach? Gateway, resolver, anchors at home and abroad: kilobytes a round.

An anchor is measured by a query and a handshake; a `ping` step after them holds the class of the
anchor and how the attempt failed, so that the record can be judged without any list. When nothing
abroad answers, the round is repeated some minutes later, and the ports that stayed open in
Kazakhstan in January 2022 (179, 3785, 5060) are tried on a server of ours: they tell a filter from
a dead line.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, cast

from probe.analysis.shutdown import APART_SECONDS, BY_ADDRESS, BY_PORT, CUTS, Mode, classify, reach
from probe.experiments.interface import Experiment, GatewayNet, Net, Share, Task
from probe.experiments.operations import DnsQuery, HttpRequest, TcpConnect, TlsHandshake
from probe.experiments.option import ADDRESS, lasting
from probe.experiments.step_log import StepLog
from probe.failure import Failure
from probe.i18n import _
from probe.model import Dns, Ping, Role, Step, Steps, Tcp, Tls, Transport
from probe.ordering import host_of, port_of
from probe.reference_data import Anchor, anchors

# As a connection on a slow line may need: SYNs are sent again after 1 s and 3 s.
LIMIT = 6.0
# A query is sent again meanwhile; another resolver is asked afterwards.
QUERY_LIMIT = 3.0
AGAIN_SECONDS = 300.0
# 443 beside them: a filter of names lets it through, a filter of ports does not.
OPEN_PORTS = (179, 3785, 5060, 443)
RESOLVERS_TRIED = 3
# Whose sites are the domestic ones.
COUNTRY = "KZ"

AnchorClass = Literal["essential", "ordinary", "foreign", "unclassed", "resolver", "port"]
# The country of an address, by the user's table of networks.
CountryOf = Callable[[str], Awaitable[str | None]]
# What was tried, by its class.
Attempts = list[tuple[AnchorClass | Literal["gateway"], Steps]]


async def measure(task: Task, net: Net) -> Steps:
    """Measure everything once; the open ports where the line does not reach everything."""
    log = StepLog()
    await _round(task, net, log, 1)
    own = task.options.get("own_server")
    if _mode(log.steps) is not Mode.NORMAL and isinstance(own, str) and net.safe(own):
        asks = [net.tcp(TcpConnect(own, port, limit=LIMIT)) for port in OPEN_PORTS]
        for step in await net.together(asks):
            log.add(step, role=Role.NEUTRAL)
    return log.steps


async def confirm(task: Task, net: Net, steps: Steps) -> Steps:
    """Measure everything again, minutes later, where that could show more."""
    if not needs_confirmation(task, steps):
        return steps
    log = StepLog(steps)
    seconds = task.options.get("again_seconds", AGAIN_SECONDS)
    await net.pause(float(seconds) if isinstance(seconds, int | float) else AGAIN_SECONDS)
    await _round(task, net, log, 2)
    return log.steps


def needs_confirmation(_: Task, steps: Steps) -> bool:
    """Whether a second round could change the verdict: only a cut has to be seen twice."""
    return _mode(steps) in CUTS


def _mode(steps: Sequence[Step]) -> Mode:
    return classify(reach(step for step in steps if isinstance(step, Ping)))


async def _round(task: Task, net: Net, log: StepLog, try_: int) -> None:
    """Everything at once: what is silent holds up nothing else."""
    configured = task.options.get("anchors")
    usable = isinstance(configured, Sequence) and all(isinstance(a, Anchor) for a in configured)
    every: Sequence[Anchor] = configured if usable else anchors()  # type: ignore[assignment]
    abroad: list[Steps] = []
    sites = [_site(task, net, one, abroad) for one in every]
    asks = [_gateway(net), *sites, _addresses(net, abroad)]
    for attempts in await net.together(asks):
        for what, steps in attempts:
            if what == "gateway":
                log.chain(steps, role=Role.NEUTRAL, try_=try_)
            else:
                _record(log, steps, what, try_)


async def _gateway(net: Net) -> Attempts:
    router = await net.gateway() if isinstance(net, GatewayNet) else None
    return [("gateway", (router,))] if router is not None else []


async def _site(task: Task, net: Net, anchor: Anchor, abroad: list[Steps]) -> Attempts:
    """One anchor; what is abroad and answered is added to `abroad`."""
    steps = await _anchor(net, anchor)
    what = class_of(anchor)
    if what == "unclassed":
        what = await _class_by_address(task, steps)
    if what == "foreign" and steps and _failure(steps[-1]) is None:
        abroad.append(steps)
    return [(what, steps)]


async def _class_by_address(task: Task, steps: Steps) -> AnchorClass:
    """The class of a site by its address's country in the user's table of networks."""
    country_of = task.options.get("country_of")
    addresses = [s.address for s in steps if isinstance(s, Tcp)]
    if not addresses or not callable(country_of):
        return "unclassed"
    country = await cast("CountryOf", country_of)(addresses[0])
    if country is None:
        return "unclassed"
    return "ordinary" if country == COUNTRY else "foreign"


async def _addresses(net: Net, abroad: Sequence[Steps]) -> Attempts:
    """Public resolvers at port 53; at 443, which stays open then, where nothing abroad answers."""
    plain = [one for one in by_address(net) if net.safe(one[0])]
    found: Attempts = [
        (BY_ADDRESS, steps) for steps in await net.together([_connect(net, *one) for one in plain])
    ]
    if abroad or any(step.failure is None for _, steps in found for step in steps):
        return found
    secure = [one for one in by_address(net, "doh") if one not in plain and net.safe(one[0])]
    for steps in await net.together([_connect(net, *one) for one in secure]):
        found.append((BY_PORT, steps))
    return found


async def _connect(net: Net, address: str, port: int) -> Steps:
    return (await net.tcp(TcpConnect(address, port, limit=LIMIT)),)


def remark(options: Mapping[str, object]) -> str:
    """How long it takes where the line seems cut, or that it cannot conclude it."""
    seconds = options.get("again_seconds", AGAIN_SECONDS)
    apart = float(seconds) if isinstance(seconds, int | float) else AGAIN_SECONDS
    if apart < APART_SECONDS:
        text = _(
            "connectivity: a cut is concluded from two measurements at least {least:.0f} s apart; "
            "with again_seconds = {seconds:g} it cannot be"
        )
        return text.format(least=APART_SECONDS, seconds=apart)
    text = _("connectivity: a line that seems cut is measured again after {seconds:g} s")
    return text.format(seconds=apart)


def class_of(anchor: Anchor) -> AnchorClass:
    """Which of the classes an anchor counts for."""
    if anchor.foreign is None:
        return "unclassed"
    if anchor.foreign:
        return "foreign"
    return "essential" if anchor.essential else "ordinary"


def by_address(net: Net, transport: Transport | None = None) -> tuple[tuple[str, int], ...]:
    """A few endpoints abroad that need no name: the public resolvers that this run may ask."""
    public = [r for r in net.resolvers if r.label != "system" and transport in {None, r.transport}]
    chosen = {r.address: (r.address, r.port) for r in reversed(public)}
    return tuple(chosen.values())[-RESOLVERS_TRIED:]


async def _anchor(net: Net, anchor: Anchor) -> Steps:
    """A query to the system's resolver (to another one if it fails), then a handshake."""
    host, port = host_of(anchor.url), port_of(anchor.url)
    asked: list[Step] = []
    for resolver in net.resolvers[:2]:
        answer = await net.dns(DnsQuery(host, resolver, limit=QUERY_LIMIT))
        asked.append(answer)
        usable = [address for address in answer.addresses if net.safe(address)]
        if usable and port == 80:
            return (*asked, *await net.http(HttpRequest(anchor.url, usable[0], limit=LIMIT)))
        if usable:
            tcp, tls = await net.tls(TlsHandshake(usable[0], port, host, limit=LIMIT))
            return (*asked, tcp, *([tls] if tls is not None else []))
    return tuple(asked)


def _record(log: StepLog, steps: Steps, what: AnchorClass, try_: int) -> None:
    """Add one attempt and the step that sums it up."""
    last = log.chain(steps, role=Role.REFERENCE, try_=try_)[-1]
    summary = Ping(what=what, failure=_failure(last), at=last.at, elapsed=last.elapsed)
    log.add(summary, role=Role.REFERENCE, try_=try_, parent=last.id)


def _failure(last: Step) -> Failure | None:
    """How an attempt failed; an unproven handshake did not reach the anchor."""
    if last.failure is None and isinstance(last, Dns):
        return Failure.DNS_NO_ANSWER
    if isinstance(last, Tls) and last.trust is not None and not last.trust.valid:
        return last.failure or Failure.SSL_AUTHORITY
    return last.failure


EXPERIMENT = Experiment(
    "connectivity",
    1,
    measure,
    confirm,
    needs_confirmation,
    once=True,
    profiles={
        "full": Share(options={"again_seconds": 10.0}),
        "quick": Share(options={"again_seconds": 10.0}),
    },
    given=frozenset({"anchors", "own_server"}),
    takes={"again_seconds": lasting(3600), "own_server": ADDRESS},
    remark=remark,
)
