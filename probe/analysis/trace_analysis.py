"""Locate the middlebox that acts upon a name, from steps whose packets had a limited TTL.

Rule: pure, from steps alone. A packet with time to live `n` reaches the n-th router and no farther.
The harmless name is the baseline: at each distance a router reports that its packet expired, or no
answer comes, or the server answers. If the target's packet meets something else at the same
distance, a middlebox acts upon it. The middlebox is before the n-th router and behind the last
router at which both names had the same result.

It is *in-path* if it stops the packets, and *on-path* if it lets them pass: then a router behind
it, or the server, answers too.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Literal, TypeAlias

from probe.failure import Failure
from probe.model import Dns, Http, Packet, Ping, Role, Step, Tcp, Tls

Layer: TypeAlias = Literal["tls", "http", "dns"]
LayerStep: TypeAlias = Tls | Http | Dns
LAYERS: dict[Layer, type[LayerStep]] = {"tls": Tls, "http": Http, "dns": Dns}
ROUTER = "router"
ENOUGH = 2


@unique
class HopResult(StrEnum):
    """What one limited packet met."""

    ANSWERED = "answered"
    RESET = "reset"
    CLOSED = "closed"
    EXPIRED = "expired"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Hop:
    """One distance: the result of each name there, by majority; None: not tried."""

    ttl: int
    target: HopResult | None
    harmless: HopResult | None


@dataclass(frozen=True, slots=True)
class TraceFinding:
    """A middlebox acts upon the target's name.

    Attributes:
        result: What the name's packets meet.
        after: The last router that both names reach alike; 0 when there is none.
        by: The first distance at which the name is acted upon: the middlebox is before this router.
        server: The distance at which the harmless name is answered, or None.
        position: `in` the path, `on` it, or None when unknown.
        trigger: `sent` when our packet alone triggers it, before it reaches the server; None when
            the server's answer may trigger it too.
        steps: The steps it rests on.
        injected, own: A packet forged in the server's name, and one that the server sent.
    """

    layer: Layer
    result: HopResult
    after: int
    by: int
    server: int | None
    position: Literal["in", "on"] | None
    trigger: Literal["sent"] | None
    steps: tuple[LayerStep, ...]
    injected: Packet | None = None
    own: Packet | None = None


@dataclass(frozen=True, slots=True)
class Residual:
    """For how long the harmless name failed too, after the target's had been offered.

    Attributes:
        least, most: Seconds; `most` is None when it had not ended at the last measurement.
    """

    least: float
    most: float | None


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


def locate(steps: Sequence[Step], layer: Layer) -> TraceFinding | None:
    """Find where the target's name is acted upon: at least twice there, and at all later hops."""
    rows = [hop for hop in hops(steps, layer) if hop.target is not None]
    server = server_at(steps, layer)
    target = limited_steps(steps, layer, Role.TARGET)
    first = _onset(rows, [hop for hop in rows if _odd(hop, steps, layer, server)])
    if first is None or first.target is None:
        return None
    same = sum(result_of(step) is first.target for step in target[first.ttl])
    if same < ENOUGH or 2 * same <= len(target[first.ttl]):
        return None
    later = [hop for hop in rows if hop.ttl >= first.ttl]
    seen = [step for hop in later for step in target[hop.ttl] if result_of(step) is first.target]
    # The server had no part in it: it is farther away, or a proxy answers in its place.
    never_arrived = server is None or first.ttl < server or taken_over(steps, layer)
    marks = (_server_mark(steps, step) for step in seen)
    own = next((mark for mark in marks if mark is not None), None)
    return TraceFinding(
        layer=layer,
        result=first.target,
        after=max((hop.ttl for hop in rows if _alike(hop, first)), default=0),
        by=first.ttl,
        server=server,
        position=_position(steps, layer, first, seen, server),
        trigger="sent" if never_arrived else None,
        steps=tuple(seen),
        injected=_injected(seen, own),
        own=own,
    )


