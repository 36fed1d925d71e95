"""Rules on shutdowns: which domestic and foreign sites the connection reaches."""

from collections.abc import Mapping

from probe.analysis.evidence import Evidence
from probe.analysis.shutdown import FOREIGN_LEAST, Mode, classify, reach, seen_twice
from probe.model import Mechanism, Outcome, Ping, Tcp
from probe.rule import Finding, InnocentExplanation, Tier, rule
from probe.rules.access import only_names_answered

EXPERIMENTS = ("connectivity",)


def _pings(e: Evidence) -> tuple[Ping, ...]:
    return tuple(step for step in e.steps if isinstance(step, Ping))


def _rounds(e: Evidence) -> dict[int, list[Ping]]:
    """The pings of each round, by its number."""
    rounds: dict[int, list[Ping]] = {}
    for ping in _pings(e):
        rounds.setdefault(ping.try_, []).append(ping)
    return rounds


def _modes(e: Evidence) -> list[tuple[float, Mode]]:
    """When each round began, and what it showed."""
    return [(min(p.at for p in pings), classify(reach(pings))) for pings in _rounds(e).values()]


def _last_mode(e: Evidence) -> Mode | None:
    """What the newest round showed."""
    found = _modes(e)
    return max(found)[1] if found else None


_CUTS: Mapping[Mode, tuple[Mechanism, str]] = {
    Mode.WHITELIST: (
        Mechanism.ACCESS_WHITELIST,
        "No foreign site and hardly any ordinary domestic site answers; whitelisted sites do",
    ),
    Mode.FOREIGN_CUT: (
        Mechanism.ACCESS_FOREIGN_CUT,
        "No foreign site answers, and domestic sites do",
    ),
}


@rule(
    "shutdown.cut_off",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "the gateway and servers at home answer",
        InnocentExplanation.SERVER: "unrelated servers abroad are silent together",
        InnocentExplanation.MEANS: "this machine has a route and a gateway that answers",
        InnocentExplanation.CHANCE: "measured twice, minutes apart",
    },
)
def cut_off(e: Evidence) -> Finding | None:
    """Two measurements minutes apart reached only a part of the network."""
    for mode, (how, words) in _CUTS.items():
        if seen_twice(mode, _modes(e)):
            reason = f"{words}: measured twice, minutes apart."
            return Finding(_pings(e), 0.9, (how,), reason)
    return None


@rule("shutdown.cut_off_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def cut_off_once(e: Evidence) -> Finding | None:
    """One measurement reached only a part of the network; a second one is missing."""
    for mode, (how, words) in _CUTS.items():
        if _last_mode(e) is mode and not seen_twice(mode, _modes(e)):
            reason = f"{words}: measured once; a second measurement is missing."
            if len(_modes(e)) > 1:
                reason = f"{words}: two measurements minutes apart, both alike, are missing."
            return Finding(_pings(e), 0.5, (how,), reason)
    return None


@rule("shutdown.reaches_abroad", Tier.LIKELY, Outcome.OK)
def reaches_abroad(e: Evidence) -> Finding | None:
    """Foreign sites answer: the connection is not cut."""
    return Finding(_pings(e), 0.9) if _last_mode(e) is Mode.NORMAL else None


_FILTERED = (
    "Foreign name servers accept connections, and hardly any site answers: a login page, failing "
    "DNS or a filter, not a cut connection."
)
_NO_NAMES = (
    "Foreign name servers accept connections at port 443 and none at port 53, and hardly any site "
    "answers: a DNS filter, not an operator that is down."
)
_NO_CLASSES = (
    "{up} of {total} configured anchors answer whose country is not known, so they count neither "
    "as domestic nor as foreign; their class can be said in the configuration."
)
_OFF: Mapping[Mode, str] = {
    Mode.OPERATOR_DOWN: "Only the home router answers: the operator is down.",
    Mode.HOME_DOWN: "The home router does not answer, so the network cannot be judged.",
    Mode.OFFLINE: "Nothing answers: this connection is offline.",
}


@rule("shutdown.offline", Tier.CAVEAT, Outcome.INCONCLUSIVE, Mechanism.ACCESS_OFFLINE)
def offline(e: Evidence) -> Finding | None:
    """Nothing answers on this connection."""
    mode = _last_mode(e) or Mode.NORMAL
    reason = (only_names_answered(e) if mode is Mode.OFFLINE else None) or _OFF.get(mode)
    return Finding(_pings(e), 0.9, reason=reason) if reason else None


@rule("shutdown.unclear", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def unclear(e: Evidence) -> Finding | None:
    """Some domestic sites answer and no foreign one does; the pattern fits no known shutdown."""
    if _last_mode(e) not in {Mode.UNCLEAR, None}:
        return None
    newest = max(_rounds(e).items(), default=(0, []))[1]
    seen = reach(newest)
    reason = _FILTERED if seen.addresses.up else _NO_NAMES if seen.ports.up else None
    if seen.unclassed.total and (seen.unclassed.up or seen.foreign.total < FOREIGN_LEAST):
        reason = _NO_CLASSES.format(up=seen.unclassed.up, total=seen.unclassed.total)
    return Finding(_pings(e), 0.4, reason=reason)


@rule("shutdown.ports_answer", Tier.NOTE, None)
def ports_answer(e: Evidence) -> Finding | None:
    """Some ports of a neutral server answer while sites do not: a filter, not a cut connection."""
    tried = [s for s in e.steps if isinstance(s, Tcp) and s.role == "neutral"]
    answering = [s for s in tried if s.failure is None or s.failure == "connection_refused"]
    if not answering or _last_mode(e) is Mode.NORMAL:
        return None
    ports = ", ".join(str(step.port) for step in answering)
    return Finding(tuple(answering), 0.7, reason=f"Ports {ports} of the neutral server answer.")
