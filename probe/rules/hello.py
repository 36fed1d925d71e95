"""Rules that compare shapes of the ClientHello, with the target's name and with a harmless one.

A failing hello tests the name only where the same hello with a harmless name is answered, before
and after. A hello that fails with every name is unsupported by the server or blocked for its shape.
"""

from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.compare import same_failure
from probe.failure import Failure
from probe.model import Outcome, Role, Tcp, Tls
from probe.rule import Finding, InnocentExplanation, Tier, rule
from probe.rules.tls import MECHANISMS, not_the_server

EXPERIMENTS = ("hello",)
_STOPPED = frozenset({Failure.TIMEOUT, Failure.RESET, Failure.ABORTED, Failure.EOF})


@once
def _offers(e: Evidence, hello: str) -> list[Tls]:
    return [s for s in e.all(Tls) if s.sni == e.host and s.hello == hello]


@once
def _hellos(e: Evidence) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.hello for s in e.all(Tls) if s.sni == e.host))


def _answered(step: Tls) -> bool:
    """The server answered: a completed handshake, or its own alert."""
    return step.answered and step.failure in {None, Failure.SSL_HANDSHAKE}


def _around(e: Evidence, step: Tls) -> tuple[Tls, ...]:
    """The answered handshakes with the harmless name, same hello and address, before and after."""
    alike = [s for s in e.harmless(Tls) if (s.hello, s.address) == (step.hello, step.address)]
    before = [s for s in alike if s.at <= step.at][-1:]
    after = [s for s in alike if s.at > step.at][:1]
    return (*before, *after) if before and after and all(map(_answered, before + after)) else ()


@once
def stopped(e: Evidence, hello: str) -> tuple[Tls, ...]:
    """The proof that the name is blocked with this hello: two attempts and those around each."""
    mine = _offers(e, hello)
    if len(mine) < 2 or any(s.failure not in _STOPPED for s in mine):
        return ()
    if not all(same_failure(s.failure, mine[0].failure) for s in mine):
        return ()
    around = [_around(e, s) for s in mine]
    return (*mine, *(s for both in around for s in both)) if all(around) else ()


@once
def passes(e: Evidence, hello: str) -> bool:
    """This hello with the name is answered every time."""
    mine = _offers(e, hello)
    return bool(mine) and all(_answered(s) for s in mine)


def _sorted(e: Evidence) -> tuple[list[str], list[str]]:
    """The hellos that are blocked for this name alone, and those that pass."""
    hellos = _hellos(e)
    return [h for h in hellos if stopped(e, h)], [h for h in hellos if passes(e, h)]


@rule(
    "hello.name_stopped",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless name is answered by the same hello",
        InnocentExplanation.SERVER: "no control fails alike, and a silent server took no data",
        InnocentExplanation.MEANS: "both names use the same hello",
        InnocentExplanation.CHANCE: "at least two attempts between answered harmless ones",
    },
)
def name_stopped(e: Evidence) -> Finding | None:
    """The default hello with this name is blocked; with a harmless name it is answered."""
    steps = stopped(e, "default")
    if not steps or steps[0].failure is None:
        return None
    mine = _offers(e, "default")
    if not_the_server(e, mine[-1], mine) is None:
        return None  # the server took what was sent, and may itself be silent about this name
    return Finding(steps, 0.93, mechanisms=(MECHANISMS[steps[0].failure],))


@rule("hello.broken_everywhere", Tier.CLEARED, Outcome.DOWN)
def broken_everywhere(e: Evidence) -> Finding | None:
    """The default hello with this name fails here and for the control in the same way."""
    mine = [s for s in _offers(e, "default") if s.failure in _STOPPED]
    led = [s for s in e.control(Tls, latest=True) if s.role is Role.TARGET and s.sni == e.host]
    if len(mine) < 2 or not led or any(s.failure is None for s in led) or passes(e, "default"):
        return None
    alike = any(same_failure(s.failure, t.failure) for t in mine for s in led)
    return Finding(tuple(mine), 0.9 * e.control_weight) if alike else None


