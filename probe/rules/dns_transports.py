"""Rules that compare DNS transports: system and public resolvers, over UDP, TCP, DoT and DoH.

A middlebox that answers in a resolver's place is nearer than the resolver: its packets crossed
fewer routers, and there may be two answers. A different hop count alone is noted and proves
nothing, because large resolvers answer from many machines. It is proof together with an answer that
no other resolver gives.
"""

from collections.abc import Iterable, Iterator

from probe.analysis.evidence import Evidence
from probe.compare import agree, is_address
from probe.failure import Failure
from probe.model import Base, Dns, Mechanism, Outcome, Ping, Role
from probe.reference_data import unused_addresses
from probe.rule import Finding, Tier, rule

EXPERIMENTS = ("dns",)
_DENIALS = frozenset({Failure.DNS_NXDOMAIN, Failure.DNS_NO_ANSWER, Failure.DNS_REFUSED})
_SILENCES = frozenset(
    {Failure.TIMEOUT, Failure.RESET, Failure.REFUSED, Failure.EOF, Failure.HOST_UNREACHABLE}
)

# A resolver's label and the transport it was asked over.
Channel = tuple[str, str]


def _own(e: Evidence, channel: Channel | None = None) -> list[Dns]:
    asked = [s for s in e.all(Dns) if s.name == e.host and s.type == "A"]
    return [s for s in asked if channel is None or (s.resolver, s.transport) == channel]


def _harmless(e: Evidence, channel: Channel) -> list[Dns]:
    return [s for s in e.harmless(Dns) if (s.resolver, s.transport) == channel]


def _channels(e: Evidence) -> list[Channel]:
    return list(dict.fromkeys((s.resolver, s.transport) for s in _own(e)))


@rule("dns.leads_to_the_site", Tier.LIKELY, Outcome.OK)
def leads_to_the_site(e: Evidence) -> Finding | None:
    """The system resolver gives an address that proves the name."""
    proven = e.system_addresses(0) & e.proven_addresses(0)
    shown = [s for s in e.handshakes(0) if s.address in proven and s.trust and s.trust.valid]
    return Finding((*e.system(0)[:1], *shown[:1]), 0.95) if shown else None


@rule("dns.as_others_say", Tier.LIKELY, Outcome.OK)
def as_others_say(e: Evidence) -> Finding | None:
    """The system resolver gives the same answer as encrypted resolvers."""
    mine = e.system(0)
    there = [s for s in e.encrypted(0) if s.addresses]
    addresses = {a for s in there for a in s.addresses}
    same = bool(mine) and all(agree(s.addresses, addresses) for s in mine)
    return Finding((*mine, *there[:1]), 0.85) if there and same else None


@rule("dns.answered_where_nobody_lives", Tier.NOTE, None, Mechanism.DNS_INJECTED)
def unused_address_answered(e: Evidence) -> Finding | None:
    """A query to an address without a resolver was answered: a middlebox answers DNS queries."""
    unused = set(unused_addresses())
    answered = [s for s in e.all(Dns, role=Role.NEUTRAL) if s.resolver in unused and s.replies]
    return Finding(tuple(answered), 0.0) if answered else None


@rule("dns.public_resolver_answered_at_home", Tier.NOTE, None, Mechanism.DNS_INJECTED)
def public_resolver_answered_at_home(e: Evidence) -> Finding | None:
    """Queries to a public resolver are redirected to the operator's resolver."""
    found = [s for s in e.all(Ping, role=Role.NEUTRAL) if s.what == "whoami system"]
    return Finding(tuple(found), 0.0) if found else None


@rule("dns.forged_on_the_way", Tier.NOTE, None, Mechanism.DNS_INJECTED)
def forged_on_the_way(e: Evidence) -> Finding | None:
    """An answer took another path than the resolver's others, and no other resolver gives it."""
    for channel in _channels(e):
        steps = _another_hop_count(e, channel)
        if steps and all(_contradicts(e, s) for s in _own(e, channel) if s.replies):
            return Finding(steps, 0.0)
    return None


