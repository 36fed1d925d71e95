"""Send packets with increasing TTL, and find the hop from which a name is treated differently.

On connections that were opened normally, a ClientHello (and a plain http request) is sent that
crosses one router, then two, and so on; the same over UDP with a DNS query. Load balancers lead
flows over ways of different length, so SYNs of several flows first find the nearest distance of the
server, and each packet with the target's name follows one with a harmless name in the same flow
and with the same TTL (the principle of Paris traceroute).

Distances go from the nearest on, so that a middlebox that blocks an address after an offer is met
only when every hop before it is measured; after each hop that differed, the harmless name is
offered again over the whole path. Where that fails, the steps end there; with the option
`residual`, it is offered until it is answered again.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from probe.analysis import trace_analysis, trace_hops
from probe.analysis.trace_hops import HopResult, Layer
from probe.compare import is_address
from probe.experiments.browse import UrlHop, resolve
from probe.experiments.interface import Experiment, Net, Resolver, Task, TtlNet, TtlProber
from probe.experiments.operations import DnsQuery
from probe.experiments.option import ADDRESS, NAME, lasting, whole
from probe.experiments.step_log import StepLog
from probe.model import ENCRYPTED, Dns, Http, Ping, Role, Step, Steps, Tcp, Tls
from probe.urls import ascii_host

HOPS = 24
TRIES = 3
POLL_SECONDS = 2.0
RAW = "raw"
_WAYS = 6  # flows in which the distance of the server is measured
_FARTHER = 8  # routers by which one way may be longer than another
_AFTERWARDS = (50, 51)  # flows in which the harmless name is sent again where silence was met
_MORE = 4  # further flows at a distance where one differed and the others did not
_AT_ONCE = 4  # distances to which the harmless name is sent at once

# Sends the name of a role with a TTL, in a flow; None: not limited, in any flow.
Probe = Callable[[Role, int | None, int | None], Awaitable[Sequence[Step | None]]]


async def measure(task: Task, net: Net) -> Steps:
    """Trace the path to one address of the target, by every layer that answers there."""
    log = StepLog()
    hop = UrlHop(task.url)
    configured = task.options.get("address")
    found: Sequence[str] = [configured] if isinstance(configured, str) else ()
    found = found or _surest(await resolve(task, net, log, hop, try_=1), log.steps)
    address = next((one for one in found if net.safe(one) and ":" not in one), None)
    if address is None or _harmless(task) is None or not isinstance(net, TtlNet):
        return log.steps
    async with net.ttl_prober([address], keep=bool(task.options.get("keep"))) as prober:
        if prober.raw is not None:
            log.add(Ping(what=RAW, detail=prober.raw, failure=None), role=Role.NEUTRAL)
        for router in await prober.routers(address, _number(task, "max_hops", HOPS), 2):
            log.add(router, role=Role.NEUTRAL)
        trace = _Trace(task, net, log)
        for layer, probe in _layers(task, net, prober, hop, address):
            if layer == "dns":
                await trace.run_queries(probe)
            else:
                port = hop.tls_port if layer == "tls" else _plain_port(hop)
                await trace.run(layer, probe, partial(prober.syn, address, port))
    return log.steps


def _surest(found: Sequence[str], steps: Sequence[Step]) -> Sequence[str]:
    """Those that an encrypted resolver gave; a forged answer would lead to its own page instead."""
    asked = (s for s in steps if isinstance(s, Dns) and s.transport in ENCRYPTED)
    sure = {address for step in asked for address in step.addresses}
    return [one for one in found if one in sure] or found


def _harmless(task: Task) -> str | None:
    """The name to compare with; None where there is none but the target's own."""
    chosen = task.options.get("harmless") or task.harmless_name
    name = ascii_host(str(chosen)) if chosen else None
    return name if name != UrlHop(task.url).host else None


def _plain_port(hop: UrlHop) -> int:
    """The port of the plain http request."""
    return 80 if hop.secure else hop.port


