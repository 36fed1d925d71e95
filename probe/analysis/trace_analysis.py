"""Locate the middlebox that acts upon a name, from steps whose packets had a limited TTL.

Rule: pure, from steps alone. At each distance the target's packet is compared with the harmless
name's in the same flow: a router reports that it expired, or no answer comes, or the server
answers. If the target's packet meets something else, in several flows, a middlebox acts upon it.
The middlebox is before the n-th router and behind the last router at which both names had the same
result.

It is *in-path* if it stops the packets, and *on-path* if it lets them pass: then a router behind
it, or the server, answers too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from probe.analysis.trace_hops import (
    LAYERS,
    ROUTER,
    HopResult,
    Layer,
    LayerStep,
    NamePair,
    hops,
    limited_steps,
    pairs,
    result_of,
    server_at,
    taken_over,
)
from probe.model import Dns, Http, Packet, Role, Step, Tcp, Tls

ENOUGH = 2  # flows
MARGIN = 2  # routers before the server that may be the site's own


class TraceFinding(Struct, frozen=True):
    """A middlebox acts upon the target's name.

    Attributes:
        result: What the name's packets meet.
        after: The last router that both names reach alike; 0 when there is none.
        by: The first distance at which the name is acted upon: the middlebox is before this router.
        server: The nearest distance at which the server answers, or None.
        position: `in` the path, `on` it, or None when unknown.
        trigger: `sent` when our packet alone triggers it, before it reaches the server; None when
            the server's answer may trigger it too.
        steps: The steps it rests on.
        early: It is so far before the server, in every flow, that it is not the site's own device.
        nearer: Something answers for the server from nearer than its routers, so that distances
            say nothing of the place.
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
    early: bool = False
    nearer: bool = False
    injected: Packet | None = None
    own: Packet | None = None


class SingleLook(Struct, frozen=True):
    """The names differed in too few flows to locate anything.

    Attributes:
        ttl: Where. result, harmless: What each name met there.
        punished: Afterwards the address did not answer the harmless name either.
        steps: The target's and what it is compared with.
    """

    layer: Layer
    ttl: int
    result: HopResult
    harmless: HopResult
    punished: bool
    steps: tuple[Step, ...]


class Residual(Struct, frozen=True):
    """For how long the harmless name failed too, after the target's had been offered.

    Attributes:
        least, most: Seconds; `most` is None when it had not ended at the last measurement.
    """

    least: float
    most: float | None


class _Onset(Struct, frozen=True):
    """The first distance at which the name is acted upon, and how."""

    ttl: int
    result: HopResult


def locate(steps: Sequence[Step], layer: Layer) -> TraceFinding | None:
    """Find where the target's name is acted upon: in several flows there, and at later hops."""
    compared = pairs(steps, layer)
    first = _onset(compared)
    if first is None or (
        first.result is HopResult.SILENT and not _heard_again(steps, layer, first)
    ):
        return None
    seen = [
        pair.target
        for ttl, here in compared.items()
        for pair in here
        if pair.result is first.result and (ttl > first.ttl or (ttl == first.ttl and pair.odd))
    ]
    server, nearer = server_at(steps, layer), taken_over(steps, layer)
    marks = _server_marks(steps, seen)
    own = next((mark for _, mark in marks if mark is not None), None)
    # Where harmless packets arrive nowhere, the server is farther than any of them went.
    least = server or max(limited_steps(steps, layer, Role.HARMLESS), default=0) + 1
    never_arrived = not nearer and (server is None or first.ttl < server)
    return TraceFinding(
        layer=layer,
        result=first.result,
        after=max((t for t, here in compared.items() if _passes(here, first)), default=0),
        by=first.ttl,
        server=server,
        position=None if nearer else _position(steps, layer, first, marks, server),
        trigger="sent" if never_arrived else None,
        steps=tuple(seen),
        early=never_arrived and first.ttl <= least - MARGIN,
        nearer=nearer,
        injected=_injected(seen, own),
        own=own,
    )


def differs(steps: Sequence[Step], layer: Layer, ttl: int) -> int:
    """In how many flows the names had different results at one distance so far."""
    return sum(pair.odd for pair in pairs(steps, layer).get(ttl, ()))


def single_look(steps: Sequence[Step], layer: Layer) -> SingleLook | None:
    """Where the names differed, if nothing can be located from it."""
    odd = [pair for here in pairs(steps, layer).values() for pair in here if pair.unlike]
    if not odd or locate(steps, layer) is not None:
        return None
    one = odd[0]
    return SingleLook(
        layer,
        one.ttl,
        one.result,
        result_of(one.harmless),
        _punished_after(steps, one.target),
        (one.target, one.harmless),
    )


def _punished_after(steps: Sequence[Step], target: LayerStep) -> bool:
    """The harmless name, offered next over the whole path, failed."""
    after = [s for s in steps if s.id > target.id and s.role is Role.HARMLESS]
    full = [s for s in after if isinstance(s, Tcp | Tls | Http) and _whole_path(s)]
    ends = [s for s in full if not isinstance(s, Tcp) or s.failure is not None]
    return bool(ends) and ends[0].failure is not None


