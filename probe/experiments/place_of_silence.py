"""Find who stops the packets to a site: the network on the way, or the server's own.

A follow-up of a confirmation, for a few targets a run. SYNs with a limited TTL find the nearest
distance at which the server answers. Two routers nearer, the target's name and a harmless one are
offered in the same flows, or, where nothing connects, SYNs are compared with datagrams to the same
address. Where datagrams end as early as SYNs do, both are compared with datagrams to addresses
beside it, which take the same way and expire before they arrive.
`probe/analysis/silence_place.py` reads the steps.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice

from msgspec import Struct, field

from probe.analysis import silence_place
from probe.analysis.silence_place import BEYOND, FLOWS, LEAST_HOP, MARGIN, Kind
from probe.analysis.trace_hops import HopResult
from probe.compare import host_of, is_address, port_of
from probe.experiments.browse import UrlHop
from probe.experiments.interface import FlowNet, FlowProber, Net, Reference, Task
from probe.experiments.step_log import StepLog
from probe.model import Http, Ping, Role, Step, Tcp, Tls

_EXPIRED = HopResult.EXPIRED
_FARTHEST = 32
_HOPS = 24
_SILENT_ROUTERS = 2  # after so many, no hello is sent
_NEARER = 4  # distances that are tried, where ways differ in length
_NARROWING = 2  # flows at each distance, once it is known that the network does it

# Sends one packet in this flow with this TTL; None: not sent.
Probe = Callable[[int, int], Awaitable[Step | None]]


async def find_place(task: Task, net: Net, log: StepLog, hop: UrlHop, address: str) -> None:
    """Send the limited packets for one address, where its failures call for them."""
    here = [
        s
        for s in log.steps
        if isinstance(s, Tcp | Tls | Http) and s.address == address and s.hop == hop.number
    ]
    kind = silence_place.wanted(here, task.controls) if ":" not in address else None
    if kind is None or not isinstance(net, FlowNet):
        return
    if not _comparable(task, hop, address, kind):
        return
    prober = net.flow_prober()
    if prober is not None:
        await _Search(task, net, log, hop, address, prober).run(kind)


def _comparable(task: Task, hop: UrlHop, address: str, kind: Kind) -> bool:
    """Whether there is a harmless name, or a reference site, to compare with."""
    if kind == "address":
        return _reference(task, address) is not None
    return task.harmless_name is not None and not is_address(hop.host)


class _Search(Struct, frozen=True):
    """The limited packets to one address."""

    _task: Task
    _net: Net
    _log: StepLog
    _hop: UrlHop
    _address: str
    _prober: FlowProber
    # A middlebox may go on to stop a flow in which it stopped a packet, so later ones are fresh.
    _unused: Iterator[int] = field(default_factory=lambda: count(FLOWS))

    async def run(self, kind: Kind) -> None:
        await (self._name() if kind == "name" else self._connection())

    async def _name(self) -> None:
        """Offer both names before the nearest distance at which the server answers."""
        address, port = self._address, self._hop.port
        server = await self._nearest(Role.TARGET, address, port)
        own = partial(self._hello, self._hop.host)
        other = partial(self._hello, self._task.harmless_name or "")
        if server is None or server - MARGIN < LEAST_HOP:
            return
        ttl = await self._where_harmless_expire(other, server)
        if ttl is None:
            return
        if _EXPIRED in await self._meet(own, Role.TARGET, ttl):
            await self._beyond(Role.TARGET, address, port, server)
            return
        if await self._expire(other, Role.HARMLESS, ttl, fresh=FLOWS):
            await self._narrow(own, other, Role.HARMLESS, ttl)
            await self._name_routers(ttl)

    async def _where_harmless_expire(self, other: Probe, server: int) -> int | None:
        """The distance before the server at which hellos with the harmless name expire.

        None where a second router is silent too. A way may be shorter than any that a SYN took.
        """
        ttl, silent = server - MARGIN, 0
        while ttl >= LEAST_HOP and silent < _SILENT_ROUTERS:
            results = set(await self._meet(other, Role.HARMLESS, ttl))
            if results == {_EXPIRED}:
                return ttl
            shorter = HopResult.ANSWERED in results
            silent += not shorter
            ttl -= MARGIN if shorter else 1
        return None

    async def _connection(self) -> None:
        """Compare SYNs with datagrams, after a SYN's way to a reference site was measured."""
        reference = _reference(self._task, self._address)
        if reference is None or reference.address is None:
            return
        port = port_of(reference.url) or 443
        known = await self._nearest(Role.REFERENCE, reference.address, port)
        if known is None:
            return
        known = await self._nearer(Role.REFERENCE, reference.address, port, known)
        await self._beyond(Role.REFERENCE, reference.address, port, known)
        routers = await self._prober.routers(self._address, _HOPS)
        added = [self._log.add(one, hop=self._hop.number) for one in routers]
        near, arrived = silence_place.distance(added)
        if not arrived:
            # The last router may have reported, and the report was lost.
            await self._send(self._datagram, Role.TARGET, [near] * _NARROWING)
            near, arrived = silence_place.distance(self._datagrams())
        stopped = await self._compare_kinds(near - MARGIN, known)
        if not stopped and not arrived and near < known:
            await self._compare_beside(near)

    async def _compare_kinds(self, far: int, known: int) -> bool:
        """Compare SYNs with datagrams at this distance; whether SYNs are stopped before it.

        A shorter way may end before it, as some flows show, or a datagram that arrives: then nearer
        distances are tried, but not much nearer than a reference site is (`known`).
        """
        own, other, ttl, least = self._syn, self._datagram, far, far
        for _ in range(_NEARER):
            near = silence_place.distance(self._datagrams())[0]
            least = max(min(least, near - MARGIN, known - MARGIN), LEAST_HOP)
            if ttl < least:
                break
            results = await self._meet(own, Role.TARGET, ttl)
            if _EXPIRED not in results:
                alike = await self._expire(other, Role.TARGET, ttl)
                results = await self._send(own, Role.TARGET, [ttl] * FLOWS, fresh=True)
                if alike and _EXPIRED not in results:
                    await self._narrow(own, other, Role.TARGET, ttl)
                    return True
            if results.count(_EXPIRED) >= silence_place.MOST and HopResult.RESET not in results:
                break
            if _EXPIRED in results:
                least = far - MARGIN  # some ways are shorter
            ttl = min(ttl - 1, silence_place.distance(self._datagrams())[0] - MARGIN)
        return False

    def _datagrams(self) -> list[Ping]:
        """Those to the address so far."""
        return [s for s in self._log.steps if isinstance(s, Ping) and s.role is Role.TARGET]

    async def _compare_beside(self, near: int) -> None:
        """Compare all packets, which end before this distance, with those to addresses beside it.

        The comparison is made as much farther on as the surroundings of a server are wide.
        """
        safe = [one for one in silence_place.beside(self._address) if self._net.safe(one)]
        if near < LEAST_HOP or len(safe) < FLOWS:
            return

        async def other(ttl: int, flow: int) -> Step | None:
            return await self._prober.datagram(safe[flow % len(safe)], ttl, flow)

        far = near + MARGIN
        if not await self._expire(other, Role.HARMLESS, far):
            return
        for own in (self._datagram, self._syn):
            if _EXPIRED in await self._send(own, Role.TARGET, [far] * FLOWS):
                return
        if await self._expire(other, Role.HARMLESS, far, fresh=FLOWS):
            await self._expire(other, Role.HARMLESS, near, fresh=_NARROWING)
            await self._send(self._datagram, Role.TARGET, [near] * _NARROWING, fresh=True)
            for router in await self._prober.routers(safe[0], far):
                self._log.add(router, role=Role.HARMLESS, hop=self._hop.number)

    # --- packets ---------------------------------------------------------------------------------

    async def _hello(self, name: str, ttl: int, flow: int) -> Step | None:
        return await self._prober.hello(self._address, self._hop.port, name, ttl, flow)

    async def _syn(self, ttl: int, flow: int) -> Step | None:
        return await self._prober.syn(self._address, self._hop.port, ttl, flow)

    async def _datagram(self, ttl: int, flow: int) -> Step | None:
        return await self._prober.datagram(self._address, ttl, flow)

    async def _send(
        self, probe: Probe, role: Role, ttls: Sequence[int], *, fresh: bool = False
    ) -> list[HopResult]:
        """One packet for each TTL, each in a flow of its own; what they met."""
        flows = self._fresh(len(ttls)) if fresh else range(len(ttls))
        met = await self._send_in(probe, role, list(zip(ttls, flows, strict=True)))
        return list(met.values())

    def _fresh(self, number: int) -> Sequence[int]:
        """So many flows that were not used yet."""
        return list(islice(self._unused, number))

    async def _send_in(
        self, probe: Probe, role: Role, packets: Sequence[tuple[int, int]]
    ) -> dict[int, HopResult]:
        """Send packets, each a TTL and a flow; what those that were sent met, by flow."""
        sent = await self._net.together([probe(ttl, flow) for ttl, flow in packets])
        added = {
            flow: self._log.add(step, role=role, hop=self._hop.number, try_=flow + 1)
            for (_, flow), step in zip(packets, sent, strict=True)
            if step is not None
        }
        return {flow: silence_place.met(step) for flow, step in added.items()}

    async def _expire(self, probe: Probe, role: Role, ttl: int, *, fresh: int = 0) -> bool:
        """Whether the packet of each flow expires at this distance."""
        return set(await self._meet(probe, role, ttl, fresh=fresh)) == {_EXPIRED}

    async def _meet(
        self, probe: Probe, role: Role, ttl: int, *, fresh: int = 0
    ) -> Sequence[HopResult]:
        """What the packet of each flow meets at this distance; a lost one is sent again.

        `fresh`: in so many new flows, instead of the first ones.
        """
        flows = self._fresh(fresh) if fresh else range(FLOWS)
        met = await self._send_in(probe, role, [(ttl, flow) for flow in flows])
        lost = [flow for flow, result in met.items() if result is HopResult.SILENT]
        if 0 < len(lost) < len(met):
            met |= await self._send_in(probe, role, [(ttl, flow) for flow in lost])
        return list(met.values())

    async def _nearest(self, role: Role, address: str, port: int) -> int | None:
        """The nearest distance at which the server answers a SYN in any flow, by bisection."""

        async def syn(ttl: int, flow: int) -> Step | None:
            return await self._prober.syn(address, port, ttl, flow)

        low, high = 0, _FARTHEST
        while high - low > 1:
            middle = (low + high) // 2
            results = await self._send(syn, role, [middle] * FLOWS)
            if HopResult.ANSWERED in results:
                high = middle
            else:
                low = middle
        return high if high < _FARTHEST else None

    async def _nearer(self, role: Role, address: str, port: int, known: int) -> int:
        """The same by other flows: the first ones may all take the longer of two ways."""

        async def syn(ttl: int, flow: int) -> Step | None:
            return await self._prober.syn(address, port, ttl, flow)

        while known > LEAST_HOP:
            packets = [(known - 1, flow) for flow in range(FLOWS, 2 * FLOWS)]
            met = await self._send_in(syn, role, packets)
            if HopResult.ANSWERED not in met.values():
                break
            known -= 1
        return known

    async def _beyond(self, role: Role, address: str, port: int, server: int) -> None:
        """Datagrams that would expire behind the server, were the TTL of SYNs not rewritten.

        Or their way is longer than that of all SYNs so far; so more SYNs are sent then.
        """

        async def datagram(ttl: int, flow: int) -> Step | None:
            return await self._prober.datagram(address, ttl, flow)

        async def syn(ttl: int, flow: int) -> Step | None:
            return await self._prober.syn(address, port, ttl, flow)

        met = await self._send(datagram, role, [server + BEYOND] * FLOWS)
        if met.count(HopResult.EXPIRED) >= silence_place.MOST:
            await self._send(syn, role, [server] * 2 * FLOWS, fresh=True)

    async def _narrow(self, own: Probe, other: Probe, role: Role, high: int) -> None:
        """Find the first distance at which the packets are stopped, by bisection."""
        low = 0
        while high - low > 1:
            middle = (low + high) // 2
            if _EXPIRED in await self._send(own, Role.TARGET, [middle] * _NARROWING, fresh=True):
                low = middle
            else:
                high = middle
                await self._expire(other, role, middle, fresh=_NARROWING)

    async def _name_routers(self, hops: int) -> None:
        """The addresses of the routers on the way, but those near the user."""
        for router in await self._prober.routers(self._address, hops + 1):
            self._log.add(router, role=Role.NEUTRAL, hop=self._hop.number)


def _reference(task: Task, address: str) -> Reference | None:
    """A foreign reference site to compare with, the nearest in address."""
    own = host_of(task.url)
    foreign = [r for r in task.references if r.foreign and r.address and ":" not in r.address]
    other = [r for r in foreign if r.address != address and host_of(r.url) != own]
    return max(other, key=lambda r: _common(r.address or "", address), default=None)


def _common(one: str, other: str) -> int:
    """How many of the first numbers of two IPv4 addresses are equal."""
    pairs = enumerate(zip(one.split("."), other.split("."), strict=False))
    return next((index for index, (a, b) in pairs if a != b), 4)
