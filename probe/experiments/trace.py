"""Send packets with increasing TTL, and find the hop from which a name is treated differently.

On connections that were opened normally, a ClientHello (and a plain http request) is sent that
crosses one router, then two, and so on; the same over UDP with a DNS query. A harmless name goes
first, over the whole path, as the control. The target's name follows from the nearest hop on, so
that a middlebox that blocks an address after an offer is met only when every hop before it is
measured; after each hop that differed, the harmless name is offered again. Where that fails, the
steps end there; with the option `residual`, it is offered until it is answered again.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from probe.analysis import trace_analysis
from probe.compare import is_address
from probe.experiments.browse import UrlHop, resolve
from probe.experiments.interface import Experiment, Net, Resolver, Task, TtlNet, TtlProber
from probe.experiments.option import ADDRESS, TEXT, lasting, whole
from probe.experiments.step_log import StepLog
from probe.model import Dns, Http, Ping, Role, Step, Steps, Tls

HOPS = 24
TRIES = 3
POLL_SECONDS = 2.0
_AT_ONCE = 4
RAW = "raw"

# Sends the name of a role with a TTL; None: not limited.
Probe = Callable[[Role, int | None], Awaitable[Sequence[Step | None]]]


async def measure(task: Task, net: Net) -> Steps:
    """Trace the path to one address of the target, by every layer that answers there."""
    log = StepLog()
    hop = UrlHop(task.url)
    configured = task.options.get("address")
    found = [configured] if isinstance(configured, str) else None
    found = found or await resolve(task, net, log, hop, try_=1)
    address = next((one for one in found if net.safe(one) and ":" not in one), None)
    if address is None or not task.harmless or not isinstance(net, TtlNet):
        return log.steps
    async with net.ttl_prober([address], keep=bool(task.options.get("keep"))) as prober:
        if prober.raw is not None:
            log.add(Ping(what=RAW, detail=prober.raw, failure=None), role=Role.NEUTRAL)
        for router in await prober.routers(address, _number(task, "max_hops", HOPS), 2):
            log.add(router, role=Role.NEUTRAL)
        trace = _Trace(task, net, log)
        for layer, probe in _layers(task, net, prober, hop, address):
            await trace.run(layer, probe)
    return log.steps


def _layers(
    task: Task, net: Net, prober: TtlProber, hop: UrlHop, address: str
) -> Sequence[tuple[trace_analysis.Layer, Probe]]:
    """The layers that can be traced here, each with its probe."""
    if is_address(hop.host):
        return ()
    harmless = str(task.options.get("harmless") or task.harmless_name)
    names = {Role.TARGET: hop.host, Role.HARMLESS: harmless}

    async def hello(role: Role, ttl: int | None) -> Sequence[Step | None]:
        return await prober.hello(address, hop.tls_port, names[role], ttl)

    async def request(role: Role, ttl: int | None) -> Sequence[Step | None]:
        url = f"http://{names[role]}/" if hop.secure else hop.url
        return await prober.request(url, address, names[role], ttl)

    async def query(resolver: Resolver, role: Role, ttl: int | None) -> Sequence[Step | None]:
        return (await prober.query(names[role], resolver, ttl or 64),)

    layers: list[tuple[trace_analysis.Layer, Probe]] = [("tls", hello), ("http", request)]
    public = [one for one in net.resolvers if one.transport == "udp" and one.label != "system"]
    outside = [one for one in public if net.safe(one.address) and ":" not in one.address]
    if outside:
        layers.append(("dns", partial(query, outside[0])))
    return layers


class _Trace:
    """One name after the other, one TTL after the other."""

    def __init__(self, task: Task, net: Net, log: StepLog) -> None:
        self._net, self._log = net, log
        self._hops = _number(task, "max_hops", HOPS)
        self._tries = max(_number(task, "tries", TRIES), trace_analysis.ENOUGH)
        self._residual = _number(task, "residual", 0)

    async def run(self, layer: trace_analysis.Layer, probe: Probe) -> None:
        """The harmless name over the whole path, then the target's, unless the former fails."""
        if not await self._is_answered(layer, probe):
            return
        server: int | None = None
        for begin in range(1, self._hops + 1, _AT_ONCE):
            ttls = range(begin, min(begin + _AT_ONCE, self._hops + 1))
            await self._send(probe, Role.HARMLESS, [(ttl, 1) for ttl in ttls])
            server = trace_analysis.server_at(self._log.steps, layer)
            if server is not None:
                break
        end = server or self._hops
        if layer == "dns":
            # No address is blocked for a query: all TTLs concurrently.
            every = [(ttl, try_) for try_ in range(1, self._tries + 1) for ttl in range(1, end + 1)]
            await self._send(probe, Role.TARGET, every)
        else:
            await self._send_in_order(layer, probe, end)

    async def _send_in_order(self, layer: trace_analysis.Layer, probe: Probe, end: int) -> None:
        """The target's name, nearest hop first, up to the server or to where it is blocked."""
        for ttl in range(1, end + 1):
            await self._send(probe, Role.TARGET, [(ttl, 1)])
            rest = [(ttl, try_) for try_ in range(2, self._tries + 1)]
            if not trace_analysis.differs(self._log.steps, layer, ttl):
                await self._send(probe, Role.TARGET, rest)
                continue
            punished = False
            for again in rest:
                answered = await self._is_answered(layer, probe)
                punished = punished or not answered
                if not answered and not await self._outlast(layer, probe):
                    return
                await self._send(probe, Role.TARGET, [again])
            answered = await self._is_answered(layer, probe)
            if not answered or punished:
                await self._outlast(layer, probe)
                return

    async def _send(
        self, probe: Probe, role: Role, ttls_and_tries: Sequence[tuple[int | None, int]]
    ) -> None:
        answers = await self._net.together([probe(role, ttl) for ttl, _ in ttls_and_tries])
        for (_, try_), steps in zip(ttls_and_tries, answers, strict=True):
            self._log.chain(steps, role=role, try_=try_)

    async def _is_answered(
        self, layer: trace_analysis.Layer, probe: Probe, *, tries: int = 2
    ) -> bool:
        """The harmless name is answered over the whole path."""
        if layer == "dns":
            return True  # a query is sent with the TTL of any packet, among the others
        for try_ in range(1, tries + 1):
            steps = await probe(Role.HARMLESS, None)
            last = self._log.chain(steps, role=Role.HARMLESS, try_=try_)[-1]
            if (
                isinstance(last, Tls | Http)
                and trace_analysis.result_of(last) is trace_analysis.HopResult.ANSWERED
            ):
                return True
        return False

    async def _outlast(self, layer: trace_analysis.Layer, probe: Probe) -> bool:
        """Offer the harmless name until it is answered, for the option's `residual` seconds."""
        waited = 0.0
        while waited < self._residual:
            await self._net.pause(POLL_SECONDS)
            if await self._is_answered(layer, probe, tries=1):
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
        "harmless": TEXT,
        "max_hops": whole(1, 64),
        "tries": whole(2, 10),
        "residual": lasting(900),
    },
)
