"""What the ways to ask for a name show, set beside each other.

Somebody who answers in a resolver's place stands nearer than it does: the packets have come another
way, and there may be two of them. A difference in the way alone is told and proves nothing, because
large resolvers answer from many machines; with an answer that nobody else gives, it does.
"""

from collections.abc import Iterable, Iterator

from probe.analysis.evidence import Evidence
from probe.compare import agree, is_address
from probe.failure import Failure
from probe.model import Base, Dns, Mechanism, Outcome, Ping, Role
from probe.reference_data import unused_addresses
from probe.rule import Finding, Tier, rule

EXPERIMENTS = ("dns",)
_ENCRYPTED = frozenset({"doh", "dot"})
_DENIALS = frozenset({Failure.DNS_NXDOMAIN, Failure.DNS_NO_ANSWER, Failure.DNS_REFUSED})
_SILENCES = frozenset(
    {Failure.TIMEOUT, Failure.RESET, Failure.REFUSED, Failure.EOF, Failure.HOST_UNREACHABLE}
)

Way = tuple[str, str]


def _way(step: Dns) -> Way:
    return step.resolver, step.transport


def _own(e: Evidence, way: Way | None = None) -> list[Dns]:
    asked = [s for s in e.all(Dns) if s.name == e.host and s.type == "A"]
    return [s for s in asked if way is None or _way(s) == way]


def _harmless(e: Evidence, way: Way) -> list[Dns]:
    return [s for s in e.harmless(Dns) if _way(s) == way]


def _ways(e: Evidence) -> list[Way]:
    return list(dict.fromkeys(_way(s) for s in _own(e)))


def _told(way: Way) -> str:
    return f"{way[0]} over {way[1]}"


@rule("dns.leads_to_the_site", Tier.LIKELY, Outcome.OK)
def leads_to_the_site(e: Evidence) -> Finding | None:
    """What the resolver here answers is an address that proves the name."""
    proven = e.system_addresses(0) & e.proven_addresses(0)
    shown = [s for s in e.handshakes(0) if s.address in proven and s.trust and s.trust.valid]
    return Finding((*e.system(0)[:1], *shown[:1]), 0.95) if shown else None


@rule("dns.as_others_say", Tier.LIKELY, Outcome.OK)
def as_others_say(e: Evidence) -> Finding | None:
    """The resolver here answers what encrypted ones answer."""
    mine = e.system(0)
    there = [s for s in e.encrypted(0) if s.addresses]
    said = {a for s in there for a in s.addresses}
    same = bool(mine) and all(agree(s.addresses, said) for s in mine)
    return Finding((*mine, *there[:1]), 0.85) if there and same else None


@rule("dns.answered_where_nobody_lives", Tier.NOTE, None, Mechanism.DNS_INJECTED)
def answered_where_nobody_lives(e: Evidence) -> Finding | None:
    """A question to an address where no resolver lives was answered: somebody answers for all."""
    nobody = set(unused_addresses())
    answered = [s for s in e.all(Dns, role=Role.NEUTRAL) if s.resolver in nobody and s.replies]
    return Finding(tuple(answered), 0.0) if answered else None


@rule("dns.public_resolver_answered_at_home", Tier.NOTE, None, Mechanism.DNS_INJECTED)
def public_resolver_answered_at_home(e: Evidence) -> Finding | None:
    """Questions to a public resolver are asked on by the one of this line, not by its own."""
    found = [s for s in e.all(Ping, role=Role.NEUTRAL) if s.what == "whoami system"]
    return Finding(tuple(found), 0.0) if found else None


@rule("dns.forged_on_the_way", Tier.NOTE, None, Mechanism.DNS_INJECTED)
def forged_on_the_way(e: Evidence) -> Finding | None:
    """An answer came another way than the resolver's others, and nobody else gives it."""
    for way in _ways(e):
        steps = _came_another_way(e, way)
        if steps and all(_contradicts(e, s) for s in _own(e, way) if s.replies):
            return Finding(steps, 0.0)
    return None