@rule("dns.came_another_way", Tier.NOTE, None)
def came_another_way(e: Evidence) -> Finding | None:
    """A resolver's answers for this name crossed another number of routers than its others."""
    found = {c: steps for c in _channels(e) if (steps := _another_hop_count(e, c))}
    if not found:
        return None
    reason = f"Answers for this name crossed another number of routers: {_listed(found)}."
    return Finding(tuple(s for steps in found.values() for s in steps), 0.0, reason=reason)


def _another_hop_count(e: Evidence, channel: Channel) -> tuple[Base, ...]:
    """Queries, at least two of each, if the two names' replies arrive with different IP TTLs."""
    mine = [s for s in _own(e, channel) if _reply_ttl(s) is not None]
    usual = [s for s in _harmless(e, channel) if _reply_ttl(s) is not None]
    if len(mine) < 2 or len(usual) < 2:
        return ()
    seen = [_reply_ttl(s) or 0 for s in usual]
    apart = all(abs((_reply_ttl(s) or 0) - one) > 1 for s in mine for one in seen)
    return (*mine, *usual) if apart and max(seen) - min(seen) <= 1 else ()


def _reply_ttl(step: Dns) -> int | None:
    return step.replies[0].ip_ttl if step.replies else None


def _contradicts(e: Evidence, step: Dns) -> bool:
    """No encrypted resolver gives this answer, and it does not lead to the site."""
    there = [s for s in e.encrypted(0) if s.replies]
    given = set(step.addresses)
    if not there or given & e.proven_addresses(0):
        return False
    if step.failure in _DENIALS:
        return all(s.addresses for s in there)
    return bool(given) and not any(agree(s.addresses, given) for s in there)


@rule("dns.way_stopped_for_this_name", Tier.NOTE, None)
def way_stopped_for_this_name(e: Evidence) -> Finding | None:
    """A resolver does not answer for this name over one transport, and does for a harmless name."""
    found = dict(_silenced(e, others=False))
    if not found:
        return None
    silent = any(s.failure is Failure.TIMEOUT for steps in found.values() for s in steps)
    reason = f"Answered for a harmless name and never for this one: {_listed(found)}."
    return Finding(
        tuple(s for steps in found.values() for s in steps),
        0.0,
        mechanisms=(Mechanism.DNS_TIMEOUT,) if silent else (),
        reason=reason,
    )


@rule("dns.way_stopped_for_every_name", Tier.NOTE, None)
def way_stopped_for_every_name(e: Evidence) -> Finding | None:
    """A resolver answers for no name over one transport, while other resolvers answer."""
    found = dict(_silenced(e, others=True))
    alive = [s for s in e.harmless(Dns) if s.replies]
    if not found or not alive:
        return None
    reason = f"No answer for any name, while other resolvers answer: {_listed(found)}."
    return Finding(tuple(s for steps in found.values() for s in steps[-1:]), 0.0, reason=reason)


def _silenced(e: Evidence, *, others: bool) -> Iterator[tuple[Channel, tuple[Dns, ...]]]:
    """Channels that never answered for the name; `others`: nor for a harmless one, else always."""
    for channel in _channels(e):
        mine, harmless = _own(e, channel), _harmless(e, channel)
        if min(len(mine), len(harmless)) < 2 or not _all_silent(mine):
            continue
        if _all_silent(harmless) if others else all(s.replies for s in harmless):
            yield channel, (*mine, *harmless)


def _all_silent(steps: list[Dns]) -> bool:
    return all(s.failure in _SILENCES for s in steps)


def _listed(found: Iterable[Channel]) -> str:
    return ", ".join(f"{resolver} over {transport}" for resolver, transport in found)


@rule("dns.ways_do_not_decide", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def ways_do_not_decide(e: Evidence) -> Finding | None:
    """The answers do not lead to the site, and nothing shows whether the network changed them."""
    return None if is_address(e.host) else Finding(e.steps[-1:], 0.4)
