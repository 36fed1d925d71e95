"""Rules that accuse the network of blocking a service: by its name, its addresses, or its DNS.

A part of a service is accused only when every one of its endpoints failed twice, and something
shows that they are alive: a harmless name at the same address, or a control at the same time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from probe.analysis.attempts import consistently
from probe.analysis.dns_answers import DENIED, NO_ADDRESS, cut_off
from probe.analysis.evidence import Evidence, is_live
from probe.analysis.once import once
from probe.analysis.service_attempts import (
    EndpointAttempt,
    by_endpoint,
    control_attempts,
    dead_parts,
    other_parts_answer,
    parts,
)
from probe.compare import is_bogon, same_failure
from probe.model import Base, Dns, Mechanism, Outcome, Ping, Role, Tcp, Tls
from probe.rule import Finding, InnocentExplanation, Tier, rule
from probe.rules import services, tcp, tls

EXPERIMENTS = services.EXPERIMENTS
_SEVERAL = 3

EndStep: TypeAlias = Tcp | Tls | Ping


# --- handshakes and connections ---------------------------------------------------------------


@rule(
    "services.name_stopped",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless name is answered there before and after",
        InnocentExplanation.SERVER: "a control succeeds at the endpoints",
        InnocentExplanation.MEANS: "the harmless hello has the same form and size",
        InnocentExplanation.CHANCE: "every endpoint of the part, twice",
    },
)
def name_stopped(e: Evidence) -> Finding | None:
    """TLS fails for the service's name and works for a harmless name at the same address."""
    for part, attempts in dead_parts(e).items():
        for same in _handshakes(attempts):
            last = consistently(same)
            if last is None or last.failure not in tls.MECHANISMS or last.alert is not None:
                continue
            around = tls.answered_around(e, same)
            if around:
                confidence = 0.96 if _works_for_control(e, part) else 0.92
                reason = f"TLS fails for {last.sni} ({part}), not for a harmless name"
                reason += f"{other_parts_answer(e, part)}."
                return Finding((*same, *around), confidence, _mechanisms([last]), reason)
    return None


def _handshakes(attempts: Sequence[EndpointAttempt]) -> Iterator[list[Tls]]:
    """The handshakes with each endpoint, at the address that was tried last."""
    for same in by_endpoint(attempts).values():
        shaken = [attempt.tls for attempt in same if attempt.tls is not None]
        if shaken:
            yield [s for s in shaken if s.address == shaken[-1].address]


@rule(
    "services.stopped_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "other servers answer right before and after",
        InnocentExplanation.SERVER: "a control reaches the same endpoints",
        InnocentExplanation.MEANS: "reference sites are reached in the same family",
        InnocentExplanation.CHANCE: "every endpoint of the part, twice",
    },
)
def stopped_here_only(e: Evidence) -> Finding | None:
    """Every endpoint of one part fails here, and the control reaches the same endpoints."""
    for part, attempts in dead_parts(e).items():
        failing = [steps for steps in _end_steps(attempts) if _only_here(e, part, steps)]
        if failing:
            steps = [step for found in failing for step in found]
            reason = f"Its {part} cannot be reached here, and the control reaches it"
            reason += f"{other_parts_answer(e, part)}."
            return Finding(tuple(steps), 0.94 * e.control_weight, _mechanisms(steps), reason)
    return None


@rule(
    "services.all_silent_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "reference sites answer",
        InnocentExplanation.SERVER: "many endpoints of several networks are silent together",
        InnocentExplanation.MEANS: "reference sites are reached in the same family",
        InnocentExplanation.CHANCE: "every endpoint of the part, twice",
    },
)
def all_silent_here(e: Evidence) -> Finding | None:
    """All of several endpoints of one part fail alike here; other servers answer on those ports."""
    for part, attempts in dead_parts(e).items():
        ended = list(_end_steps(attempts))
        alike = [steps for steps in ended if consistently(steps) is not None]
        failures = {steps[-1].failure for steps in alike}
        addresses = {steps[-1].address for steps in alike}
        if len(alike) < len(ended) or len(failures) != 1 or len(addresses) < _SEVERAL:
            continue
        there = control_attempts(e, part)
        if any(attempt.failure in failures for attempt in there) or not _works_for_control(e, part):
            continue
        steps = [step for found in alike for step in found]
        if _port_answers(e, {s.port for s in steps if s.port}) and e.alive_around(steps[-1]):
            reason = f"No endpoint of its {part} answers here; the control is answered"
            reason += f"{other_parts_answer(e, part)}."
            return Finding(tuple(steps), 0.85 * e.control_weight, _mechanisms(steps), reason)
    return None


def _end_steps(attempts: Sequence[EndpointAttempt]) -> Iterator[list[EndStep]]:
    """The last steps of the attempts at each endpoint, where an address was reached twice."""
    for same in by_endpoint(attempts).values():
        ended = [step for one in same if (step := one.tls or one.exchange or one.tcp) is not None]
        if len(ended) > 1:
            yield [step for step in ended if step.address == ended[-1].address]


def _only_here(e: Evidence, part: str, steps: Sequence[EndStep]) -> bool:
    """The attempts at one address fail alike here every time, and never for a control."""
    last = consistently(list(steps))
    there = _controls_at(e, part).get((last.address, last.port), ()) if last is not None else ()
    if last is None or not any(_got_further(attempt, last) for attempt in there):
        return False
    if any(same_failure(attempt.failure, last.failure) for attempt in there):
        return False
    return e.alive_around(last)


