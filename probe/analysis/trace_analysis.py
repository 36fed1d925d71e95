"""Where on the way a name is acted upon: read from steps whose packets were let go so far only.

Rule: pure, from steps alone. A packet with time to live `n` is seen by everybody up to the n-th
router. The harmless name is the measure: at each distance either a router says that its packet ran
out, or nobody says anything, or the server answers. What the target's packet meets *instead* of
that, at the same distance, is somebody's doing, and he sits before the n-th router and behind the
last one where both names fared alike.

He stands *in* the path if packets do not get past him, and *on* it if they do: if a router behind
him, or the server, answers too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Literal, TypeAlias

from probe.failure import Failure
from probe.model import Dns, Http, Packet, Ping, Role, Step, Tcp, Tls

Layer: TypeAlias = Literal["tls", "http", "dns"]
Look: TypeAlias = Tls | Http | Dns
LAYERS: dict[Layer, type[Look]] = {"tls": Tls, "http": Http, "dns": Dns}
ROUTER = "router"
ENOUGH = 2


@unique
class HopResult(StrEnum):
    """What became of one packet that asks something."""

    ANSWERED = "answered"
    RESET = "reset"
    CLOSED = "closed"
    EXPIRED = "expired"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Hop:
    """One distance: what became of both names there, each by majority; None: no look."""

    ttl: int
    target: HopResult | None
    harmless: HopResult | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Somebody acts upon the target's name.

    Attributes:
        fate: What its packets meet.
        after: The last router that both names reach alike; 0 when there is none.
        by: The first distance at which the name is acted upon: he sits before this router.
        server: The distance at which the harmless name is answered, or None.
        stands: `in` the path, `on` it, or None when that can not be told.
        trigger: `sent` when our packet alone is enough, which never reached the server; None when
            it may also be the answer.
        steps: The looks it rests on.
        injected, own: A packet in the server's name that is not his, and one that is.
    """

    layer: Layer
    fate: HopResult
    after: int
    by: int
    server: int | None
    stands: Literal["in", "on"] | None
    trigger: Literal["sent"] | None
    steps: tuple[Look, ...]
    injected: Packet | None = None
    own: Packet | None = None


@dataclass(frozen=True, slots=True)
class Residual:
    """For how long the harmless name failed too, after the target's had been offered.

    Attributes:
        least, most: Seconds; `most` is None when it had not ended when we stopped looking.
    """

    least: float
    most: float | None


def fate(step: Look) -> HopResult:
    """What became of one look; an answer outweighs whatever came with it."""
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


def looks(steps: Iterable[Step], layer: Layer, role: Role) -> dict[int, list[Look]]:
    """Every limited look of one layer with one of the names, by its distance."""
    found: dict[int, list[Look]] = {}
    for step in steps:
        if isinstance(step, Tls | Http | Dns) and isinstance(step, LAYERS[layer]):
            ttl = step.travel.ttl if step.travel is not None else None
            if step.role is role and ttl is not None:
                found.setdefault(ttl, []).append(step)
    return dict(sorted(found.items()))


def hops(steps: Sequence[Step], layer: Layer) -> tuple[Hop, ...]:
    """Both names side by side, from the nearest distance on."""
    target = looks(steps, layer, Role.TARGET)
    harmless = looks(steps, layer, Role.HARMLESS)
    return tuple(
        Hop(ttl, _mostly(target.get(ttl, ())), _mostly(harmless.get(ttl, ())))
        for ttl in sorted({*target, *harmless})
    )


def locate(steps: Sequence[Step], layer: Layer) -> Finding | None:
    """Where the target's name is acted upon, if it is: seen twice there, and ever after."""
    rows = [hop for hop in hops(steps, layer) if hop.target is not None]
    server = server_at(steps, layer)
    target = looks(steps, layer, Role.TARGET)
    first = _onset(rows, [hop for hop in rows if _odd(hop, steps, layer, server)])
    if first is None or first.target is None or not _agreeing(target[first.ttl], first.target):
        return None
    later = [hop for hop in rows if hop.ttl >= first.ttl]
    seen = [step for hop in later for step in target[hop.ttl] if fate(step) is first.target]
    own = _own(steps, seen)
    return Finding(
        layer=layer,
        fate=first.target,
        after=max((hop.ttl for hop in rows if _alike(hop, first)), default=0),
        by=first.ttl,
        server=server,
        stands=_stands(steps, layer, first, seen, server),
        trigger="sent" if _never_arrived(steps, layer, first, server) else None,
        steps=tuple(seen),
        injected=_injected(seen, own),
        own=own,
    )