def differs(steps: Sequence[Step], layer: Layer, ttl: int) -> bool:
    """Whether the names had different results at one distance so far."""
    found = [hop for hop in hops(steps, layer) if hop.ttl == ttl]
    return any(_odd(hop, steps, layer, server_at(steps, layer)) for hop in found)


def server_at(steps: Sequence[Step], layer: Layer) -> int | None:
    """The distance at which the harmless name is answered; None if it is answered nowhere."""
    rows = hops(steps, layer)
    return next((hop.ttl for hop in rows if hop.harmless is HopResult.ANSWERED), None)


def taken_over(steps: Sequence[Step], layer: Layer) -> bool:
    """A proxy answers: the answer comes from nearer than routers on the path to the server."""
    server = server_at(steps, layer)
    far = (step.travel.ttl for step in routers(steps) if step.travel and step.failure is None)
    return server is not None and layer != "dns" and max((t for t in far if t), default=0) > server


def residual(steps: Sequence[Step], layer: Layer) -> Residual | None:
    """How long the harmless name failed after the target's was last offered; None: not measured."""
    offered = [s for s in steps if isinstance(s, LAYERS[layer]) and s.role is Role.TARGET]
    if not offered:
        return None
    last = offered[-1]
    after = [s for s in steps if s.id > last.id and s.role is Role.HARMLESS]
    full = (s for s in after if s.travel is None or s.travel.ttl is None)  # TTL was not limited
    polls = [s for s in full if isinstance(s, Tcp | Tls | Http)]
    if not polls:
        return None
    ends = [s for s in polls if not isinstance(s, Tcp) or s.failure is not None]
    worked = next((s for s in ends if s.failure is None), None)
    failed = [s for s in ends if s.failure is not None and (worked is None or s.id < worked.id)]
    least = max((s.at - last.at for s in failed), default=0.0)
    return Residual(least, None if worked is None else worked.at + worked.elapsed - last.at)


def routers(steps: Iterable[Step]) -> tuple[Ping, ...]:
    """The pings to routers on the path, nearest first."""
    found = (step for step in steps if isinstance(step, Ping) and step.what == ROUTER)
    return tuple(sorted(found, key=lambda step: (step.travel.ttl or 0) if step.travel else 0))


# --- at one distance ---------------------------------------------------------------------------


def _mostly(found: Sequence[LayerStep]) -> HopResult | None:
    """The most frequent result; of equally frequent ones the most specific."""
    counts = Counter(map(result_of, found))
    order = list(HopResult)
    return max(counts, key=lambda one: (counts[one], -order.index(one)), default=None)


def _onset(rows: Sequence[Hop], odd: Sequence[Hop]) -> Hop | None:
    """The first distance with different results; for silence, with none alike behind it.

    A router that does not always report an expired packet must not be taken for a middlebox.
    """
    kept: Hop | None = None
    for hop in rows:
        alike = hop.target is not HopResult.SILENT and hop.target is hop.harmless
        if hop in odd:
            kept = kept or hop
        elif kept is not None and kept.target is HopResult.SILENT and alike:
            kept = None
    return kept


def _odd(hop: Hop, steps: Sequence[Step], layer: Layer, server: int | None) -> bool:
    """The target's result at this distance differs from the harmless name's."""
    match hop.target, hop.harmless:
        case (HopResult.RESET | HopResult.CLOSED, other):
            return other is not None and other is not hop.target
        case (HopResult.SILENT, HopResult.EXPIRED | HopResult.ANSWERED):
            return True
        case (HopResult.ANSWERED, HopResult.EXPIRED | HopResult.SILENT):
            return server is None or hop.ttl < server
        case (HopResult.ANSWERED, HopResult.ANSWERED) if layer == "tls":
            return _answers_differ(steps, hop.ttl)
    return False


