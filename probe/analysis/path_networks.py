"""In whose network, and in which country, a place on the way lies.

Pure, from the routers that answered: each has the network and country that the probe's table of
networks gave it. A router near the user has none, because its address is not kept; it is in the
country of the vantage point. A table says who owns an address, not where the router stands.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from probe.analysis.trace_hops import ROUTER
from probe.model import Ping, Step, StopPlace

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
    pings = [s for s in steps if isinstance(s, Ping) and s.what in {ROUTER, _SERVER}]
    routers = [s for s in pings if s.what == ROUTER and s.failure is None]
    near = max((s for s in routers if 0 < _hop(s) <= after), key=_hop, default=None)
    far = min((s for s in routers if _hop(s) >= before), key=_hop, default=None)
    own = {s.asn for s in pings if s.what == _SERVER and s.asn is not None}
    within = near is not None and near.asn in own
    at_edge = far is not None and far.asn in own
    return StopPlace(
        by="server" if within else None if at_edge else "network",
        where="server" if within else _where(_country(near, home), _country(far, home), home),
        after=after,
        before=before,
        server=server,
        asn=near.asn if near is not None else None,
        country=_country(near, home),
    )


def _hop(step: Ping) -> int:
    return (step.travel.ttl or 0) if step.travel is not None else 0


def _country(step: Ping | None, home: str | None) -> str | None:
    """The country of a router; one near the user has no address in the record."""
    if step is None:
        return None
    return step.country if step.address is not None else home


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
