"""Rules on TLS handshakes, which compare the target's name with a harmless one at one address.

If the server answers a harmless name before and after, and never the target's, then only the name
can explain the difference. A harmless name that fails proves nothing.
"""

from collections.abc import Iterator

from probe.analysis.attempts import by_address, failing, steadily
from probe.analysis.evidence import Evidence
from probe.compare import same_failure, same_leaf
from probe.failure import Failure
from probe.model import Base, Mechanism, Outcome, Role, Tcp, Tls, TrustReason
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = WEB
# Handshakes with unrelated servers that are compared; a probe makes a few.
SERVERS = 32

MECHANISMS = {
    Failure.TIMEOUT: Mechanism.TLS_TIMEOUT,
    Failure.RESET: Mechanism.TLS_RESET,
    Failure.ABORTED: Mechanism.TLS_RESET,
    Failure.EOF: Mechanism.TLS_EOF,
    Failure.SSL_HANDSHAKE: Mechanism.TLS_ALERT,
}


def failing_handshakes(e: Evidence) -> Iterator[tuple[Tls, list[Tls]]]:
    """For each address whose attempts all failed alike: the decisive one, and all of them.

    The kernel reports a reset right after the connection at the connection or at the handshake.
    """
    shaken = [s for s in e.handshakes(e.end) if s.port == e.port(e.end)]
    if any(s.failure is None for s in shaken if s.address in e.system_addresses(e.end)):
        return
    connections = e.connections(e.end)
    for address, attempts in by_address(shaken):
        cut = [s for s in connections if s.address == address and s.failure is Failure.RESET]
        seen: list[Tcp | Tls] = [*attempts, *cut]
        last = steadily(attempts) or attempts[-1] if steadily(seen) else None
        if last is None or last.failure not in MECHANISMS:
            continue
        if last.failure is Failure.SSL_HANDSHAKE and last.alert_by != "peer":
            continue
        yield last, attempts


def _mechanism(step: Tls) -> tuple[Mechanism, ...]:
    return (MECHANISMS[step.failure],) if step.failure is not None else ()


@rule(
    "tls.fails_for_this_name",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless name is answered there before and after",
        InnocentExplanation.SERVER: "an unrelated server fails for it, or else a control works",
        InnocentExplanation.MEANS: "the harmless hello has the same form and size",
        InnocentExplanation.CHANCE: "at least two attempts between answered harmless ones",
    },
)
def fails_for_this_name(e: Evidence) -> Finding | None:
    """TLS fails for this name and works for a harmless name at the same address."""
    for last, attempts in failing_handshakes(e):
        if last.failure is Failure.SSL_HANDSHAKE and not at_unrelated_server(e, last)[0]:
            continue  # a server may itself refuse a name with an alert
        around = answered_around(e, attempts)
        proof = not_the_server(e, last, attempts) if around else None
        if proof is not None:
            confidence, steps = proof
            steps = (*attempts, *around, *steps)
            return Finding(steps, confidence, mechanisms=_mechanism(last))
    return None


def not_the_server(
    e: Evidence, last: Tls, attempts: list[Tls]
) -> tuple[float, tuple[Tls, ...]] | None:
    """The confidence that the server is not itself broken for this name, and the steps behind it.

    The same failure at an unrelated server shows it, or an answer to a hello that was cut into
    other segments, which no server sees, or packets that are stopped far before the server. Another
    server's answer leaves the site's own, which may turn away this client alone. Where
    no unrelated server could be offered the name, these count: a completed handshake of a control,
    our own bytes that TCP never acknowledged (the kernel of a hanging server acknowledges them), or
    a reset or a close at the own address alone.
    """
    control = _control_shook(e)
    there, steps = at_unrelated_server(e, last)
    if there:
        return (0.98 if control else 0.95), steps
    if on_the_way := stopped_on_the_way(e, last):
        return (0.98 if control else 0.93), on_the_way
    if there is False:
        return None
    acknowledged = {s.acknowledged for s in attempts if s.failure is Failure.TIMEOUT}
    if control or acknowledged == {False}:
        return 0.93, ()
    return None if True in acknowledged else (0.9, ())