def _layers(
    task: Task, net: Net, prober: TtlProber, hop: UrlHop, address: str
) -> Sequence[tuple[Layer, Probe]]:
    """The layers that can be traced here, each with its probe."""
    if is_address(hop.host):
        return ()
    names = {Role.TARGET: hop.host, Role.HARMLESS: _harmless(task) or ""}

    async def hello(role: Role, ttl: int | None, flow: int | None) -> Sequence[Step | None]:
        return await prober.hello(address, hop.tls_port, names[role], ttl, flow)

    async def request(role: Role, ttl: int | None, flow: int | None) -> Sequence[Step | None]:
        url = f"http://{names[role]}/" if hop.secure else hop.url
        return await prober.request(url, address, names[role], ttl, flow)

    async def query(
        resolver: Resolver, role: Role, ttl: int | None, flow: int | None
    ) -> Sequence[Step | None]:
        if ttl is None:
            return (await net.dns(DnsQuery(names[role], resolver)),)
        return (await prober.query(names[role], resolver, ttl, flow),)

    layers: list[tuple[Layer, Probe]] = [("tls", hello), ("http", request)]
    public = [one for one in net.resolvers if one.transport == "udp" and one.label != "system"]
    outside = [one for one in public if net.safe(one.address) and ":" not in one.address]
    if outside:
        layers.append(("dns", partial(query, outside[0])))
    return layers


