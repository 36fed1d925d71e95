"""What the packets of a trace met: by name, distance and flow.

Pure, from steps whose packets had a limited TTL. A packet with time to live `n` reaches the n-th
router and no farther. Both names are sent in the same flows, so that their packets go one way;
`try` numbers the flows of one distance.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum, unique
from typing import Literal, TypeAlias

from msgspec import Struct

from probe.failure import Failure
from probe.model import Dns, Http, Ping, Role, Step, Tcp, Tls

Layer: TypeAlias = Literal["tls", "http", "dns"]
LayerStep: TypeAlias = Tls | Http | Dns
LAYERS: dict[Layer, type[LayerStep]] = {"tls": Tls, "http": Http, "dns": Dns}
ROUTER = "router"
_PUNCTUAL = 0.2  # seconds by which a timeout may come late


@unique
class HopResult(StrEnum):
    """What one limited packet met."""

    ANSWERED = "answered"
    RESET = "reset"
    CLOSED = "closed"
    EXPIRED = "expired"
    SILENT = "silent"


class Hop(Struct, frozen=True):
    """One distance: the result of each name there, by majority; None: not tried."""

    ttl: int
    target: HopResult | None
    harmless: HopResult | None


class NamePair(Struct, frozen=True):
    """The packets of both names with one TTL and in one flow, the harmless name's first."""

    ttl: int
    target: LayerStep
    harmless: LayerStep

    @property
    def result(self) -> HopResult:
        """What the target's name met."""
        return result_of(self.target)

    @property
    def odd(self) -> bool:
        """The same, but for a silence whose timeout came late."""
        return self.unlike and not (self.result is HopResult.SILENT and _overdue(self.target))

    @property
    def unlike(self) -> bool:
        """The target's name met what the harmless one did not."""
        other = result_of(self.harmless)
        match self.result, other:
            case (HopResult.RESET | HopResult.CLOSED, _):
                return other is not self.result
            case (HopResult.SILENT, HopResult.EXPIRED | HopResult.ANSWERED):
                return True
            case (HopResult.ANSWERED, HopResult.EXPIRED | HopResult.SILENT):
                return True
            case (HopResult.ANSWERED, HopResult.ANSWERED):
                return _answers_differ(self.target, self.harmless)
        return False

    @property
    def alike(self) -> bool:
        """Both names met the same, and it was not silence."""
        same = self.result is result_of(self.harmless) and not self.odd
        return same and self.result is not HopResult.SILENT


def result_of(step: LayerStep) -> HopResult:
    """The result of one step; an answer outweighs a failure that came with it."""
    if step.replies if isinstance(step, Dns) else step.bytes_in:
        return HopResult.ANSWERED
    match step.failure:
        case Failure.RESET | Failure.REFUSED | Failure.ABORTED:
            return HopResult.RESET
        case Failure.EOF:
            return HopResult.CLOSED
    if step.travel is not None and step.travel.expired:
        return HopResult.EXPIRED
    return HopResult.SILENT


def limited_steps(steps: Iterable[Step], layer: Layer, role: Role) -> dict[int, list[LayerStep]]:
    """Every step of one layer and role that had a limited TTL, by its TTL."""
    found: dict[int, list[LayerStep]] = {}
    for step in steps:
        if isinstance(step, Tls | Http | Dns) and isinstance(step, LAYERS[layer]):
            ttl = step.travel.ttl if step.travel is not None else None
            if step.role is role and ttl is not None:
                found.setdefault(ttl, []).append(step)
    return dict(sorted(found.items()))


def hops(steps: Sequence[Step], layer: Layer) -> tuple[Hop, ...]:
    """The results of both names at each distance, nearest first."""
    target = limited_steps(steps, layer, Role.TARGET)
    harmless = limited_steps(steps, layer, Role.HARMLESS)
    return tuple(
        Hop(ttl, _mostly(target.get(ttl, ())), _mostly(harmless.get(ttl, ())))
        for ttl in sorted({*target, *harmless})
    )


def pairs(steps: Sequence[Step], layer: Layer) -> dict[int, list[NamePair]]:
    """The comparisons in one flow at each distance, nearest first."""
    harmless = limited_steps(steps, layer, Role.HARMLESS)
    found: dict[int, list[NamePair]] = {}
    for ttl, offers in limited_steps(steps, layer, Role.TARGET).items():
        by_flow = {step.try_: step for step in harmless.get(ttl, ())}
        both = [(one, by_flow[one.try_]) for one in offers if one.try_ in by_flow]
        found[ttl] = [NamePair(ttl, mine, other) for mine, other in both]
    return found