def stopped_on_the_way(e: Evidence, mine: Tls) -> tuple[Tls, ...]:
    """What shows that this failure is made before the server, besides other servers' answers."""
    cut = [s for s in e.all(Tls, role=Role.NEUTRAL) if s.hello == "split" and s.sni == mine.sni]
    answered = [s for s in cut if s.address == mine.address and s.failure is None]
    place, stop = e.place, e.stop
    if place is not None and place.address == mine.address and stop and stop.by == "network":
        return tuple(s for s in place.steps if isinstance(s, Tls))
    return tuple(answered[-1:])


def at_unrelated_server(e: Evidence, mine: Tls) -> tuple[bool | None, tuple[Tls, ...]]:
    """Whether this name fails alike at an unrelated server that answers a harmless one around it.

    None: not tried, or the server failed for the harmless name too. A server of the same operator
    shows nothing by a failure; by an answer it does.
    """
    for step in e.all(Tls, role=Role.NEUTRAL, hop=mine.hop)[:SERVERS]:
        if step.sni != mine.sni or step.address == mine.address:
            continue
        here = [s for s in e.harmless(Tls) if s.address == step.address and s.failure is None]
        before, after = [s for s in here if s.at < step.at], [s for s in here if s.at > step.at]
        failed = same_failure(step.failure, mine.failure)
        if before and failed and (after or _is_punished(e, step)) and not e.same_operator(step):
            return True, (before[-1], step, *after[:1])
        if before and step.answered:
            return False, (step,)
    return None, ()


def _is_punished(e: Evidence, step: Tls) -> bool:
    """Its address answers nothing since, and a reference site does: the line did not go away."""
    references = [s for s in e.all(Tls, role=Role.REFERENCE) if s.at > step.at and s.answered]
    return bool(references and punished_since(e, step))


def punished_since(e: Evidence, trigger: Tls) -> tuple[Base, ...]:
    """What failed at this address after a name was offered, if nothing was answered there since."""
    later: list[Tcp | Tls] = []
    for role in (Role.TARGET, Role.HARMLESS):
        later += [*e.all(Tcp, role=role), *e.all(Tls, role=role)]
    here = [s for s in later if s.address == trigger.address and s.at > trigger.at]
    answered = any(isinstance(s, Tls) and _really_answered(s) for s in here)
    return () if answered else tuple(s for s in here if s.failure is not None)


def answered_around(e: Evidence, attempts: list[Tls]) -> tuple[Tls, ...]:
    """Harmless handshakes at this address: one before the last failing attempt, one after it."""
    last = max(attempts, key=lambda s: s.at)
    here = [
        s
        for s in e.harmless(Tls)
        if s.address == last.address and s.port == last.port and _really_answered(s)
    ]
    before = [s for s in here if s.at <= last.at]
    after = [s for s in here if s.at > last.at]
    if not after or not (before or len(after) > 1):
        return ()
    return (*before[-1:], *after[-1:])


def _really_answered(step: Tls) -> bool:
    """TLS bytes came back, and the connection was not reset or closed after them."""
    return step.answered and step.failure in {None, Failure.SSL_HANDSHAKE}


def _control_shook(e: Evidence) -> bool:
    return any(s.failure is None for s in e.control_handshakes(e.end))


@rule(
    "tls.fails_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "other servers answer right before and after",
        InnocentExplanation.SERVER: "a control completes the handshake at the same address",
        InnocentExplanation.CHANCE: "at least two attempts that fail alike",
    },
)
def fails_here_only(e: Evidence) -> Finding | None:
    """TLS with this address fails here every time, and works for the control."""
    reached = e.control_reached(e.end)
    for last, attempts in failing_handshakes(e):
        # A control that failed here in the same way at any time: the failure comes and goes.
        there = [s for s in e.control(Tls) if s.sni == last.sni and s.address == last.address]
        if any(same_failure(s.failure, last.failure) for s in there):
            continue
        # Harmless names fail too: the server may have gone down after the control measurement, or
        # have banned this client, where it fails in another way since.
        here = [s for s in e.harmless(Tls) if s.address == last.address]
        alike = all(same_failure(s.failure, last.failure) for s in here)
        down = bool(here) and not any(s.answered for s in here)
        if down and not (alike and e.control_after):
            continue
        if last.address in reached and e.alive_around(last):
            confidence = 0.9 * e.control_weight
            return Finding(tuple(attempts), confidence, mechanisms=_mechanism(last))
    return None