@once
def _controls_at(
    e: Evidence, part: str
) -> dict[tuple[str | None, int | None], list[EndpointAttempt]]:
    """The controls' attempts at one part, by address and port."""
    found: dict[tuple[str | None, int | None], list[EndpointAttempt]] = {}
    for attempt in control_attempts(e, part):
        tcp = attempt.tcp
        if tcp is not None:
            found.setdefault((tcp.address, tcp.port), []).append(attempt)
    return found


def _got_further(attempt: EndpointAttempt, failed: EndStep) -> bool:
    """The control's attempt succeeded at the step where ours failed."""
    step: Base | None = attempt.tcp
    if isinstance(failed, Tls):
        step = attempt.tls
    elif isinstance(failed, Ping):
        step = attempt.exchange
    return step is not None and step.failure is None


def _works_for_control(e: Evidence, part: str) -> bool:
    return any(attempt.failure is None for attempt in control_attempts(e, part))


def _port_answers(e: Evidence, ports: set[int]) -> bool:
    """Another server answered on one of these ports."""
    others = [s for s in e.steps if s.role in {Role.REFERENCE, Role.HARMLESS} and is_live(s)]
    return any(isinstance(s, Tcp | Tls) and s.port in ports for s in others)


def _mechanisms(steps: Iterable[EndStep]) -> tuple[Mechanism, ...]:
    found: dict[Mechanism, None] = {}
    for step in steps:
        known = tls.MECHANISMS if isinstance(step, Tls) else tcp.MECHANISMS
        if step.failure is not None and step.failure in known:
            found[known[step.failure]] = None
    return tuple(found)


@rule("services.some_places_stopped", Tier.NOTE, None)
def some_places_stopped(e: Evidence) -> Finding | None:
    """Some endpoints fail here and not for the control; the part works through the others."""
    for part, attempts in parts(e).items():
        endpoints = by_endpoint(attempts)
        failing = [
            steps
            for same in endpoints.values()
            for steps in _end_steps(same)
            if all(one.failure is not None for one in same) and _only_here(e, part, steps)
        ]
        if failing and part not in dead_parts(e):
            steps = [step for found in failing for step in found]
            reason = f"Of its {part}, {len(failing)} of {len(endpoints)} endpoints fail here."
            return Finding(tuple(steps), 0.8, _mechanisms(steps), reason)
    return None


# --- names ------------------------------------------------------------------------------------


@rule(
    "services.name_denied",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.RESOLVER: "the resolver answers for other names",
        InnocentExplanation.SERVER: "other resolvers give an address",
        InnocentExplanation.CHANCE: "at least two queries",
    },
)
def name_denied(e: Evidence) -> Finding | None:
    """The system resolver denies a name of the service, and other resolvers have an address."""
    for part, attempts in dead_parts(e).items():
        for (host, _), same in by_endpoint(attempts).items():
            own = [s for s in _queries(e, host) if s.resolver == "system"]
            asked = [s for s in own if not cut_off(s)]
            how = DENIED.get(asked[-1].failure) if asked and asked[-1].failure else None
            if how is None or any(one.dns is None for one in same) or len(asked) < 2:
                continue
            if any(s.failure is None for s in asked) or not _resolver_works(e, asked[-1]):
                continue
            confidence = _known_elsewhere(e, part, host)
            if confidence:
                reason = f"The system resolver denies {host} ({part})"
                reason += f"{other_parts_answer(e, part)}."
                return Finding(tuple(asked), confidence, (how,), reason)
    return None


@rule(
    "services.name_misdirected",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.RESOLVER: "the resolver answers for other names",
        InnocentExplanation.SERVER: "other resolvers give another address, which works",
        InnocentExplanation.CHANCE: "at least two queries",
    },
)
def name_misdirected(e: Evidence) -> Finding | None:
    """The system resolver gives another server's address for a name of the service."""
    for part, attempts in dead_parts(e).items():
        for (host, _), same in by_endpoint(attempts).items():
            asked = [s for s in _queries(e, host) if s.resolver == "system" and s.addresses]
            if len(asked) < 2 or not _known_elsewhere(e, part, host):
                continue
            shaken = [one.tls for one in same if one.tls is not None]
            wrong = [s for s in shaken if s.trust is not None and not s.trust.named]
            bogus = all(is_bogon(a) for s in asked for a in s.addresses) and not e.record.lab
            if len(wrong) > 1 or bogus:
                how = Mechanism.DNS_BOGON if bogus else Mechanism.DNS_WRONG_ADDRESS
                reason = f"The system resolver gives a wrong address for {host} ({part})"
                reason += f"{other_parts_answer(e, part)}."
                return Finding((*asked, *wrong), 0.9, (how,), reason)
    return None


def _queries(e: Evidence, host: str) -> list[Dns]:
    return [s for s in e.all(Dns) if s.name == host and s.type == "A"]


def _resolver_works(e: Evidence, denied: Dns) -> bool:
    """A denial is an answer; after a silence or an error, another name must be answered."""
    if denied.failure in NO_ADDRESS:
        return True
    others = [s for s in e.steps if isinstance(s, Dns) and s.name != denied.name]
    return any(s.resolver == "system" and s.addresses for s in others)


def _known_elsewhere(e: Evidence, part: str, host: str) -> float:
    """The confidence that the name has a real address other than the one given here."""
    elsewhere = [s for s in e.all(Tls, role=Role.NEUTRAL) if s.sni == host]
    if any(s.trust is not None and s.trust.valid for s in elsewhere):
        return 0.95
    if _works_for_control(e, part):
        return 0.9 * e.control_weight
    others = [s for s in _queries(e, host) if s.resolver != "system" and s.addresses]
    encrypted = any(s.transport in {"doh", "dot"} for s in others)
    return 0.8 if encrypted and len({s.resolver for s in others}) > 1 else 0.0
