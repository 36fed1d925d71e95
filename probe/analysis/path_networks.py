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
    steps: Iterable[Step],
    after: int,
    before: int,
    server: int | None,
    home: str | None,
    *,
    spread: int = 0,
) -> StopPlace:
    """The place between two hops, as far as the routers beside it say whose it is.

    Args:
        after, before: The last hop that packets pass, and the first that they do not.
        server: The hop of the server, or the least that it can be.
        home: The country of the vantage point.
        spread: By how many hops the ways differ. Then the routers may be on another way than the
            packets, so all that may be meant must be in the same country.
    """
    pings = [s for s in steps if isinstance(s, Ping) and s.role is not Role.REFERENCE]
    routers = _by_hop(s for s in pings if s.what == ROUTER and s.failure is None)
    nearest = min((hop for hop, s in routers.items() if s.address is not None), default=0)
    near = max((hop for hop in routers if 0 < hop <= after), default=0)
    far = min((hop for hop in routers if hop >= before), default=0)
    last = [routers[hop] for hop in range(near - spread, near + 1) if hop in routers]
    first = [routers[hop] for hop in range(far, far + spread + 1) if hop in routers]
    own = {s.asn for s in pings if s.what == _SERVER and s.asn is not None}
    within = bool(last) and last[-1].asn in own and not spread
    at_edge = any(s.asn in own for s in (*last, *first))
    here, beyond = (
        _one_country({home if _hop(s) < nearest else s.country for s in beside})
        for beside in (last, first)
    )
    return StopPlace(
        by="server" if within else None if at_edge else "network",
        where="server" if within else _where(here, beyond, home),
        after=after,
        before=before,
        server=server,
        asn=last[-1].asn if last and not spread else None,
        country=here,
    )


def _one_country(found: set[str | None]) -> str | None:
    return found.pop() if len(found) == 1 else None


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
