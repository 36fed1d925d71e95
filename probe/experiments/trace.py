"""Ask step by step farther along the way, and see from where on a name is treated otherwise.

On connections that were opened as usual, a ClientHello (and a plain request) is sent that crosses
one router, then two, and so on; the same over UDP with a DNS question. A harmless name goes first,
over the whole way, and is the measure. The target's name follows from the nearest distance on, so
that a box that punishes an address is met only when everything before it is known; after each
distance at which something happened, the harmless name is asked again. Where it fails then, the
steps end there, and, only if somebody asked for it, it is asked until it works.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from probe.analysis import trace_analysis
from probe.compare import is_address
from probe.experiments.browse import Site, resolve
from probe.experiments.interface import Experiment, Net, Resolver, Task, TtlNet, TtlProber
from probe.experiments.option import ADDRESS, TEXT, lasting, whole
from probe.experiments.step_log import StepLog
from probe.model import Dns, Http, Ping, Role, Step, Steps, Tls

HOPS = 24
TRIES = 3
POLL_SECONDS = 2.0
_AT_ONCE = 4
RAW = "raw"

Ask = Callable[[Role, int | None], Awaitable[Sequence[Step | None]]]


async def measure(task: Task, net: Net) -> Steps:
    """Trace the way to one address of the target, by every layer that answers there."""
    trail = StepLog()
    site = Site(task.url, 0)
    address = await _address(task, net, trail, site)
    if address is None or not task.harmless or not isinstance(net, TtlNet):
        return trail.steps
    async with net.ttl_prober([address], keep=bool(task.options.get("keep"))) as stepper:
        if stepper.raw is not None:
            trail.add(Ping(what=RAW, detail=stepper.raw, failure=None), role=Role.NEUTRAL)
        for router in await stepper.routers(address, _number(task, "max_hops", HOPS), 2):
            trail.add(router, role=Role.NEUTRAL)
        walk = _Walk(task, net, trail)
        for ask in _layers(task, net, stepper, site, address):
            await walk.take(ask)
    return trail.steps


async def _address(task: Task, net: Net, trail: StepLog, site: Site) -> str | None:
    """The first IPv4 address that may be dialled: the one the options name, or as resolved."""
    aimed = task.options.get("address")
    found = [aimed] if isinstance(aimed, str) else await resolve(task, net, trail, site, try_=1)
    return next((one for one in found if net.safe(one) and ":" not in one), None)


def _layers(
    task: Task, net: Net, stepper: TtlProber, site: Site, address: str
) -> Sequence[tuple[trace_analysis.Layer, Ask]]:
    """What can be asked here, each as a function of the name and the distance."""
    harmless = str(task.options.get("harmless") or task.harmless[task.seed % len(task.harmless)])
    if is_address(site.host):
        return ()
    names = {Role.TARGET: site.host, Role.HARMLESS: harmless}
    port = site.port if site.secure else 443

    async def hello(role: Role, ttl: int | None) -> Sequence[Step | None]:
        return await stepper.hello(address, port, names[role], ttl)

    async def request(role: Role, ttl: int | None) -> Sequence[Step | None]:
        url = f"http://{names[role]}/" if site.secure else site.url
        return await stepper.request(url, address, names[role], ttl)

    async def query(resolver: Resolver, role: Role, ttl: int | None) -> Sequence[Step | None]:
        return (await stepper.query(names[role], resolver, ttl or 64),)

    layers: list[tuple[trace_analysis.Layer, Ask]] = [("tls", hello), ("http", request)]
    public = [one for one in net.resolvers if one.transport == "udp" and one.label != "system"]
    outside = [one for one in public if net.safe(one.address) and ":" not in one.address]
    if outside:
        layers.append(("dns", partial(query, outside[0])))
    return layers


class _Walk:
    """One name after the other, one distance after the other."""

    def __init__(self, task: Task, net: Net, trail: StepLog) -> None:
        self._net, self._trail = net, trail
        self._hops = _number(task, "max_hops", HOPS)
        self._tries = max(_number(task, "tries", TRIES), trace_analysis.ENOUGH)
        self._patience = _number(task, "residual", 0)

    async def take(self, layer: tuple[trace_analysis.Layer, Ask]) -> None:
        """The harmless name over the whole way, then the target's; nothing where neither works."""
        kind, ask = layer
        if not await self._works(kind, ask):
            return
        server: int | None = None
        for begin in range(1, self._hops + 1, _AT_ONCE):
            ttls = range(begin, min(begin + _AT_ONCE, self._hops + 1))
            await self._look(ask, Role.HARMLESS, [(ttl, 1) for ttl in ttls])
            server = trace_analysis.server_at(self._trail.steps, kind)
            if server is not None:
                break
        end = server or self._hops
        if kind == "dns":
            await self._at_once(ask, end)
        else:
            await self._farther(kind, ask, end)

    async def _at_once(self, ask: Ask, end: int) -> None:
        """Nobody punishes for a question: all distances together."""
        looks = [(ttl, try_) for try_ in range(1, self._tries + 1) for ttl in range(1, end + 1)]
        await self._look(ask, Role.TARGET, looks)

    async def _farther(self, kind: trace_analysis.Layer, ask: Ask, end: int) -> None:
        """The target's name, nearest first, up to the server or to where one is punished."""
        for ttl in range(1, end + 1):
            await self._look(ask, Role.TARGET, [(ttl, 1)])
            rest = [(ttl, try_) for try_ in range(2, self._tries + 1)]
            if not trace_analysis.differs(self._trail.steps, kind, ttl):
                await self._look(ask, Role.TARGET, rest)
                continue
            punished = False
            for look in rest:
                works = await self._works(kind, ask)
                punished = punished or not works
                if not works and not await self._outlast(kind, ask):
                    return
                await self._look(ask, Role.TARGET, [look])
            works = await self._works(kind, ask)
            if not works or punished:
                await self._outlast(kind, ask)
                return

    async def _look(self, ask: Ask, role: Role, looks: Sequence[tuple[int | None, int]]) -> None:
        answers = await self._net.together([ask(role, ttl) for ttl, _ in looks])
        for (_, try_), steps in zip(looks, answers, strict=True):
            self._trail.chain(steps, role=role, try_=try_)

    async def _works(self, kind: trace_analysis.Layer, ask: Ask, *, tries: int = 2) -> bool:
        """The harmless name is answered over the whole way."""
        if kind == "dns":
            return True  # asked with as much as any packet needs, among the others
        for try_ in range(1, tries + 1):
            steps = await ask(Role.HARMLESS, None)
            last = self._trail.chain(steps, role=Role.HARMLESS, try_=try_)[-1]
            if (
                isinstance(last, Tls | Http)
                and trace_analysis.result_of(last) is trace_analysis.HopResult.ANSWERED
            ):
                return True
        return False

    async def _outlast(self, kind: trace_analysis.Layer, ask: Ask) -> bool:
        """Ask with the harmless name until it works again, or patience ends."""
        waited = 0.0
        while waited < self._patience:
            await self._net.pause(POLL_SECONDS)
            if await self._works(kind, ask, tries=1):
                return True
            waited = self._trail.steps[-1].at - self._last_offered()
        return False

    def _last_offered(self) -> float:
        return max(
            (s.at for s in self._trail.steps if s.role is Role.TARGET and not isinstance(s, Dns)),
            default=0.0,
        )


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