@rule(
    "tls.address_blocked_after_trigger",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless name was answered before",
        InnocentExplanation.SERVER: "an unrelated server fails for it, or packets stop on the way",
        InnocentExplanation.MEANS: "the harmless hello has the same form and size",
        InnocentExplanation.CHANCE: "every later attempt fails",
    },
)
def address_blocked_after_trigger(e: Evidence) -> Finding | None:
    """The address answers nothing after this name was offered, and a harmless name was answered."""
    own = [s for s in e.handshakes(e.end) if s.port == e.port(e.end)]
    if any(s.failure is None for s in own):
        return None
    for trigger in own:
        after = punished_since(e, trigger)
        if not after or trigger.failure not in MECHANISMS:
            continue
        there, elsewhere = at_unrelated_server(e, trigger)
        before = _answered_before(e, trigger)
        if before or there:
            confidence = 0.97 if _control_shook(e) else 0.94
            shown = (*own, *before, *after, *elsewhere)
            return Finding(shown, confidence, mechanisms=_mechanism(trigger))
    return None


def _answered_before(e: Evidence, trigger: Tls) -> tuple[Tls, ...]:
    """The last harmless handshake that its address answered before this one."""
    here = [s for s in e.harmless(Tls) if s.address == trigger.address and s.at < trigger.at]
    return tuple([s for s in here if _really_answered(s)][-1:])


@rule("tls.broken_everywhere", Tier.CLEARED, Outcome.DOWN)
def broken_everywhere(e: Evidence) -> Finding | None:
    """TLS handshakes with this site fail here and for the control in the same way."""
    cut = [s for s in e.connections(e.end) if s.failure is Failure.RESET]
    mine: list[Tcp | Tls] = [*failing(e.handshakes(e.end)), *cut]
    led = [s for s in e.control(Tls, latest=True) if s.role is Role.TARGET]
    there = [s for s in led if s.sni == e.end_host]
    if len(mine) < 2 or not there or any(s.failure is None for s in there):
        return None
    if any(s.failure is None for s in e.handshakes(e.end)):
        return None
    if any(at_unrelated_server(e, s)[0] for s in e.handshakes(e.end)[-1:]):
        return None  # the name fails at every server, so the control may be filtered too
    alike = any(same_failure(s.failure, t.failure) for t in mine for s in there)
    return Finding(tuple(mine), 0.93 * e.control_weight) if alike else None


_OWN_FAULTS = {
    TrustReason.EXPIRED,
    TrustReason.NOT_YET_VALID,
    TrustReason.SELF_SIGNED,
    TrustReason.UNKNOWN_AUTHORITY,
    TrustReason.HOSTNAME,
    TrustReason.REJECTED,
    TrustReason.MALFORMED,
}


@rule("tls.own_bad_certificate", Tier.CLEARED, Outcome.DOWN)
def own_bad_certificate(e: Evidence) -> Finding | None:
    """The site's own certificate is invalid: the control gets the same certificate."""
    for step in reversed(e.handshakes(e.end)):
        if step.trust is None or step.trust.valid or step.trust.reason not in _OWN_FAULTS:
            continue
        if step.trust.authority is not None and step.trust.authority.kind == "national":
            continue
        if any(same_leaf(step, there) for there in e.control_handshakes(e.end)):
            return Finding((step,), 0.95 * e.control_weight)
    return None


@rule("tls.own_expired_certificate", Tier.CLEARED, Outcome.DOWN)
def own_expired_certificate(e: Evidence) -> Finding | None:
    """The site's own certificate, by a trusted authority, has expired or is not valid yet."""
    dated = {TrustReason.EXPIRED, TrustReason.NOT_YET_VALID}
    if not e.line.trusted_names:
        return None  # no certificate was valid here, so this machine's clock may be wrong
    if any(s.trust is not None and s.trust.valid for s in e.control_handshakes(e.end)):
        return None  # the site has a valid one elsewhere
    for step in reversed(e.handshakes(e.end)):
        trust = step.trust
        if trust and trust.anchored and trust.named and trust.reason in dated:
            return Finding((step,), 0.88)
    return None
