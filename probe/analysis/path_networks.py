"""In whose network, and in which country, a place on the way lies.

Pure, from the routers that answered: each has the network and country that the probe's table of
networks gave it. A router near the user has none, because its address is not kept; it is in the
country of the vantage point. A table says who owns an address, not where the router stands.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from probe.analysis.trace_hops import ROUTER
from probe.model import Ping, Role, Step, StopPlace

_SERVER = "server"
Where: TypeAlias = Literal["inside", "border", "inside_or_border", "outside", "server"]


def stop_place(
    steps: Iterable[Step], after: int, before: int, server: int | None, home: str | None
) -> StopPlace:
    """The place between two hops, as far as the routers beside it say whose it is.

    Args:
        after, before: The last hop that packets pass, and the first that they do not.
        server: The hop of the server, or the least that it can be.
        home: The country of the vantage point.
    """
    pings = [s for s in steps if isinstance(s, Ping) and s.role is not Role.REFERENCE]
    routers = _by_hop(s for s in pings if s.what == ROUTER and s.failure is None)
    nearest = min((hop for hop, s in routers.items() if s.address is not None), default=0)
    near = max((hop for hop in routers if 0 < hop <= after), default=0)
    far = min((hop for hop in routers if hop >= before), default=0)
    last, first = routers.get(near), routers.get(far)
    own = {s.asn for s in pings if s.what == _SERVER and s.asn is not None}
    within = last is not None and last.asn in own
    at_edge = first is not None and first.asn in own
    here = home if 0 < near < nearest else last.country if last is not None else None
    beyond = home if 0 < far < nearest else first.country if first is not None else None
    return StopPlace(
        by="server" if within else None if at_edge else "network",
        where="server" if within else _where(here, beyond, home),
        after=after,
        before=before,
        server=server,
        asn=last.asn if last is not None else None,
        country=here,
    )


def _by_hop(routers: Iterable[Ping]) -> dict[int, Ping]:
    """A router for each hop, with its address where one was kept."""
    found: dict[int, Ping] = {}
    for step in routers:
        if _hop(step) not in found or step.address is not None:
            found[_hop(step)] = step
    return found


def _hop(step: Ping) -> int:
    return (step.travel.ttl or 0) if step.travel is not None else 0


def _where(near: str | None, far: str | None, home: str | None) -> Where | None:
    if home is None or near is None:
        return None
    if near != home:
        return "outside"
    if far is None:
        return "inside_or_border"
    return "inside" if far == home else "border"


def words(place: StopPlace) -> str:
    """The place in a few words for a sentence; empty where nothing is known of it."""
    number = f"AS{place.asn}" if place.asn is not None else None
    # No comma: a reason is translated part by part.
    who = " ".join(part for part in (place.country, number) if part)
    match place.where:
        case "server":
            return "in the server's own network"
        case "inside":
            return f"inside the country ({who})"
        case "border":
            return f"at the border of the country ({who})"
        case "inside_or_border":
            return f"in the country or at its border ({who})"
        case "outside":
            return f"outside the country ({who})"
    return ""