def _overdue(step: Step) -> bool:
    """Its timeout came late: this machine was too busy to notice an answer in time."""
    return bool(step.limit) and step.elapsed > step.limit + _PUNCTUAL


def _mostly(found: Sequence[LayerStep]) -> HopResult | None:
    """The most frequent result; of equally frequent ones the most specific."""
    counts = Counter(map(result_of, found))
    order = list(HopResult)
    return max(counts, key=lambda one: (counts[one], -order.index(one)), default=None)


def _answers_differ(target: LayerStep, harmless: LayerStep) -> bool:
    """The harmless name shakes hands, and the target's does not or gets a forged chain."""
    if not isinstance(target, Tls) or not isinstance(harmless, Tls) or harmless.failure is not None:
        return False
    return (target.failure is not None and target.alert_by != "us") or _forged(target)


def _forged(step: Tls) -> bool:
    known = step.trust.authority if step.trust is not None else None
    return known is not None and known.kind == "interception"


# --- the server ---------------------------------------------------------------------------------


def server_at(steps: Sequence[Step], layer: Layer) -> int | None:
    """The nearest distance at which a harmless packet is answered in any flow; None: nowhere."""
    named = answered_at(steps, layer)
    found = _syn_distances(steps, layer)
    return min(found if named is None else [named, *found], default=None)


def answered_at(steps: Sequence[Step], layer: Layer) -> int | None:
    """The nearest distance at which the harmless name itself is answered, without SYNs."""
    named = limited_steps(steps, layer, Role.HARMLESS).items()
    found = (ttl for ttl, seen in named if HopResult.ANSWERED in map(result_of, seen))
    return min(found, default=None)


def spread(steps: Sequence[Step], layer: Layer) -> int:
    """By how many routers the ways to the server differ, as far as flows were measured."""
    found, server = _syn_distances(steps, layer), server_at(steps, layer)
    named = limited_steps(steps, layer, Role.HARMLESS).items()
    found += [ttl + 1 for ttl, seen in named if HopResult.EXPIRED in map(result_of, seen)]
    return max(0, max(found) - server) if found and server is not None else 0


def taken_over(steps: Sequence[Step], layer: Layer) -> bool:
    """Routers on the way answer from farther than the server in any flow.

    A proxy answers in its place, or the TTL of TCP is rewritten on the way: then the TTL of a
    packet does not say how far it went. Where packets of another flow expire as far away, the ways
    differ in length. Queries are left out: the routers are not on their way.
    """
    named = limited_steps(steps, layer, Role.HARMLESS).items()
    far = [ttl for ttl, seen in named if HopResult.EXPIRED in map(result_of, seen)]
    known = [server_at(steps, layer), *_syn_distances(steps, layer)]
    known += [max(far) + 1] if far else []
    answered = [ttl for ttl in known if ttl is not None]
    found = (step.travel.ttl for step in routers(steps) if step.travel and step.failure is None)
    beyond = max((ttl for ttl in found if ttl), default=0)
    return bool(answered) and layer != "dns" and beyond > max(answered)


def _syn_distances(steps: Sequence[Step], layer: Layer) -> list[int]:
    """The distance of the server in each flow in which a SYN was answered."""
    ports = {s.port for s in steps if isinstance(s, LAYERS[layer]) and isinstance(s, Tls | Http)}
    nearest: dict[int, int] = {}
    for step in steps:
        if isinstance(step, Tcp) and step.role is Role.NEUTRAL and step.port in ports:
            ttl = step.travel.ttl if step.travel is not None else None
            if ttl is not None and step.failure is None:
                nearest[step.try_] = min(ttl, nearest.get(step.try_, ttl))
    return list(nearest.values())


def routers(steps: Iterable[Step]) -> tuple[Ping, ...]:
    """The pings to routers on the path, nearest first."""
    found = (step for step in steps if isinstance(step, Ping) and step.what == ROUTER)
    return tuple(sorted(found, key=lambda step: (step.travel.ttl or 0) if step.travel else 0))
