"""Rules on QUIC handshakes, compared by name at one address and by address with a control.

A server without QUIC, a firewall that blocks UDP and a censor all cause silence. So a name counts
as blocked only where a harmless one is answered at the same address; an address only where a
control was answered there, the server is alive over TCP, and QUIC works elsewhere from here.
"""

from collections.abc import Iterator

from probe.analysis.attempts import by_address, consistently
from probe.analysis.evidence import Evidence
from probe.analysis.http3 import offered
from probe.compare import same_failure
from probe.failure import Failure
from probe.model import Base, Mechanism, Outcome, Quic, Role, Tls
from probe.rule import Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = ("quic",)


def _own(e: Evidence) -> list[Quic]:
    return [s for s in e.all(Quic) if s.sni == e.host]


def _stopped(step: Quic) -> Mechanism | None:
    """How the handshake failed, if the network can be the cause."""
    if step.failure is Failure.TIMEOUT:
        return Mechanism.QUIC_TIMEOUT
    return Mechanism.QUIC_REFUSED if step.icmp is not None else None


def failing(e: Evidence) -> Iterator[list[Quic]]:
    """Attempts at one address that all failed in one way; nothing if any attempt succeeded."""
    own = _own(e)
    if any(s.failure is None for s in own):
        return
    for _, attempts in by_address(own):
        last = consistently(attempts)
        if last is not None and _stopped(last) is not None:
            yield attempts


def _mechanism(step: Quic) -> tuple[Mechanism, ...]:
    found = _stopped(step)
    return () if found is None else (found,)


def _answered(step: Quic) -> bool:
    """The server answered: a completed handshake, or its own refusal of a name."""
    return step.failure in {None, Failure.SSL_HANDSHAKE}


def _control_handshakes(e: Evidence) -> list[Quic]:
    return [s for s in e.control(Quic) if s.sni == e.host]


@rule(
    "quic.fails_for_this_name",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless name is answered there before and after",
        InnocentExplanation.SERVER: "a control succeeds, or the name fails at unrelated servers",
        InnocentExplanation.MEANS: "the harmless packets have the same form and size",
        InnocentExplanation.CHANCE: "at least two attempts between answered harmless ones",
    },
)
def fails_for_this_name(e: Evidence) -> Finding | None:
    """QUIC fails for this name and works for a harmless name at the same address."""
    for attempts in failing(e):
        last = attempts[-1]
        here = [s for s in e.harmless(Quic) if s.address == last.address and _answered(s)]
        before = [s for s in here if s.at < last.at]
        after = [s for s in here if s.at > last.at]
        if not before or not after:
            continue
        confidence = 0.97 if any(s.failure is None for s in _control_handshakes(e)) else 0.92
        if any(s.bytes_in for s in attempts):
            confidence -= 0.07  # some bytes came back: blocked later in the handshake, or lost
        around = (before[-1], after[-1])
        return Finding((*attempts, *around), confidence, mechanisms=_mechanism(last))
    return None


@rule(
    "quic.fails_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "other servers answer over QUIC",
        InnocentExplanation.SERVER: "a control completes the handshake at the same address",
        InnocentExplanation.MEANS: "QUIC works with other servers here",
        InnocentExplanation.CHANCE: "at least two attempts that fail alike",
    },
)
def fails_here_only(e: Evidence) -> Finding | None:
    """QUIC to this address fails here every time, and works for the control and to other sites."""
    there = _control_handshakes(e)
    reached = {s.address for s in there if s.failure is None}
    for attempts in failing(e):
        last = attempts[-1]
        if last.address not in reached or any(same_failure(s.failure, last.failure) for s in there):
            continue
        around = _references_around(e, last)
        alive = [s for s in e.all(Tls) if s.address == last.address and s.failure is None]
        if around and (alive or e.control_after):
            steps = (*attempts, *around, *alive[-1:])
            return Finding(steps, 0.88 * e.control_weight, mechanisms=_mechanism(last))
    return None


def _references_around(e: Evidence, last: Quic) -> tuple[Base, ...]:
    """The reference sites that answered over QUIC before and after; none unless both exist."""
    worked = [s for s in e.all(Quic, role=Role.REFERENCE) if s.failure is None]
    before = [s for s in worked if s.at < last.at]
    after = [s for s in worked if s.at > last.at]
    return (before[-1], after[-1]) if before and after else ()


@rule("quic.answers_this_name", Tier.PROVEN, Outcome.OK)
def answers_this_name(e: Evidence) -> Finding | None:
    """The site answered over QUIC with a certificate that proves its name."""
    given = e.system_addresses(0)
    proven = [
        s for s in _own(e) if s.failure is None and s.trust and s.trust.valid and s.address in given
    ]
    return Finding(tuple(proven[-1:]), 0.97) if proven else None


@rule("quic.broken_everywhere", Tier.CLEARED, Outcome.DOWN)
def broken_everywhere(e: Evidence) -> Finding | None:
    """The site offers HTTP/3, and QUIC fails here and for the control in the same way."""
    mine = _own(e)
    there = _control_handshakes(e)
    if len(mine) < 2 or not there or any(s.failure is None for s in (*mine, *there)):
        return None
    alike = all(any(same_failure(s.failure, t.failure) for t in mine) for s in there)
    return Finding(tuple(mine), 0.9 * e.control_weight) if alike else None


@rule("quic.not_offered", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def not_offered(e: Evidence) -> Finding | None:
    """The site does not offer HTTP/3, so QUIC cannot be tested."""
    if _own(e) or offered(e.host, e.steps) != 0:
        return None
    return Finding(e.steps[-1:], 0.9)


@rule("quic.nowhere_on_this_line", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nowhere_on_this_line(e: Evidence) -> Finding | None:
    """No site answers over QUIC on this connection: UDP port 443 may be closed for all sites."""
    tried = [s for s in e.steps if isinstance(s, Quic)]
    others = [s for s in tried if s.role is Role.REFERENCE]
    if not others or any(s.bytes_in for s in tried):
        return None
    return Finding(tuple(others), 0.8)


@rule("quic.no_name_is_answered", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_name_is_answered(e: Evidence) -> Finding | None:
    """A harmless name is not answered at this address either: the server may not speak QUIC."""
    mine, harmless = _own(e), e.harmless(Quic)
    if not mine or not harmless or any(_answered(s) for s in (*mine, *harmless)):
        return None
    return Finding((mine[-1], harmless[-1]), 0.7)


@rule("quic.nothing_fits", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_fits(e: Evidence) -> Finding | None:
    """The observations over QUIC show neither a working site nor interference."""
    return Finding(e.steps[-1:], 0.4)
