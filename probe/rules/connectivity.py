"""How far the line reaches: what a look at sites at home and abroad says of a shutdown."""

from collections.abc import Mapping

from probe.analysis.evidence import Evidence
from probe.analysis.shutdown import Mode, classify, reach, seen_twice
from probe.model import Mechanism, Outcome, Ping, Tcp
from probe.rule import Finding, Tier, rule

EXPERIMENTS = ("connectivity",)


def pings(e: Evidence) -> dict[int, list[Ping]]:
    """The looks of each round."""
    rounds: dict[int, list[Ping]] = {}
    for step in e.steps:
        if isinstance(step, Ping):
            rounds.setdefault(step.try_, []).append(step)
    return rounds


def modes(e: Evidence) -> list[tuple[float, Mode]]:
    """What each round showed, and when it began."""
    return [(min(p.at for p in looks), classify(reach(looks))) for looks in pings(e).values()]


def last_mode(e: Evidence) -> Mode | None:
    """What the newest look showed."""
    found = modes(e)
    return max(found)[1] if found else None


def _all(e: Evidence) -> tuple[Ping, ...]:
    return tuple(step for step in e.steps if isinstance(step, Ping))


_CUTS: Mapping[Mode, tuple[Mechanism, str]] = {
    Mode.WHITELIST: (
        Mechanism.ACCESS_WHITELIST,
        "Nothing abroad and hardly anything ordinary at home answers; what a list would pass does",
    ),
    Mode.FOREIGN_CUT: (
        Mechanism.ACCESS_FOREIGN_CUT,
        "Nothing abroad answers, and sites at home do",
    ),
}


@rule("shutdown.cut_off", Tier.ACCUSED, Outcome.BLOCKED)
def cut_off(e: Evidence) -> Finding | None:
    """Two looks minutes apart found only a part of the network within reach."""
    for mode, (how, words) in _CUTS.items():
        if seen_twice(mode, modes(e)):
            return Finding(_all(e), 0.9, (how,), f"{words}: twice, minutes apart.")
    return None


@rule("shutdown.cut_off_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def cut_off_once(e: Evidence) -> Finding | None:
    """One look found only a part of the network within reach: it must be seen again."""
    for mode, (how, words) in _CUTS.items():
        if last_mode(e) is mode and not seen_twice(mode, modes(e)):
            return Finding(_all(e), 0.5, (how,), f"{words}, in one look: it must be seen again.")
    return None


@rule("shutdown.reaches_abroad", Tier.LIKELY, Outcome.OK)
def reaches_abroad(e: Evidence) -> Finding | None:
    """Sites abroad answer: the line is whole."""
    return Finding(_all(e), 0.9) if last_mode(e) is Mode.NORMAL else None


_FILTERED = (
    "Name servers abroad take connections, and hardly any site answers: a login page, dead names "
    "or a filter, not a line that is cut."
)
_NO_NAMES = (
    "Name servers abroad take connections at port 443 and none at port 53, and hardly any site "
    "answers: a filter of names, and not an operator that is down."
)
_OFF: Mapping[Mode, str] = {
    Mode.OPERATOR_DOWN: "Nothing answers but the home's own router: the operator is down.",
    Mode.HOME_DOWN: "Not even the home's own router answers: this says nothing of the network.",
    Mode.OFFLINE: "Nothing answers: this line is offline.",
}


@rule("shutdown.offline", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
def offline(e: Evidence) -> Finding | None:
    """Nothing answers on this line."""
    reason = _OFF.get(last_mode(e) or Mode.NORMAL)
    return Finding(_all(e), 0.9, reason=reason) if reason else None


@rule("shutdown.unclear", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def unclear(e: Evidence) -> Finding | None:
    """Some sites at home answer and none abroad, in no pattern that has a name."""
    if last_mode(e) not in {Mode.UNCLEAR, None}:
        return None
    looks = max(pings(e).items(), default=(0, []))[1]
    seen = reach(looks)
    words = _FILTERED if seen.addresses.up else _NO_NAMES if seen.ports.up else None
    return Finding(_all(e), 0.4, reason=words)


@rule("shutdown.ports_answer", Tier.NOTE, None)
def ports_answer(e: Evidence) -> Finding | None:
    """Some ports of a server of ours answer while sites do not: a filter, not a pulled plug."""
    tried = [s for s in e.steps if isinstance(s, Tcp) and s.role == "neutral"]
    answering = [s for s in tried if s.failure is None or s.failure == "connection_refused"]
    if not answering or last_mode(e) is Mode.NORMAL:
        return None
    ports = ", ".join(str(step.port) for step in answering)
    return Finding(tuple(answering), 0.7, reason=f"Of our own server the ports {ports} answer.")