def _answers_differ(steps: Sequence[Step], ttl: int) -> bool:
    """At one distance the harmless name shakes hands, and the target's never does or is forged."""
    target = [s for s in limited_steps(steps, "tls", Role.TARGET)[ttl] if isinstance(s, Tls)]
    harmless = [s for s in limited_steps(steps, "tls", Role.HARMLESS)[ttl] if isinstance(s, Tls)]
    if not any(step.failure is None for step in harmless):
        return False
    refused = all(step.failure is not None and step.alert_by != "us" for step in target)
    return refused or all(_forged(step) for step in target)


def _forged(step: Tls) -> bool:
    known = step.trust.authority if step.trust is not None else None
    return known is not None and known.kind == "interception"


def _alike(hop: Hop, first: Hop) -> bool:
    """The hop is before the first odd distance, and the same act would have been visible there."""
    if hop.ttl >= first.ttl or hop.harmless is None:
        return False
    return first.target is not HopResult.SILENT or hop.harmless is not HopResult.SILENT


# --- in-path or on-path ------------------------------------------------------------------------


def _position(
    steps: Sequence[Step],
    layer: Layer,
    first: Hop,
    seen: Sequence[LayerStep],
    server: int | None,
) -> Literal["in", "on"] | None:
    """Whether the target's packets pass the middlebox that acts upon them."""
    if first.target is HopResult.SILENT:
        return "in"
    if taken_over(steps, layer):
        return "in"
    if any(_went_on(steps, step) for step in seen):
        return "on"
    answering = {
        h.ttl
        for h in hops(steps, layer)
        if h.ttl > first.ttl and h.harmless in {HopResult.EXPIRED, HopResult.ANSWERED}
    }
    expected = [s for s in seen if s.travel is not None and s.travel.ttl in answering]
    watched = [s for s in expected if _was_watched(s, server)]
    return "in" if len(watched) >= ENOUGH else None


def _went_on(steps: Sequence[Step], step: LayerStep) -> bool:
    """Besides the injected packet, an answer came from a router farther on or from the server."""
    if isinstance(step, Dns) and len({(r.rcode, r.answers) for r in step.replies}) > 1:
        return True
    if step.travel is None:
        return False
    if step.travel.expired or any(p.by == ROUTER for p in step.travel.packets):
        return True
    mark = _server_mark(steps, step)
    return any(_is_own(packet, mark) for packet in step.travel.packets)


def _was_watched(step: LayerStep, server: int | None) -> bool:
    """If its packets had passed the middlebox, an answer to them would have been seen."""
    if step.travel is None or step.travel.ttl is None:
        return False
    if isinstance(step, Dns):  # a datagram socket receives both
        return step.travel.expired is not None
    return bool(step.travel.packets) and (server is not None or step.travel.ttl > 0)


# --- packets -----------------------------------------------------------------------------------


def _server_mark(steps: Sequence[Step], step: LayerStep) -> Packet | None:
    """The server's first packet of the same connection: its SYN-ACK."""
    above = next((s for s in steps if s.id == step.parent), None)
    packets = above.travel.packets if above is not None and above.travel is not None else ()
    return next((p for p in packets if p.by == "peer" and "S" in p.flags), None)


def _is_own(packet: Packet, mark: Packet | None) -> bool:
    """A packet from as far away as the server's first one, with data or an acknowledgement."""
    if mark is None or packet.by != "peer" or "R" in packet.flags or "S" in packet.flags:
        return False
    return packet.ip_ttl == mark.ip_ttl and bool(packet.size or packet.acked)


def _injected(seen: Sequence[LayerStep], own: Packet | None) -> Packet | None:
    """The injected packet: a reset, else one that came from another distance than the server's."""
    packets = [p for s in seen if s.travel is not None for p in s.travel.packets if p.by == "peer"]
    resets = [p for p in packets if "R" in p.flags]
    if resets:
        return resets[0]
    return next((p for p in packets if own is not None and p.ip_ttl != own.ip_ttl), None)
