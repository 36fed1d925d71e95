"""Innocent explanation of a resolver that fails for a name and does not deny it.

A resolver answers SERVFAIL or REFUSED, or nothing, where it cannot reach the name's own servers,
where their answers break a rule, or where it is itself at fault. Working public resolvers do not
exclude this: they are elsewhere. What excludes it is interference that others meet as well, or the
resolver's own words. That it answers for other names of the zone does not: a failure may be cached,
or be that of one set of records.
"""

from collections.abc import Sequence

from probe.analysis.dns_answers import BLOCKED, CENSORED, said
from probe.analysis.evidence import Evidence
from probe.failure import Failure
from probe.model import Dns, Role
from probe.reference_data import unused_addresses
from probe.rule import Match

OWN_FAULTS = frozenset(
    {
        Failure.DNS_SERVFAIL,
        Failure.DNS_REFUSED,
        Failure.DNS_MISBEHAVING,
        Failure.TIMEOUT,
        Failure.REFUSED,
    }
)
# Public resolvers that have to fail alike in the clear.
_SEVERAL = 2


def may_be_its_own_fault(e: Evidence, match: Match) -> str | None:
    """Where the system resolver fails for the name, public resolvers are made to fail as well."""
    steps = match.on_target(e)
    asked = [s for s in steps if isinstance(s, Dns) and s.resolver == "system"]
    if not asked or any(s.addresses or s.failure not in OWN_FAULTS for s in asked):
        return None
    if said(asked) & (CENSORED | BLOCKED):
        return None
    if _fails_in_the_clear(e, asked):
        return None
    return (
        "The system resolver fails for this name, and does not deny it: it may not reach the name's"
        " own servers."
    )


def _fails_in_the_clear(e: Evidence, asked: Sequence[Dns]) -> bool:
    """Several public resolvers fail so in the clear, and one of them gives addresses encrypted.

    Not where one resolver answers in all resolvers' place. A silence counts where one of the silent
    answers another name in the clear.
    """
    if provider_answers_for_all(e):
        return False
    name, failures = asked[-1].name, {s.failure for s in asked}
    others = [s for s in e.all(Dns) if s.resolver != "system" and s.name == name]
    honest = {s.resolver for s in others if s.transport in {"doh", "dot"} and s.addresses}
    heard = {s.resolver for s in e.harmless(Dns) if s.transport == "udp" and s.replies}
    plain = [s for s in others if s.transport == "udp" and s.failure in failures]
    failing = {s.resolver for s in plain if s.replies}
    silent = {s.resolver for s in plain if not s.replies}
    if silent & heard:
        failing |= silent
    return len(failing) >= _SEVERAL and not failing.isdisjoint(honest)


def provider_answers_for_all(e: Evidence) -> bool:
    """Queries to an address without a resolver are answered: one resolver answers all of them."""
    unused = [s for s in e.all(Dns, role=Role.NEUTRAL) if s.resolver in unused_addresses()]
    return bool(e.line.hijacked_resolvers) or any(s.replies for s in unused)
