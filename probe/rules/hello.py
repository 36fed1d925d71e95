"""What the shape of a ClientHello changes, for one name and for a harmless one.

A hello says something of the name only where a harmless name is answered by the same hello, before
and after. A hello that no name is answered by is the server's limit, or acted upon for its shape.
"""

from probe.analysis.evidence import Evidence
from probe.compare import same_failure
from probe.failure import Failure
from probe.model import Outcome, Tls
from probe.rule import Finding, Tier, rule
from probe.rules.tls import MECHANISMS

EXPERIMENTS = ("hello",)
_STOPPED = frozenset({Failure.TIMEOUT, Failure.RESET, Failure.ABORTED, Failure.EOF})


def _offers(e: Evidence, hello: str) -> list[Tls]:
    return [s for s in e.all(Tls) if s.sni == e.host and s.hello == hello]


def _hellos(e: Evidence) -> tuple[str, ...]:
    return tuple(dict.fromkeys(s.hello for s in e.all(Tls) if s.sni == e.host))


def _answered(step: Tls) -> bool:
    """The server itself spoke: a handshake, or its own alert."""
    return step.answered and step.failure in {None, Failure.SSL_HANDSHAKE}


def _around(e: Evidence, step: Tls) -> tuple[Tls, ...]:
    """The harmless name, answered by the same hello at this address, just before and after."""
    alike = [s for s in e.harmless(Tls) if (s.hello, s.address) == (step.hello, step.address)]
    before = [s for s in alike if s.at <= step.at][-1:]
    after = [s for s in alike if s.at > step.at][:1]
    return (*before, *after) if before and after and all(map(_answered, before + after)) else ()


def stopped(e: Evidence, hello: str) -> tuple[Tls, ...]:
    """What shows that the name is stopped with this hello: at least two looks, and those around."""
    mine = _offers(e, hello)
    if len(mine) < 2 or any(s.failure not in _STOPPED for s in mine):
        return ()
    if not all(same_failure(s.failure, mine[0].failure) for s in mine):
        return ()
    around = [_around(e, s) for s in mine]
    return (*mine, *(s for both in around for s in both)) if all(around) else ()


def passes(e: Evidence, hello: str) -> bool:
    """The name is answered by this hello, every time."""
    mine = _offers(e, hello)
    return bool(mine) and all(_answered(s) for s in mine)


def _sorted(e: Evidence) -> tuple[list[str], list[str]]:
    """Hellos that are stopped for this name alone, and those that pass."""
    hellos = _hellos(e)
    return [h for h in hellos if stopped(e, h)], [h for h in hellos if passes(e, h)]


@rule("hello.name_stopped", Tier.ACCUSED, Outcome.BLOCKED)
def name_stopped(e: Evidence) -> Finding | None:
    """The usual hello with this name is stopped; with a harmless name it is answered."""
    steps = stopped(e, "default")
    if not steps or steps[0].failure is None:
        return None
    return Finding(steps, 0.93, mechanisms=(MECHANISMS[steps[0].failure],))


@rule("hello.usual_one_answered", Tier.LIKELY, Outcome.OK)
def usual_one_answered(e: Evidence) -> Finding | None:
    """The usual hello with this name is answered every time, and the handshake is completed."""
    mine = _offers(e, "default")
    fine = bool(mine) and all(s.failure is None for s in mine)
    return Finding(tuple(mine), 0.9) if fine else None


@rule("hello.only_some_stopped", Tier.NOTE, None)
def only_some_stopped(e: Evidence) -> Finding | None:
    """With this name some hellos are stopped and others pass: what is keyed on is between them."""
    shut, passing = _sorted(e)
    if not shut or not passing:
        return None
    reason = f"With this name, stopped: {', '.join(shut)}; passing: {', '.join(passing)}."
    steps = tuple(s for h in (*shut, *passing) for s in _offers(e, h)[-1:])
    return Finding(steps, 0.0, reason=reason)


@rule("hello.every_one_stopped", Tier.NOTE, None)
def every_one_stopped(e: Evidence) -> Finding | None:
    """Whatever the hello, this name is stopped: the name is read in every version and shape."""
    hellos = _hellos(e)
    shut, _ = _sorted(e)
    if len(shut) < 2 or len(shut) < len([h for h in hellos if not _unusable(e, h)]):
        return None
    return Finding(tuple(s for h in shut for s in _offers(e, h)[-1:]), 0.0)


def _unusable(e: Evidence, hello: str) -> bool:
    """No name at all is answered by this hello here."""
    both = [*_offers(e, hello), *(s for s in e.harmless(Tls) if s.hello == hello)]
    return len(both) > 2 and not any(s.failure is None for s in both)


@rule("hello.stopped_for_any_name", Tier.NOTE, None)
def stopped_for_any_name(e: Evidence) -> Finding | None:
    """A hello of some shape gets nothing back whatever the name; the usual one is answered."""
    usual = [s for s in e.harmless(Tls) if s.hello == "default"]
    if not usual or not all(map(_answered, usual)):
        return None
    mute = [h for h in _hellos(e) if _unusable(e, h) and _silenced(e, h)]
    if not mute:
        return None
    reason = f"Whatever the name, these hellos get nothing back here: {', '.join(mute)}."
    return Finding(tuple(s for h in mute for s in _offers(e, h)[-1:]), 0.0, reason=reason)


def _silenced(e: Evidence, hello: str) -> bool:
    """Nothing came back: an alert would be the server's own word on the hello."""
    both = [*_offers(e, hello), *(s for s in e.harmless(Tls) if s.hello == hello)]
    return all(s.bytes_in == 0 and s.failure in _STOPPED for s in both)


@rule("hello.nothing_to_compare", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_to_compare(e: Evidence) -> Finding | None:
    """The usual hello neither passes nor is shown to be stopped for this name alone."""
    return Finding(e.steps[-1:], 0.4)