def _never_arrived(steps: Sequence[Step], layer: Layer, first: Hop, server: int | None) -> bool:
    """The server had no part in it: too far away, or a proxy speaks in its place."""
    return server is None or first.ttl < server or taken_over(steps, layer)


def differs(steps: Sequence[Step], layer: Layer, ttl: int) -> bool:
    """Whether the target's name fared otherwise at one distance, so far as was looked."""
    found = [hop for hop in hops(steps, layer) if hop.ttl == ttl]
    return any(_odd(hop, steps, layer, server_at(steps, layer)) for hop in found)


def server_at(steps: Sequence[Step], layer: Layer) -> int | None:
    """The distance of whoever answers the harmless name."""
    rows = hops(steps, layer)
    return next((hop.ttl for hop in rows if hop.harmless is HopResult.ANSWERED), None)


def taken_over(steps: Sequence[Step], layer: Layer) -> bool:
    """Whoever answers is nearer than routers on the way to the server: a proxy stands between."""
    server = server_at(steps, layer)
    far = (step.travel.ttl for step in routers(steps) if step.travel and step.failure is None)
    return server is not None and layer != "dns" and max((t for t in far if t), default=0) > server


def residual(steps: Sequence[Step], layer: Layer) -> Residual | None:
    """How long the harmless name failed after the target's was last offered; None: not looked."""
    offered = [s for s in _unlimited_too(steps, layer) if s.role is Role.TARGET]
    if not offered:
        return None
    last = offered[-1]
    after = [s for s in steps if s.id > last.id and s.role is Role.HARMLESS]
    polls = [s for s in after if isinstance(s, Tcp | Tls | Http) and _unlimited(s)]
    if not polls:
        return None
    ends = [s for s in polls if not isinstance(s, Tcp) or s.failure is not None]
    worked = next((s for s in ends if s.failure is None), None)
    failed = [s for s in ends if s.failure is not None and (worked is None or s.id < worked.id)]
    least = max((s.at - last.at for s in failed), default=0.0)
    return Residual(least, None if worked is None else worked.at + worked.elapsed - last.at)


def routers(steps: Iterable[Step]) -> tuple[Ping, ...]:
    """Who answered on the way, nearest first."""
    found = (step for step in steps if isinstance(step, Ping) and step.what == ROUTER)
    return tuple(sorted(found, key=lambda step: (step.travel.ttl or 0) if step.travel else 0))


# --- at one distance ---------------------------------------------------------------------------


def _mostly(found: Sequence[Look]) -> HopResult | None:
    """The fate of most; of several equally frequent ones the one that says most."""
    counts = Counter(map(fate, found))
    order = list(HopResult)
    return max(counts, key=lambda one: (counts[one], -order.index(one)), default=None)


def _agreeing(found: Sequence[Look], wanted: HopResult | None) -> bool:
    """At least two looks, and most of them, met this."""
    count = sum(fate(step) is wanted for step in found)
    return count >= ENOUGH and 2 * count > len(found)


def _onset(rows: Sequence[Hop], odd: Sequence[Hop]) -> Hop | None:
    """The first odd distance; of silence, the first behind which both names never fare alike.

    A router that does not always say that a packet ran out must not look like a box.
    """
    kept: Hop | None = None
    for hop in rows:
        if hop in odd:
            kept = kept or hop
        elif kept is not None and kept.target is HopResult.SILENT and _fares_alike(hop):
            kept = None
    return kept


def _fares_alike(hop: Hop) -> bool:
    return hop.target is not HopResult.SILENT and hop.target is hop.harmless


def _odd(hop: Hop, steps: Sequence[Step], layer: Layer, server: int | None) -> bool:
    """The target fares otherwise than the harmless name does at this distance."""
    match hop.target, hop.harmless:
        case (HopResult.RESET | HopResult.CLOSED, other):
            return other is not None and other is not hop.target
        case (HopResult.SILENT, HopResult.EXPIRED | HopResult.ANSWERED):
            return True
        case (HopResult.ANSWERED, HopResult.EXPIRED | HopResult.SILENT):
            return server is None or hop.ttl < server
        case (HopResult.ANSWERED, HopResult.ANSWERED) if layer == "tls":
            return _spoken_for(steps, hop.ttl)
    return False


