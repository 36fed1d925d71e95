"""Rules on where packets are stopped: they confirm an accusation, and never make one."""

from collections.abc import Iterator

from probe.analysis.evidence import Evidence
from probe.analysis.path_networks import words
from probe.analysis.silence_place import Place
from probe.model import Outcome
from probe.rule import WEB, Finding, InnocentExplanation, Rule, Tier, rule
from probe.rules import tcp, tls

EXPERIMENTS = WEB

_MOST = 0.99


@rule(
    "place.before_the_server",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless packet crosses the same routers",
        InnocentExplanation.SERVER: "the packets are stopped several routers before the server",
        InnocentExplanation.MEANS: "both kinds of packets are sent in the same way",
        InnocentExplanation.CHANCE: "several flows, all alike, besides the accusation it confirms",
    },
)
def before_the_server(e: Evidence) -> Finding | None:
    """The packets are stopped on the way, before they come near the server."""
    place, stop = e.place, e.stop
    if place is None or stop is None or stop.by != "network":
        return None
    for found in _accusations(e):
        if any(getattr(s, "address", None) == place.address for s in found.steps):
            raised = min(found.confidence + (1 - found.confidence) / 2, _MOST)
            steps = (*found.steps, *place.steps)
            told = _told(place, words(stop))
            return Finding(steps, round(raised, 3), found.mechanisms, told)
    return None


def _accusations(e: Evidence) -> Iterator[Finding]:
    """What other rules found about a name or an address that the network may stop."""
    accusing: tuple[Rule, ...] = (
        tls.fails_for_this_name,
        tls.fails_here_only,
        tls.address_blocked_after_trigger,
        tcp.fails_here_only,
    )
    for one in accusing:
        found = one.holds(e)
        if found is not None:
            yield found


def _told(place: Place, network: str) -> str:
    """The sentence with the hops and the network."""
    where = f"between hop {place.after} and hop {place.before}"
    if not place.after:
        where = f"before hop {place.before}"
    told = (
        f"The packets are stopped {where}, and the server is at hop {place.server} or farther:"
        " the network on the way does it."
    )
    return told + (f" By the owners of the routers, that is {network}." if network else "")
