"""The multihop path: six routers in two countries between the client and the internet.

Router `n` of `ROUTERS` is hop `n`. An in-path middlebox acts when it forwards, so a packet must
have a TTL of `n + 1` to trigger it. An on-path middlebox sees every arriving packet, also one whose
TTL expires there: TTL `n` is enough.
"""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from itertools import pairwise

from probe.lab import addresses as plan
from probe.lab.middlebox import HOME, UPLINK
from probe.lab.scenario import Interference, PathShape, RouterMiddlebox

ROUTERS = tuple(plan.MULTIHOP_NEAR)
SERVER_HOP = len(ROUTERS) + 1
BORDER = "border"
_FIRST, _LAST = plan.DETOURS
CENSOR = "censor"  # the node at the border; it also carries out all other interference
_ABROAD_SIDE = ip_network(f"{plan.MULTIHOP_FAR[BORDER]}/24", strict=False)


def is_multihop(interferences: tuple[Interference, ...]) -> bool:
    """Whether the multihop path is needed."""
    return any(isinstance(each, RouterMiddlebox | PathShape) for each in interferences)


def detours(interferences: tuple[Interference, ...]) -> tuple[str, ...]:
    """The routers beside the chain, between the backbone and the border."""
    shapes = {each.how for each in interferences if isinstance(each, PathShape)}
    if shapes & {"equal_ways", "far_ways"}:
        return tuple(plan.DETOURS)
    return tuple(plan.DETOURS)[:1] if "unequal_ways" in shapes else ()


def one_after_another(interferences: tuple[Interference, ...]) -> bool:
    """Whether the routers beside the chain are on one way."""
    return PathShape("far_ways") in interferences


def detour(name: str, *, in_line: bool = False) -> list[str]:
    """`ip` commands of a router beside the chain."""
    near, far = plan.DETOURS[name]
    if in_line and name == _FIRST:
        far = plan.DETOURS[_LAST][0]
    return [
        "link set lo up",
        f"addr add {near}.2/24 dev {HOME}",
        f"addr add {far}.1/24 dev {UPLINK}",
        f"link set {HOME} up",
        f"link set {UPLINK} up",
        f"route add default via {far}.2",
        f"route add {plan.CLIENT_NET} via {near}.1",
    ]


def to_detours(name: str, beside: tuple[str, ...], *, in_line: bool = False) -> list[str]:
    """`ip` commands of the backbone and the border, where there are ways beside the chain."""
    lines: list[str] = []
    if name not in {"backbone", BORDER} or not beside:
        return lines
    if in_line:
        beside = (_FIRST,) if name == "backbone" else (_LAST,)
    for each in beside:
        near, far = plan.DETOURS[each]
        address = f"{near}.1/24" if name == "backbone" else f"{far}.2/24"
        lines += [f"addr add {address} dev {each}", f"link set {each} up"]
    if name == "backbone":
        hops = [f"{plan.DETOURS[each][0]}.2" for each in beside]
        hops += [plan.MULTIHOP_NEAR[BORDER]] if len(beside) == 1 else []
        lines.append("route replace default " + " ".join(f"nexthop via {hop}" for hop in hops))
    return lines


def detour_links(
    beside: tuple[str, ...], link: Callable[[str, str, str, str], str], *, in_line: bool = False
) -> Iterator[str]:
    """Links of the routers beside the chain."""
    if in_line:
        yield link("backbone", _FIRST, _FIRST, HOME)
        yield link(_FIRST, UPLINK, _LAST, HOME)
        yield link(_LAST, UPLINK, node_of(BORDER), _LAST)
        return
    for each in beside:
        yield link("backbone", each, each, HOME)
        yield link(each, UPLINK, node_of(BORDER), each)


def trigger_ttl(middlebox: RouterMiddlebox) -> int:
    """The smallest TTL of a packet that triggers the middlebox."""
    return ROUTERS.index(middlebox.at) + (2 if middlebox.stands == "in" else 1)


def arriving_ttl(middlebox: RouterMiddlebox) -> int:
    """The TTL with which an injected packet arrives at the client."""
    return middlebox.ttl - ROUTERS.index(middlebox.at)


def node_of(router: str) -> str:
    """The name of the node that a router is."""
    return CENSOR if router == BORDER else router


def client() -> list[str]:
    """`ip` commands of the client, which has a private address behind the home router."""
    return [
        "link set lo up",
        f"addr add {plan.MULTIHOP_CLIENT}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {plan.MULTIHOP_NEAR['home']}",
    ]


def router(name: str) -> list[str]:
    """`ip` commands of one router: addresses and routes of its two sides."""
    number = ROUTERS.index(name)
    onward = plan.MULTIHOP_NEAR[ROUTERS[number + 1]] if number + 1 < len(ROUTERS) else None
    back = plan.MULTIHOP_FAR[ROUTERS[number - 1]] if number else None
    lines = [
        "link set lo up",
        f"addr add {plan.MULTIHOP_NEAR[name]}/24 dev {HOME}",
        f"addr add {plan.MULTIHOP_FAR[name]}/24 dev {UPLINK}",
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
    """`ip` commands of the internet node: the route back to the border, where the proxy dials."""
    return [f"route add {_ABROAD_SIDE} via {plan.UPLINK_CENSOR}"]


def links(first: str, link: Callable[[str, str, str, str], str]) -> Iterator[str]:
    """Links from `first` (the client's eth0 or the line's far end) to the edge router."""
    yield link(first, "eth0" if first == "client" else "far", node_of(ROUTERS[0]), HOME)
    for near, far in pairwise(ROUTERS):
        yield link(node_of(near), UPLINK, node_of(far), HOME)
