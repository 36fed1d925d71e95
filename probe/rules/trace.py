"""Rules on traces: where on the path a name is acted upon. They never conclude `ok`.

An accusation needs a place well before the server, in several flows, and outside the server's own
network where a table of networks shows it. What a trace saw besides is said as what it is.
"""

from collections.abc import Iterator

from probe.analysis import trace_analysis
from probe.analysis.evidence import Evidence
from probe.analysis.path_networks import words
from probe.analysis.trace_analysis import TraceFinding
from probe.analysis.trace_hops import LAYERS, HopResult, Layer, hops
from probe.model import Base, Mechanism, Outcome, Role, Tls
from probe.rule import Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = ("trace",)

_MECHANISMS: dict[tuple[Layer, HopResult], Mechanism] = {
    ("tls", HopResult.RESET): Mechanism.TLS_RESET,
    ("tls", HopResult.SILENT): Mechanism.TLS_TIMEOUT,
    ("tls", HopResult.CLOSED): Mechanism.TLS_EOF,
    ("http", HopResult.RESET): Mechanism.HTTP_RESET,
    ("http", HopResult.SILENT): Mechanism.HTTP_TIMEOUT,
    ("http", HopResult.CLOSED): Mechanism.HTTP_EOF,
    ("http", HopResult.ANSWERED): Mechanism.HTTP_INJECTED,
    ("dns", HopResult.ANSWERED): Mechanism.DNS_INJECTED,
    ("dns", HopResult.SILENT): Mechanism.DNS_TIMEOUT,
    ("dns", HopResult.RESET): Mechanism.DNS_REFUSED,
    ("dns", HopResult.CLOSED): Mechanism.DNS_REFUSED,
}


def findings(e: Evidence) -> Iterator[TraceFinding]:
    """What the trace found, layer by layer."""
    for layer in LAYERS:
        found = trace_analysis.locate(e.steps, layer)
        if found is not None:
            yield found


def _by_the_network(e: Evidence, found: TraceFinding) -> bool:
    """It is far before the server, beyond the home, and not in the server's own network."""
    return found.early and found.by > 1 and e.stop_of(found).by == "network"


@rule(
    "path.acted_upon_on_the_way",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless name crosses the same routers in the same flows",
        InnocentExplanation.SERVER: "the packets came nowhere near the server or its network",
        InnocentExplanation.MEANS: "both names use the same limited packets",
        InnocentExplanation.CHANCE: "several flows at one distance",
    },
)
def acted_upon_on_the_way(e: Evidence) -> Finding | None:
    """This name, unlike a harmless one, triggers a middlebox before its packets reach the site."""
    early = [f for f in findings(e) if _by_the_network(e, f)]
    if not early:
        return None
    where = " ".join(f"{f.layer.upper()}: {_location(e, f)}." for f in early)
    return Finding(
        tuple(step for f in early for step in f.steps),
        0.95,
        tuple(_mechanism(f) for f in early),
        f"A middlebox acts upon this name before its packets reach the server. {where}",
    )


def _mechanism(found: TraceFinding) -> Mechanism:
    """An answer to a ClientHello is a forged chain or an alert."""
    if (found.layer, found.result) != ("tls", HopResult.ANSWERED):
        return _MECHANISMS[found.layer, found.result]
    chains = any(isinstance(step, Tls) and step.chain for step in found.steps)
    return Mechanism.TLS_MITM if chains else Mechanism.TLS_ALERT


def _location(e: Evidence, found: TraceFinding) -> str:
    """What the packets meet, between which hops and in whose network, for a sentence."""
    where = (
        f"{found.result} between hop {found.after} and hop {found.by}"
        if found.after
        else f"{found.result} before hop {found.by}"
    )
    position = {"in": ", in-path", "on": ", on-path", None: ""}[found.position]
    network = words(e.stop_of(found))
    return (
        where + position + (f". By the owners of the routers, that is {network}" if network else "")
    )


def _steps(found: list[TraceFinding]) -> tuple[Base, ...]:
    return tuple(step for f in found for step in f.steps)


@rule("path.answered_from_nearer", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def answered_from_nearer(e: Evidence) -> Finding | None:
    """The server answers from nearer than routers on the way to it, so distances show no place."""
    late = [f for f in findings(e) if f.nearer]
    if not late:
        return None
    return Finding(
        _steps(late),
        0.6,
        reason=(
            "The names have different results, and the server answers from nearer than routers on"
            " the way to it: something rewrites the TTL of TCP or answers in the server's place, so"
            " distances do not show who acts upon the name."
        ),
    )


@rule("path.acted_upon_in_the_servers_network", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def acted_upon_in_the_servers_network(e: Evidence) -> Finding | None:
    """This name is acted upon in the server's own network or at its edge, perhaps by its owner."""
    own = [f for f in findings(e) if _in_servers_network(e, f)]
    return Finding(_steps(own), 0.6) if own else None


def _in_servers_network(e: Evidence, found: TraceFinding) -> bool:
    by = e.stop_of(found).by
    return found.trigger is not None and (by == "server" or (by is None and found.early))


@rule("path.acted_upon_at_home", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def acted_upon_at_home(e: Evidence) -> Finding | None:
    """This name is acted upon before the first router: by this machine or its home network."""
    near = [f for f in findings(e) if f.early and f.by == 1]
    return Finding(_steps(near), 0.6) if near else None


@rule("path.differs_at_the_server", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def differs_at_the_server(e: Evidence) -> Finding | None:
    """The results of the two names differ only where the server itself could be the reason."""
    late = [f for f in findings(e) if not (f.early or f.nearer or _in_servers_network(e, f))]
    return Finding(_steps(late), 0.5) if late else None


@rule("path.differed_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def differed_once(e: Evidence) -> Finding | None:
    """The names differed, too seldom to show where."""
    looks = [one for layer in LAYERS if (one := trace_analysis.single_look(e.steps, layer))]
    if not looks:
        return None
    one = looks[0]
    reason = (
        f"{one.layer.upper()}: at hop {one.ttl} this name met {one.result}, a harmless one"
        f" {one.harmless}, in too few attempts to locate anything."
    )
    if one.punished:
        reason += " Afterwards the address did not answer the harmless name either."
    return Finding(tuple(one.steps), 0.5, reason=reason)


@rule("path.both_names_fare_alike", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def both_names_fare_alike(e: Evidence) -> Finding | None:
    """Both names had the same result at every hop; the `web` experiment tests the site itself."""
    odd = any(trace_analysis.single_look(e.steps, layer) for layer in LAYERS)
    return Finding(e.steps[-1:], 0.5) if _compared(e) and not odd and not any(findings(e)) else None


def _compared(e: Evidence) -> bool:
    return any(hop.target for layer in LAYERS for hop in hops(e.steps, layer))


@rule("path.no_way_to_compare", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_way_to_compare(e: Evidence) -> Finding | None:
    """The harmless name was not answered either, so a comparison is missing."""
    offered = any(step.role is Role.HARMLESS for step in e.steps)
    return Finding(e.steps[-1:], 0.5) if offered and not _compared(e) else None


@rule("path.nothing_was_sent", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_was_sent(e: Evidence) -> Finding | None:
    """No packet was sent: there is no IPv4 address that may be traced, or no name to compare."""
    offered = any(step.role is Role.HARMLESS for step in e.steps)
    return None if offered else Finding(e.steps[-1:], 0.5)
