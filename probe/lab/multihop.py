"""The long way: six routers in two countries between the client and the internet.

Rule: what is measured of the way is known here. Router `n` of `ROUTERS` is hop `n`. A box *in* the
path acts when it forwards, so the packet must outlive that router: it is first met at distance
`n + 1`. A box *on* the path sees what arrives, whether it goes on or not: at distance `n`.
"""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from itertools import pairwise

from probe.lab import addresses as plan
from probe.lab.middlebox import HOME, UPLINK
from probe.lab.scenario import Box, Interference

ROUTERS = tuple(plan.LONG_WAY)
SERVER_HOP = len(ROUTERS) + 1
BORDER = "border"
CENSOR = "censor"  # the place at the border: everything else that a censor does is done there
ABROAD = ("transit", "edge")
_ABROAD_SIDE = ip_network(f"{plan.LONG_WAY_OUT[BORDER]}/24", strict=False)


def is_long(acts: tuple[Interference, ...]) -> bool:
    """Whether somebody asked for a long way."""
    return any(isinstance(act, Box) for act in acts)


def first_met(box: Box) -> int:
    """The smallest time to live with which a packet is acted upon."""
    return ROUTERS.index(box.at) + (2 if box.stands == "in" else 1)


def injected_ttl(box: Box) -> int:
    """With which time to live the client gets what a box on the path sends."""
    return box.ttl - ROUTERS.index(box.at)


def place(router: str) -> str:
    """The name of the place where a router lives."""
    return CENSOR if router == BORDER else router


def client() -> list[str]:
    """The client's end, for `ip`: a home like most, with a private address."""
    return [
        "link set lo up",
        f"addr add {plan.LONG_CLIENT}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {plan.LONG_WAY['home']}",
    ]


def router(name: str) -> list[str]:
    """One router's two ends and routes, for `ip`."""
    number = ROUTERS.index(name)
    onward = plan.LONG_WAY[ROUTERS[number + 1]] if number + 1 < len(ROUTERS) else None
    back = plan.LONG_WAY_OUT[ROUTERS[number - 1]] if number else None
    lines = [
        "link set lo up",
        f"addr add {plan.LONG_WAY[name]}/24 dev {HOME}",
        f"addr add {plan.LONG_WAY_OUT[name]}/24 dev {UPLINK}",
        f"link set {HOME} up",
        f"link set {UPLINK} up",
        f"route add default via {onward or plan.UPLINK_INTERNET}",
    ]
    if back is not None and name != "provider":  # the provider is on that network itself
        lines.append(f"route add {plan.CLIENT_NET} via {back}")
    if name == "edge":
        lines.append(f"route add {_ABROAD_SIDE} via {back}")
    return lines


def internet() -> list[str]:
    """The internet's way back to the border itself, whose proxy dials from there, for `ip`."""
    return [f"route add {_ABROAD_SIDE} via {plan.UPLINK_CENSOR}"]


def cables(first: str, cable: Callable[[str, str, str, str], str]) -> Iterator[str]:
    """The links from whoever is `first` (its end is eth0, or the line's far one) to the edge."""
    yield cable(first, "eth0" if first == "client" else "far", place(ROUTERS[0]), HOME)
    for near, far in pairwise(ROUTERS):
        yield cable(place(near), UPLINK, place(far), HOME)