@rule("dns.came_another_way", Tier.NOTE, None)
def came_another_way(e: Evidence) -> Finding | None:
    """A resolver's answers for this name crossed another number of routers than its others."""
    found = {way: steps for way in _ways(e) if (steps := _came_another_way(e, way))}
    if not found:
        return None
    reason = f"Answers for this name came another way than others from: {_list(found)}."
    return Finding(tuple(s for steps in found.values() for s in steps), 0.0, reason=reason)


def _came_another_way(e: Evidence, way: Way) -> tuple[Base, ...]:
    """Queries, at least two of each, whose replies' IP times to live agree with each other only."""
    mine = [s for s in _own(e, way) if _hops(s) is not None]
    usual = [s for s in _harmless(e, way) if _hops(s) is not None]
    if len(mine) < 2 or len(usual) < 2:
        return ()
    seen = [_hops(s) or 0 for s in usual]
    apart = all(abs((_hops(s) or 0) - one) > 1 for s in mine for one in seen)
    return (*mine, *usual) if apart and max(seen) - min(seen) <= 1 else ()


def _hops(step: Dns) -> int | None:
    return step.replies[0].ip_ttl if step.replies else None


def _contradicts(e: Evidence, step: Dns) -> bool:
    """It says what no encrypted resolver says, and does not lead to the site."""
    there = [s for s in e.encrypted(0) if s.replies]
    given = set(step.addresses)
    if not there or given & e.proven_addresses(0):
        return False
    if step.failure in _DENIALS:
        return all(s.addresses for s in there)
    return bool(given) and not any(agree(s.addresses, given) for s in there)


@rule("dns.way_stopped_for_this_name", Tier.NOTE, None)
def way_stopped_for_this_name(e: Evidence) -> Finding | None:
    """A way to ask stays without an answer for this name, and answers for a harmless one."""
    found = dict(_silenced(e, others=False))
    if not found:
        return None
    silent = any(s.failure is Failure.TIMEOUT for steps in found.values() for s in steps)
    reason = f"Answered for a harmless name and never for this one: {_list(found)}."
    return Finding(
        tuple(s for steps in found.values() for s in steps),
        0.0,
        mechanisms=(Mechanism.DNS_TIMEOUT,) if silent else (),
        reason=reason,
    )


@rule("dns.way_stopped_for_every_name", Tier.NOTE, None)
def way_stopped_for_every_name(e: Evidence) -> Finding | None:
    """A way to ask stays without an answer whatever the name, while another one is answered."""
    found = dict(_silenced(e, others=True))
    alive = [s for s in e.harmless(Dns) if s.replies]
    if not found or not alive:
        return None
    reason = f"No answer whatever the name, while others are answered: {_list(found)}."
    return Finding(tuple(s for steps in found.values() for s in steps[-1:]), 0.0, reason=reason)


def _silenced(e: Evidence, *, others: bool) -> Iterator[tuple[Way, tuple[Dns, ...]]]:
    """Ways by which the name was never answered, in two looks; `others`: nor was a harmless one."""
    for way in _ways(e):
        mine, harmless = _own(e, way), _harmless(e, way)
        if min(len(mine), len(harmless)) < 2 or not _never(mine):
            continue
        if _never(harmless) if others else all(s.replies for s in harmless):
            yield way, (*mine, *harmless)


def _never(steps: list[Dns]) -> bool:
    return all(s.failure in _SILENCES for s in steps)


def _list(found: Iterable[Way]) -> str:
    return ", ".join(map(_told, found))


@rule("dns.ways_do_not_decide", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def ways_do_not_decide(e: Evidence) -> Finding | None:
    """The answers neither lead to the site nor show who is to blame for it."""
    return None if is_address(e.host) else Finding(e.steps[-1:], 0.4)