@rule("hello.usual_one_answered", Tier.LIKELY, Outcome.OK)
def usual_one_answered(e: Evidence) -> Finding | None:
    """The default hello with this name is answered every time, and the handshake is completed."""
    mine = _offers(e, "default")
    fine = bool(mine) and all(s.failure is None for s in mine)
    return Finding(tuple(mine), 0.9) if fine else None


@rule("hello.only_some_stopped", Tier.NOTE, None)
def only_some_stopped(e: Evidence) -> Finding | None:
    """With this name some hellos are blocked and others pass: the filter keys on the difference."""
    blocked, passing = _sorted(e)
    if not blocked or not passing:
        return None
    reason = f"With this name, blocked: {', '.join(blocked)}; passing: {', '.join(passing)}."
    steps = tuple(s for h in (*blocked, *passing) for s in _offers(e, h)[-1:])
    return Finding(steps, 0.0, reason=reason)


@rule("hello.every_one_stopped", Tier.NOTE, None)
def every_one_stopped(e: Evidence) -> Finding | None:
    """This name is blocked with every hello: the filter reads it in every version and shape."""
    blocked, _ = _sorted(e)
    usable = [h for h in _hellos(e) if not _unusable(e, h)]
    if len(blocked) < 2 or len(blocked) < len(usable):
        return None
    return Finding(tuple(s for h in blocked for s in _offers(e, h)[-1:]), 0.0)


def _with_any_name(e: Evidence, hello: str) -> list[Tls]:
    return [*_offers(e, hello), *(s for s in e.harmless(Tls) if s.hello == hello)]


def _unusable(e: Evidence, hello: str) -> bool:
    """This hello never leads to a handshake here, with any name."""
    both = _with_any_name(e, hello)
    return len(both) > 2 and not any(s.failure is None for s in both)


@rule("hello.stopped_for_any_name", Tier.NOTE, None)
def stopped_for_any_name(e: Evidence) -> Finding | None:
    """A hello of some shape gets no answer with any name; the default hello is answered."""
    usual = [s for s in e.harmless(Tls) if s.hello == "default"]
    if not usual or not all(map(_answered, usual)):
        return None
    silent = [h for h in _hellos(e) if _unusable(e, h) and _unanswered(e, h)]
    if not silent:
        return None
    reason = f"These hellos get no answer here with any name: {', '.join(silent)}."
    return Finding(tuple(s for h in silent for s in _offers(e, h)[-1:]), 0.0, reason=reason)


def _unanswered(e: Evidence, hello: str) -> bool:
    """No byte came back; an alert would be the server's own refusal of the hello."""
    return all(s.bytes_in == 0 and s.failure in _STOPPED for s in _with_any_name(e, hello))


@rule("hello.stopped_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def stopped_once(e: Evidence) -> Finding | None:
    """A hello with this name was stopped, and then the address answered a harmless one no longer.

    A middlebox that blocks the address after one hello allows no comparison of hellos.
    """
    same = [s for s in e.steps if isinstance(s, Tcp | Tls) and s.role is not Role.REFERENCE]
    looks = [s for s in same if isinstance(s, Tls) or s.failure is not None]
    for before, mine, after in zip(looks, looks[1:], looks[2:], strict=False):
        roles = (before.role, mine.role, after.role)
        if roles != (Role.HARMLESS, Role.TARGET, Role.HARMLESS) or not isinstance(mine, Tls):
            continue
        fine = isinstance(before, Tls) and _answered(before) and not mine.bytes_in
        if fine and {mine.failure, after.failure} <= _STOPPED:
            return Finding((before, mine, after), 0.55)
    return None


@rule("hello.nothing_sent", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_sent(e: Evidence) -> Finding | None:
    """No hello was sent: the target is an address or has none, or no harmless name is known."""
    sent = any(isinstance(s, Tls | Tcp) and s.role is not Role.REFERENCE for s in e.steps)
    return None if sent else Finding(e.steps[-1:], 0.5)


@rule("hello.nothing_to_compare", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_to_compare(e: Evidence) -> Finding | None:
    """The default hello does not pass every time, and no proof shows that the name is blocked."""
    return Finding(e.steps[-1:], 0.4)
