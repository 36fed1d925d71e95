"""What accuses the network of stopping a service: by its name, at its addresses, in the resolver.

A part of a service is accused only when every one of its places failed twice, and something shows
that they live: a harmless name at the same address, or a control at the same time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from probe.analysis.evidence import Evidence, consistently, is_live
from probe.analysis.service_attempts import Attempt, by_place
from probe.compare import is_bogon, same_failure
from probe.model import Base, Dns, Mechanism, Outcome, Ping, Role, Tcp, Tls
from probe.rule import Finding, Rule, Tier, rule
from probe.rules import dns, services, tcp, tls
from probe.rules.services import besides, dead, parts, there

EXPERIMENTS = services.EXPERIMENTS
_SEVERAL = 3

Ended: TypeAlias = Tcp | Tls | Ping


@rule("services.name_stopped", Tier.ACCUSED, Outcome.BLOCKED)
def name_stopped(e: Evidence) -> Finding | None:
    """TLS fails for the service's name, and answers for a harmless one at the same address."""
    for part, looks in dead(e).items():
        for again in _by_handshake(looks):
            last = consistently(again)
            if last is None or last.failure not in tls.MECHANISMS or last.alert is not None:
                continue
            around = tls.answered_around(e, again)
            if around:
                sure = 0.96 if _works_there(e, part) else 0.92
                reason = (
                    f"TLS fails for {last.sni} ({part}), not for a harmless name{besides(e, part)}."
                )
                how = _mechanisms([last])
                return Finding((*again, *around), sure, how, reason)
    return None


def _by_handshake(looks: Sequence[Attempt]) -> Iterator[list[Tls]]:
    """The handshakes of each place, at the address that was tried last."""
    for again in by_place(looks).values():
        shaken = [one.tls for one in again if one.tls is not None]
        if shaken:
            yield [s for s in shaken if s.address == shaken[-1].address]


@rule("services.stopped_here_only", Tier.ACCUSED, Outcome.BLOCKED)
def stopped_here_only(e: Evidence) -> Finding | None:
    """Every place of one part fails here, and the control reaches the same ones."""
    for part, looks in dead(e).items():
        failing = [steps for steps in _by_end(looks) if _only_here(e, part, steps)]
        if failing:
            steps = [step for found in failing for step in found]
            reason = f"Its {part} cannot be reached here, and can from elsewhere{besides(e, part)}."
            return Finding(tuple(steps), 0.94 * e.control_weight, _mechanisms(steps), reason)
    return None


@rule("services.all_silent_here", Tier.ACCUSED, Outcome.BLOCKED)
def all_silent_here(e: Evidence) -> Finding | None:
    """All of many places of one part fail alike here, while the same ports answer elsewhere."""
    for part, looks in dead(e).items():
        ended = list(_by_end(looks))
        alike = [steps for steps in ended if consistently(steps) is not None]
        same = {steps[-1].failure for steps in alike}
        addresses = {steps[-1].address for steps in alike}
        if len(alike) < len(ended) or len(same) != 1 or len(addresses) < _SEVERAL:
            continue
        steps = [step for found in alike for step in found]
        seen = there(part, e.controls)
        works = any(x.failure is None for x in seen) and not _fails_alike(seen, same)
        if (
            works
            and _port_answers(e, {s.port for s in steps if s.port})
            and e.alive_around(steps[-1])
        ):
            reason = (
                f"Nothing of its {part} answers here; the control is answered{besides(e, part)}."
            )
            return Finding(tuple(steps), 0.85 * e.control_weight, _mechanisms(steps), reason)
    return None


def _by_end(looks: Sequence[Attempt]) -> Iterator[list[Ended]]:
    """The steps that the looks at each place ended with, where they got as far as an address."""
    for again in by_place(looks).values():
        ended = [step for one in again if (step := _end(one)) is not None]
        if len(ended) > 1:
            yield [step for step in ended if step.address == ended[-1].address]


def _end(look: Attempt) -> Ended | None:
    """How far it got: what was said on the connection, or the connection."""
    return look.tls or look.said or look.tcp


def _only_here(e: Evidence, part: str, steps: Sequence[Ended]) -> bool:
    """It fails alike at one address every time, and for a control there never."""
    last = consistently(list(steps))
    if last is None or not e.alive_around(last):
        return False
    ended = [x for x in there(part, e.controls) if x.tcp and _same_place(x.tcp, last)]
    works = [x for x in ended if _got_further(x, last)]
    return bool(works) and not any(same_failure(x.failure, last.failure) for x in ended)


def _same_place(one: Tcp, other: Ended) -> bool:
    return (one.address, one.port) == (other.address, other.port)


def _got_further(look: Attempt, mine: Ended) -> bool:
    """Somebody else's look did what ours failed to do."""
    step: Base | None = look.tcp
    if isinstance(mine, Tls):
        step = look.tls
    elif isinstance(mine, Ping):
        step = look.said
    return step is not None and step.failure is None