def _spoken_for(steps: Sequence[Step], ttl: int) -> bool:
    """At one distance the harmless name shakes hands, and the target's never does or is forged."""
    target = [s for s in looks(steps, "tls", Role.TARGET)[ttl] if isinstance(s, Tls)]
    harmless = [s for s in looks(steps, "tls", Role.HARMLESS)[ttl] if isinstance(s, Tls)]
    if not any(step.failure is None for step in harmless):
        return False
    refused = all(step.failure is not None and step.alert_by != "us" for step in target)
    return refused or all(_forged(step) for step in target)


def _forged(step: Tls) -> bool:
    known = step.trust.authority if step.trust is not None else None
    return known is not None and known.kind == "interception"


def _alike(hop: Hop, first: Hop) -> bool:
    """Before the first odd distance, one at which the same act would have been seen."""
    if hop.ttl >= first.ttl or hop.harmless is None:
        return False
    return first.target is not HopResult.SILENT or hop.harmless is not HopResult.SILENT


# --- in the path, or on it ---------------------------------------------------------------------


def _stands(
    steps: Sequence[Step],
    layer: Layer,
    first: Hop,
    seen: Sequence[Look],
    server: int | None,
) -> Literal["in", "on"] | None:
    """Whether the target's packets get past whoever acts upon them."""
    if first.target is HopResult.SILENT:
        return "in"
    if taken_over(steps, layer):
        return "in"
    if any(_went_on(steps, step) for step in seen):
        return "on"
    behind = [s for s in seen if _beyond(s, first)]
    told = {
        h.ttl for h in hops(steps, layer) if h.harmless in {HopResult.EXPIRED, HopResult.ANSWERED}
    }
    expected = [s for s in behind if s.travel is not None and s.travel.ttl in told]
    watched = [s for s in expected if _was_watched(s, server)]
    return "in" if len(watched) >= ENOUGH else None


def _went_on(steps: Sequence[Step], step: Look) -> bool:
    """Besides the injected packet, a router farther on or the server itself answered."""
    if isinstance(step, Dns) and len({(r.rcode, r.answers) for r in step.replies}) > 1:
        return True
    if step.travel is None:
        return False
    if step.travel.expired or any(p.by == ROUTER for p in step.travel.packets):
        return True
    mark = _server_mark(steps, step)
    return any(_is_own(packet, mark) for packet in step.travel.packets)


def _was_watched(step: Look, server: int | None) -> bool:
    """Had its packets gone on, we should have seen an answer to them."""
    if step.travel is None or step.travel.ttl is None:
        return False
    if isinstance(step, Dns):  # a datagram socket hears both
        return step.travel.expired is not None
    return bool(step.travel.packets) and (server is not None or step.travel.ttl > 0)


def _beyond(step: Look, first: Hop) -> bool:
    return step.travel is not None and (step.travel.ttl or 0) > first.ttl


# --- packets -----------------------------------------------------------------------------------


def _server_mark(steps: Sequence[Step], step: Look) -> Packet | None:
    """The server's first packet of the same connection: its SYN-ACK."""
    above = next((s for s in steps if s.id == step.parent), None)
    packets = above.travel.packets if above is not None and above.travel is not None else ()
    return next((p for p in packets if p.by == "peer" and "S" in p.flags), None)


def _is_own(packet: Packet, mark: Packet | None) -> bool:
    """A packet from as far away as the server's first one, that confirms or says something."""
    if mark is None or packet.by != "peer" or "R" in packet.flags or "S" in packet.flags:
        return False
    return packet.ip_ttl == mark.ip_ttl and bool(packet.size or packet.acked)


def _own(steps: Sequence[Step], seen: Sequence[Look]) -> Packet | None:
    marks = (_server_mark(steps, step) for step in seen)
    return next((mark for mark in marks if mark is not None), None)


def _injected(seen: Sequence[Look], own: Packet | None) -> Packet | None:
    """The packet that carried the act: a reset, else what came from another distance."""
    packets = [p for s in seen if s.travel is not None for p in s.travel.packets if p.by == "peer"]
    resets = [p for p in packets if "R" in p.flags]
    if resets:
        return resets[0]
    return next((p for p in packets if own is not None and p.ip_ttl != own.ip_ttl), None)


def _unlimited(step: Step) -> bool:
    return step.travel is None or step.travel.ttl is None


def _unlimited_too(steps: Iterable[Step], layer: Layer) -> Iterator[Look]:
    kind = LAYERS[layer]
    for step in steps:
        if isinstance(step, Tls | Http | Dns) and isinstance(step, kind):
            yield step
