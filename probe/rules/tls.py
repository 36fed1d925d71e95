"""What handshakes say, by comparing one name with another at the same address.

If the server answers a harmless name before and after, and never the target's, then only the name
can explain the difference. A harmless name that fails proves nothing.
"""

from collections.abc import Iterator

from probe.analysis.evidence import Evidence, by_address, failing, steadily
from probe.compare import same_failure
from probe.failure import Failure
from probe.model import Base, Mechanism, Outcome, Role, Tcp, Tls, TrustReason
from probe.rule import WEB, Finding, Tier, rule

EXPERIMENTS = WEB

MECHANISMS = {
    Failure.TIMEOUT: Mechanism.TLS_TIMEOUT,
    Failure.RESET: Mechanism.TLS_RESET,
    Failure.ABORTED: Mechanism.TLS_RESET,
    Failure.EOF: Mechanism.TLS_EOF,
    Failure.SSL_HANDSHAKE: Mechanism.TLS_ALERT,
}


def failing_handshakes(e: Evidence) -> Iterator[tuple[Tls, list[Tls]]]:
    """Attempts at one address that all failed in one way, and the one that says in which.

    A reset just after a connection is made is told now by the connection, now by the handshake.
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


@rule("tls.fails_for_this_name", Tier.ACCUSED, Outcome.BLOCKED)
def fails_for_this_name(e: Evidence) -> Finding | None:
    """TLS fails for this name, and answers for a harmless one at the same address."""
    for last, attempts in failing_handshakes(e):
        if last.failure is Failure.SSL_HANDSHAKE and not at_a_stranger(e, last)[0]:
            continue  # a server may itself refuse a name with an alert
        around = answered_around(e, attempts)
        shown = _not_the_server(e, last, attempts) if around else None
        if shown is not None:
            sure, steps = shown
            return Finding((*attempts, *around, *steps), sure, mechanisms=_mechanism(last))
    return None


def _not_the_server(
    e: Evidence, last: Tls, attempts: list[Tls]
) -> tuple[float, tuple[Tls, ...]] | None:
    """How sure it is that not the server itself is broken for this one name, and what shows it.

    A control that shook hands with it shows that; or the same failure at an unrelated server; or
    our own bytes, never confirmed: the kernel of a server that hangs confirms them. A reset or a
    close at its own address alone is believed, unless the unrelated server did answer this name.
    """
    if _control_shook(e):
        return 0.98, ()
    there, steps = at_a_stranger(e, last)
    if there:
        return 0.95, steps
    heard = {s.acknowledged for s in attempts if s.failure is Failure.TIMEOUT}
    if heard == {False}:
        return 0.93, ()
    return None if True in heard or there is False else (0.9, ())


def at_a_stranger(e: Evidence, mine: Tls) -> tuple[bool | None, tuple[Tls, ...]]:
    """Whether this name fails alike at an unrelated server that answers a harmless one around it.

    None: nobody asked, it was not well itself, or it is not unrelated.
    """
    for step in e.all(Tls, role=Role.NEUTRAL, hop=mine.hop):
        if step.sni != mine.sni or step.address == mine.address or e.same_operator(step):
            continue
        here = [s for s in e.harmless(Tls) if s.address == step.address and s.failure is None]
        before, after = [s for s in here if s.at < step.at], [s for s in here if s.at > step.at]
        if before and after and same_failure(step.failure, mine.failure):
            return True, (before[-1], step, after[0])
        if before and step.answered:
            return False, (step,)
    return None, ()


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
    """TLS bytes came back; a reset or a close after them is no answer."""
    return step.answered and step.failure in {None, Failure.SSL_HANDSHAKE}


def _control_shook(e: Evidence) -> bool:
    return any(s.failure is None for s in e.control_handshakes(e.end))


@rule("tls.fails_here_only", Tier.ACCUSED, Outcome.BLOCKED)
def fails_here_only(e: Evidence) -> Finding | None:
    """TLS with this address fails here every time, and works for the control."""
    shook = e.control_reached(e.end)
    for last, attempts in failing_handshakes(e):
        if _fails_there_too(e, last) or (_fails_for_any(e, last) and not e.control_after):
            continue
        if last.address in shook and e.alive_around(last):
            sure = 0.9 * e.control_weight
            return Finding(tuple(attempts), sure, mechanisms=_mechanism(last))
    return None


def _fails_there_too(e: Evidence, mine: Tls) -> bool:
    """Some control, at some time, failed there in the same way: it comes and goes."""
    there = [s for s in e.control(Tls) if s.sni == mine.sni and s.address == mine.address]
    return any(same_failure(s.failure, mine.failure) for s in there)


def _fails_for_any(e: Evidence, mine: Tls) -> bool:
    """No name at all is answered at this address: the server may have died since the control."""
    here = [s for s in e.harmless(Tls) if s.address == mine.address]
    return bool(here) and all(same_failure(s.failure, mine.failure) for s in here)


@rule("tls.address_blocked_after_trigger", Tier.ACCUSED, Outcome.BLOCKED)
def address_blocked_after_trigger(e: Evidence) -> Finding | None:
    """The address answers a harmless name, and nothing at all once this name was offered."""
    own = [s for s in e.handshakes(e.end) if s.port == e.port(e.end)]
    if any(s.failure is None for s in own):
        return None
    for trigger in own:
        around = _silenced(e, trigger)
        if around and trigger.failure in MECHANISMS:
            sure = 0.92 if _control_shook(e) else 0.8
            return Finding((*own, *around), sure, mechanisms=_mechanism(trigger))
    return None


def _silenced(e: Evidence, trigger: Tls) -> tuple[Base, ...]:
    """A harmless name answered here before this handshake, and none right after it."""
    here = [s for s in e.harmless(Tls) if s.address == trigger.address]
    before = [s for s in here if s.at < trigger.at and _really_answered(s)]
    later: list[Tcp | Tls] = [*e.harmless(Tcp), *e.harmless(Tls)]
    dead = [s for s in later if s.address == trigger.address and s.at > trigger.at]
    after = [s for s in dead if s.failure is not None]
    answered = [s for s in here if s.at > trigger.at and _really_answered(s)]
    return (*before[-1:], *after) if before and after and not answered else ()


@rule("tls.broken_everywhere", Tier.CLEARED, Outcome.DOWN)
def broken_everywhere(e: Evidence) -> Finding | None:
    """Nobody gets a handshake out of this site: the control's fail in the same way."""
    cut = [s for s in e.connections(e.end) if s.failure is Failure.RESET]
    mine: list[Tcp | Tls] = [*failing(e.handshakes(e.end)), *cut]
    led = [s for s in e.control(Tls, latest=True) if s.role is Role.TARGET]
    there = [s for s in led if s.sni == e.end_host]
    if len(mine) < 2 or not there or any(s.failure is None for s in there):
        return None
    if any(s.failure is None for s in e.handshakes(e.end)):
        return None
    if any(at_a_stranger(e, s)[0] for s in e.handshakes(e.end)[-1:]):
        return None  # it is the name that fails, at whatever server: the control is no better off
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
    """The site's own certificate is bad: the very same one is shown to the control."""
    from probe.compare import same_leaf

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
    """The site shows its own certificate, signed by a trusted authority, but out of its dates."""
    dated = {TrustReason.EXPIRED, TrustReason.NOT_YET_VALID}
    if not e.line.trusted_names:
        return None  # our own clock may be wrong: nothing else was valid here
    for step in reversed(e.handshakes(e.end)):
        trust = step.trust
        if trust and trust.anchored and trust.named and trust.reason in dated:
            return Finding((step,), 0.88)
    return None