def _works_there(e: Evidence, part: str) -> bool:
    return any(look.failure is None for look in there(part, e.controls))


def _fails_alike(looks: Sequence[Attempt], failures: Iterable[object]) -> bool:
    known = set(failures)
    return any(look.failure in known for look in looks)


def _port_answers(e: Evidence, ports: set[int]) -> bool:
    """Somebody else answered on one of these ports."""
    others = [s for s in e.steps if s.role in {Role.REFERENCE, Role.HARMLESS} and is_live(s)]
    return any(isinstance(s, Tcp | Tls) and s.port in ports for s in others)


def _mechanisms(steps: Iterable[Ended]) -> tuple[Mechanism, ...]:
    found: dict[Mechanism, None] = {}
    for step in steps:
        known = tls.MECHANISMS if isinstance(step, Tls) else tcp.MECHANISMS
        if step.failure is not None and step.failure in known:
            found[known[step.failure]] = None
    return tuple(found)


@rule("services.some_places_stopped", Tier.NOTE, None)
def some_places_stopped(e: Evidence) -> Finding | None:
    """Some places fail here and not for the control; the part they serve works by others."""
    for part, looks in parts(e).items():
        failing = [
            steps
            for again in by_place(looks).values()
            for steps in _by_end(again)
            if all(one.failure is not None for one in again) and _only_here(e, part, steps)
        ]
        if failing and part not in dead(e):
            steps = [step for found in failing for step in found]
            many = f"{len(failing)} of {len(by_place(looks))} places"
            return Finding(
                tuple(steps), 0.8, _mechanisms(steps), f"Of its {part} {many} fail here."
            )
    return None


# --- names ------------------------------------------------------------------------------------


@rule("services.name_denied", Tier.ACCUSED, Outcome.BLOCKED)
def name_denied(e: Evidence) -> Finding | None:
    """The resolver here denies a name of the service, and others have an address for it."""
    for part, looks in dead(e).items():
        for (host, _), again in by_place(looks).items():
            asked = [s for s in _asked(e, host) if s.resolver == "system"]
            how = dns.DENIED.get(asked[-1].failure) if asked and asked[-1].failure else None
            if how is None or any(one.dns is None for one in again) or len(asked) < 2:
                continue
            if any(s.failure is None for s in asked) or not _resolver_works(e, asked[-1]):
                continue
            sure = _known_elsewhere(e, part, host)
            if sure:
                reason = f"The resolver here denies {host} ({part}){besides(e, part)}."
                return Finding(tuple(asked), sure, (how,), reason)
    return None


@rule("services.name_misdirected", Tier.ACCUSED, Outcome.BLOCKED)
def name_misdirected(e: Evidence) -> Finding | None:
    """The resolver here gives somebody else's address for a name of the service."""
    for part, looks in dead(e).items():
        for (host, _), again in by_place(looks).items():
            asked = [s for s in _asked(e, host) if s.resolver == "system" and s.addresses]
            if len(asked) < 2 or not _known_elsewhere(e, part, host):
                continue
            shown = [s for one in again if (s := one.tls) is not None and _other_name(s)]
            bogus = all(is_bogon(a) for s in asked for a in s.addresses) and not e.record.lab
            if len(shown) > 1 or bogus:
                how = Mechanism.DNS_BOGON if bogus else Mechanism.DNS_WRONG_ADDRESS
                reason = f"The resolver here sends {host} ({part}) elsewhere{besides(e, part)}."
                return Finding((*asked, *shown), 0.9, (how,), reason)
    return None


def _asked(e: Evidence, host: str) -> list[Dns]:
    return [s for s in e.all(Dns) if s.name == host and s.type == "A"]


def _other_name(step: Tls) -> bool:
    return step.trust is not None and not step.trust.named


def _resolver_works(e: Evidence, denied: Dns) -> bool:
    """A plain denial is an answer; silence and errors need another name to be answered."""
    if denied.failure in dns.NO_ADDRESS:
        return True
    others = [s for s in e.steps if isinstance(s, Dns) and s.name != denied.name]
    return any(s.resolver == "system" and s.addresses for s in others)


def _known_elsewhere(e: Evidence, part: str, host: str) -> float:
    """How sure it is that the name has a real address, which is not where we were sent."""
    elsewhere = [s for s in e.all(Tls, role=Role.NEUTRAL) if s.sni == host]
    if any(s.trust is not None and s.trust.valid for s in elsewhere):
        return 0.95
    if _works_there(e, part):
        return 0.9 * e.control_weight
    others = [s for s in _asked(e, host) if s.resolver != "system" and s.addresses]
    return 0.8 if len({s.resolver for s in others}) > 1 and any(map(_sealed, others)) else 0.0


def _sealed(step: Dns) -> bool:
    return step.transport in {"doh", "dot"}


RULES: tuple[Rule, ...] = (
    name_stopped,
    stopped_here_only,
    all_silent_here,
    name_denied,
    name_misdirected,
    some_places_stopped,
)