def _whole_path(step: Step) -> bool:
    return step.travel is None or step.travel.ttl is None


def residual(steps: Sequence[Step], layer: Layer) -> Residual | None:
    """How long the harmless name failed after the target's was last offered; None: not measured."""
    offered = [s for s in steps if isinstance(s, LAYERS[layer]) and s.role is Role.TARGET]
    if not offered:
        return None
    last = offered[-1]
    after = [s for s in steps if s.id > last.id and s.role is Role.HARMLESS]
    polls = [s for s in after if isinstance(s, Tcp | Tls | Http) and _whole_path(s)]
    if not polls:
        return None
    ends = [s for s in polls if not isinstance(s, Tcp) or s.failure is not None]
    worked = next((s for s in ends if s.failure is None), None)
    failed = [s for s in ends if s.failure is not None and (worked is None or s.id < worked.id)]
    least = max((s.at - last.at for s in failed), default=0.0)
    return Residual(least, None if worked is None else worked.at + worked.elapsed - last.at)


# --- where it begins ----------------------------------------------------------------------------


def _onset(compared: Mapping[int, Sequence[NamePair]]) -> _Onset | None:
    """The first distance with different results in several flows.

    For silence most flows must differ, and none may be alike behind it: a router that does not
    always report an expired packet must not be taken for a middlebox.
    """
    kept: _Onset | None = None
    for ttl, here in compared.items():
        counts = Counter(pair.result for pair in here if pair.odd)
        result, flows = max(counts.items(), key=lambda one: one[1], default=(None, 0))
        if result is HopResult.SILENT and 2 * flows <= len(here):
            result = None
        alike = sum(pair.alike for pair in here)
        if kept is None:
            kept = _Onset(ttl, result) if result is not None and flows >= ENOUGH else None
        elif kept.result is HopResult.SILENT and 2 * alike >= len(here) > 0:
            kept = None
    return kept


def _heard_again(steps: Sequence[Step], layer: Layer, first: _Onset) -> bool:
    """After the silence the harmless name met no silence there: the line and the router go on."""
    mine = limited_steps(steps, layer, Role.TARGET)[first.ttl]
    other = limited_steps(steps, layer, Role.HARMLESS).get(first.ttl, ())
    after = [result_of(step) for step in other if step.id > mine[0].id]
    if layer == "dns":  # a query that is silent is one of many that were sent at once
        return True
    return bool(after) and HopResult.SILENT not in after


def _passes(here: Sequence[NamePair], first: _Onset) -> bool:
    """It is before the first odd distance, and the same act would have been visible there."""
    seen = [pair for pair in here if pair.ttl < first.ttl and not pair.unlike]
    if first.result is not HopResult.SILENT:
        return bool(seen)
    return any(result_of(pair.harmless) is not HopResult.SILENT for pair in seen)


# --- in-path or on-path ------------------------------------------------------------------------


def _position(
    steps: Sequence[Step],
    layer: Layer,
    first: _Onset,
    marks: Sequence[tuple[LayerStep, Packet | None]],
    server: int | None,
) -> Literal["in", "on"] | None:
    """Whether the target's packets pass the middlebox that acts upon them."""
    if first.result is HopResult.SILENT:
        return "in"
    if any(_went_on(step, mark) for step, mark in marks):
        return "on"
    answering = {
        h.ttl
        for h in hops(steps, layer)
        if h.ttl > first.ttl and h.harmless in {HopResult.EXPIRED, HopResult.ANSWERED}
    }
    expected = [s for s, _ in marks if s.travel is not None and s.travel.ttl in answering]
    watched = [s for s in expected if _was_watched(s, server)]
    return "in" if len(watched) >= ENOUGH else None


def _went_on(step: LayerStep, mark: Packet | None) -> bool:
    """Besides the injected packet, an answer came from a router farther on or from the server."""
    if isinstance(step, Dns) and len({(r.rcode, r.answers) for r in step.replies}) > 1:
        return True
    if step.travel is None:
        return False
    if step.travel.expired or any(p.by == ROUTER for p in step.travel.packets):
        return True
    return any(_is_own(packet, mark) for packet in step.travel.packets)


def _was_watched(step: LayerStep, server: int | None) -> bool:
    """If its packets had passed the middlebox, an answer to them would have been seen."""
    if step.travel is None or step.travel.ttl is None:
        return False
    if isinstance(step, Dns):  # a datagram socket receives both
        return step.travel.expired is not None
    return bool(step.travel.packets) and (server is not None or step.travel.ttl > 0)


# --- packets -----------------------------------------------------------------------------------


def _server_marks(
    steps: Sequence[Step], seen: Sequence[LayerStep]
) -> list[tuple[LayerStep, Packet | None]]:
    """Each step with the server's first packet of the same connection: its SYN-ACK."""
    by_id = {step.id: step for step in reversed(steps)}
    above = (by_id.get(step.parent) if step.parent is not None else None for step in seen)
    return [(step, _syn_ack(connection)) for step, connection in zip(seen, above, strict=True)]


def _syn_ack(connection: Step | None) -> Packet | None:
    travel = connection.travel if connection is not None else None
    packets = travel.packets if travel is not None else ()
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