class _Trace:
    """One TTL after the other; at each, both names in the same flows."""

    def __init__(self, task: Task, net: Net, log: StepLog) -> None:
        self._net, self._log = net, log
        self._hops = _number(task, "max_hops", HOPS)
        self._tries = max(_number(task, "tries", TRIES), trace_analysis.ENOUGH)
        self._residual = _number(task, "residual", 0)

    async def run(
        self, layer: Layer, probe: Probe, syn: Callable[[int, int], Awaitable[Tcp]]
    ) -> None:
        """Compare the names at each distance, unless the harmless one fails over the whole path."""
        if not await self._is_answered(probe):
            return
        await self._measure_ways(syn)
        for begin in range(1, self._hops + 1, _AT_ONCE):
            ttls = range(begin, min(begin + _AT_ONCE, self._hops + 1))
            await self._send(probe, Role.HARMLESS, self._first_flows(ttls))
            end = self._last_distance(layer)
            for ttl in ttls:
                if ttl > end or not await self._compare(layer, probe, ttl):
                    return

    async def run_queries(self, probe: Probe) -> None:
        """The same for queries: no address is blocked for one, so many are sent at once."""
        if not await self._is_answered(probe):
            return
        sent: list[tuple[int, int]] = []
        for begin in range(1, self._hops + 1, _AT_ONCE):
            now = self._first_flows(range(begin, min(begin + _AT_ONCE, self._hops + 1)))
            await self._send(probe, Role.HARMLESS, now)
            sent += now
            if trace_hops.server_at(self._log.steps, "dns") is not None:
                break
        end = trace_hops.server_at(self._log.steps, "dns") or self._hops
        await self._send(probe, Role.TARGET, [one for one in sent if one[0] <= end])

    def _last_distance(self, layer: Layer) -> int:
        """The nearest distance at which the harmless name is answered.

        SYNs may have come by a shorter way than every packet with a name: up to their distance
        nothing would show what the server does with the target's name.
        """
        answered = trace_hops.answered_at(self._log.steps, layer)
        if answered is not None:
            return answered
        server = trace_hops.server_at(self._log.steps, layer)
        return self._hops if server is None else min(server + _FARTHER, self._hops)

    async def _measure_ways(self, syn: Callable[[int, int], Awaitable[Tcp]]) -> None:
        """SYNs in several flows: the nearest distance of the server, and how much farther it is."""

        async def answered(ttl: int) -> list[bool]:
            sent = await self._net.together([syn(ttl, -flow) for flow in range(1, _WAYS + 1)])
            for flow, step in enumerate(sent, 1):
                self._log.add(step, role=Role.NEUTRAL, try_=flow)
            return [step.failure is None for step in sent]

        low, high = 0, self._hops + 1
        found: list[bool] = []
        while high - low > 1:
            middle = (low + high) // 2
            here = await answered(middle)
            low, high = (low, middle) if any(here) else (middle, high)
            found = here if any(here) else found
        for ttl in range(high + 1, high + _FARTHER):
            if not found or all(found):
                break
            found = await answered(ttl)

    async def _compare(self, layer: Layer, probe: Probe, ttl: int) -> bool:
        """The target's name in the flows of the harmless one; False: the address is blocked now."""
        flows = range(1, self._tries + 1)
        await self._send(probe, Role.TARGET, [(ttl, 1)])
        if not self._differs(layer, ttl):
            await self._send(probe, Role.TARGET, [(ttl, flow) for flow in flows[1:]])
            if not self._differs(layer, ttl):
                return True
            more = range(flows[-1] + 1, flows[-1] + 1 + _MORE)
            return await self._look_again(layer, probe, ttl, more)
        return await self._look_again(layer, probe, ttl, flows[1:])

    async def _look_again(self, layer: Layer, probe: Probe, ttl: int, flows: Iterable[int]) -> bool:
        """The target's name in these flows, the harmless one over the whole path before each."""
        punished = False
        for flow in flows:
            answered = await self._is_answered(probe)
            punished = punished or not answered
            if not answered and not await self._outlast(probe):
                return False
            if punished:
                await self._send(probe, Role.HARMLESS, [(ttl, _AFTERWARDS[0])])
            if flow > self._tries:
                if self._differs(layer, ttl) >= trace_analysis.ENOUGH:
                    break
                await self._send(probe, Role.HARMLESS, [(ttl, flow)])
            await self._send(probe, Role.TARGET, [(ttl, flow)])
        answered = await self._is_answered(probe)
        if not answered or punished:
            await self._outlast(probe)
            return False
        await self._send(probe, Role.HARMLESS, [(ttl, flow) for flow in _AFTERWARDS])
        return True

    def _differs(self, layer: Layer, ttl: int) -> int:
        return trace_analysis.differs(self._log.steps, layer, ttl)

    def _first_flows(self, ttls: Iterable[int]) -> list[tuple[int, int]]:
        return [(ttl, flow) for ttl in ttls for flow in range(1, self._tries + 1)]

    async def _send(
        self, probe: Probe, role: Role, ttls_and_flows: Sequence[tuple[int, int]]
    ) -> None:
        """Send a name with these TTLs, each in a flow of its own that both names share."""
        asked = [probe(role, ttl, 100 * ttl + flow) for ttl, flow in ttls_and_flows]
        answers = await self._net.together(asked)
        for (_, flow), steps in zip(ttls_and_flows, answers, strict=True):
            self._log.chain(steps, role=role, try_=flow)

    async def _is_answered(self, probe: Probe, *, tries: int = 2) -> bool:
        """The harmless name is answered over the whole path, as a name that is none is not."""
        for try_ in range(1, tries + 1):
            steps = await probe(Role.HARMLESS, None, None)
            last = self._log.chain(steps, role=Role.HARMLESS, try_=try_)[-1]
            if isinstance(last, Dns) and last.addresses:
                return True
            came = isinstance(last, Tls | Http) and trace_hops.result_of(last)
            if came is HopResult.ANSWERED:
                return True
        return False

    async def _outlast(self, probe: Probe) -> bool:
        """Offer the harmless name until it is answered, for the option's `residual` seconds."""
        waited = 0.0
        while waited < self._residual:
            await self._net.pause(POLL_SECONDS)
            if await self._is_answered(probe, tries=1):
                return True
            steps = self._log.steps
            offers = (s.at for s in steps if s.role is Role.TARGET and not isinstance(s, Dns))
            waited = steps[-1].at - max(offers, default=0.0)
        return False


def _number(task: Task, name: str, default: int) -> int:
    value = task.options.get(name, default)
    return int(value) if isinstance(value, int | float) else default


EXPERIMENT = Experiment(
    "trace",
    1,
    measure,
    exclusive=True,
    takes={
        "address": ADDRESS,
        "harmless": NAME,
        "max_hops": whole(1, 64),
        "tries": whole(2, 10),
        "residual": lasting(900),
    },
)
