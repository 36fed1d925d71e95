"""The censor's kernel part: compile its acts into iptables rules and traffic classes.

Pure: text in, text out; `warden` loads it into the censor's namespace. What the kernel can not do
(a polite close, an alert, a forged certificate, a page) is redirected to `proxy` and `liar`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from probe.lab import addresses as plan
from probe.lab.hello import pattern
from probe.lab.scenario import (
    Box,
    Cut,
    FirstPacket,
    Hello,
    Interference,
    Lie,
    Nation,
    Quic,
    Shape,
    Slow,
    Web,
)
from probe.lab.topology import Topology

HOME = "home"
UPLINK = "uplink"
PROXIED_HELLO = frozenset({"fin", "alert", "mitm_2019", "mitm_2021", "mitm_anonymous"})
KERNEL_WEB = frozenset({"drop", "reset"})
_SILENT = 1
_RESET = 2
_SEEN = 3
_FIRST_SLOW = 16
_DOMESTIC = "92.46.0.0/16"
_V4_REJECTS = {
    "refuse": "tcp-reset",
    "reset": "tcp-reset",
    "host_unreachable": "icmp-host-unreachable",
    "net_unreachable": "icmp-net-unreachable",
}
_V6_REJECTS = {
    "refuse": "tcp-reset",
    "reset": "tcp-reset",
    "host_unreachable": "icmp6-addr-unreachable",
    "net_unreachable": "icmp6-no-route",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a table."""

    table: str
    chain: str
    text: str


def rules(world: Topology, *, v6: bool = False) -> str:
    """Everything the censor's kernel does, as iptables-restore (or ip6tables-restore) reads it."""
    made = list(_fixed())
    for index, act in enumerate(world.acts):
        made += _act(act, world, index, v6=v6)
    made += _nation_rules(world, v6=v6)
    return render(made)


def in_kernel(act: Interference) -> bool:
    """Whether rules alone do it, so that it can begin and end while a country runs."""
    match act:
        case Nation():
            return act.how not in _REDIRECTS and act.how != "wrong_clock"
        case Hello():
            return act.how not in PROXIED_HELLO
        case Web():
            return act.how in KERNEL_WEB
        case Quic():
            return act.how != "drop_name"
        case Slow():
            return act.how != "shape"
        case _:
            return isinstance(act, Cut | Shape | FirstPacket)


def box_rules(world: Topology, router: str) -> str:
    """What the boxes in the path at one router of a long way do."""
    made = list(_fixed())
    for index, act in enumerate(world.acts):
        if isinstance(act, Box) and act.at == router and act.stands == "in":
            made += _box(act, world, index)
    return render(made)


def _box(act: Box, world: Topology, index: int) -> Iterator[Rule]:
    how: Literal["drop", "reset"] = "reset" if act.how == "reset" else "drop"
    match act.what:
        case "hello":
            yield from _hello(Hello(act.name, how, act.residual), world, index, v6=False)
        case "host":
            yield from _web(Web(act.name, how), world, v6=False)
        case "query":
            yield Rule(
                "filter", "FORWARD", f"-i {HOME} -p udp --dport 53 {_asks(act.name)} -j DROP"
            )


def _asks(name: str) -> str:
    labels = "".join(f"|{len(label):02x}|{label}" for label in name.split("."))
    return f'-m string --algo bm --icase --hex-string "{labels}|00|"'


def render(made: list[Rule]) -> str:
    """Rules as a restore file."""
    chains = {
        "mangle": ("PREROUTING", "FORWARD", "POSTROUTING"),
        "nat": ("PREROUTING",),
        "filter": ("INPUT", "FORWARD"),
    }
    lines: list[str] = []
    for table, names in chains.items():
        lines.append(f"*{table}")
        lines += [f":{chain} ACCEPT [0:0]" for chain in names]
        lines += [f"-A {rule.chain} {rule.text}" for rule in made if rule.table == table]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def classes(world: Topology) -> list[str]:
    """Traffic classes for shaped names, as `tc -batch` reads them."""
    shaped = [(i, act) for i, act in enumerate(world.acts) if _is_shaped(act)]
    if not shaped:
        return []
    lines = [f"qdisc add dev {HOME} root handle 1: htb"]
    for index, act in shaped:
        if isinstance(act, Slow):
            minor = _FIRST_SLOW + index
            rate = f"rate {act.rate * 8}bit burst 4k cburst 4k"
            lines.append(f"class add dev {HOME} parent 1: classid 1:{minor:x} htb {rate}")
            queue = f"parent 1:{minor:x} bfifo limit 65536"
            lines.append(f"qdisc add dev {HOME} {queue}")
    return lines


def _is_shaped(act: Interference) -> bool:
    return isinstance(act, Slow) and act.how == "shape"


def _fixed() -> Iterator[Rule]:
    """Marked connections stay silent, or stay dead, whatever comes later."""
    yield Rule("filter", "FORWARD", f"-m connmark --mark {_SILENT} -j DROP")
    reject = "-j REJECT --reject-with tcp-reset"
    yield Rule("filter", "FORWARD", f"-p tcp -m connmark --mark {_RESET} {reject}")


def _act(act: Interference, world: Topology, index: int, *, v6: bool) -> Iterator[Rule]:
    match act:
        case Hello():
            yield from _hello(act, world, index, v6=v6)
        case Web():
            yield from _web(act, world, v6=v6)
        case Cut():
            yield from _cut(act, world, v6=v6)
        case Lie() if not v6:
            yield from _lie(act)
        case Shape():
            yield from _shape(act, world, v6=v6)
        case Quic():
            yield from _quic(act, world, index, v6=v6)
        case FirstPacket() if not v6:
            yield from _first_packet(act, world)
        case Slow():
            yield from _slow(act, index)
        case Box() if not v6 and act.at == "border" and act.stands == "in":
            yield from _box(act, world, index)
        case _:
            return


def _offers(name: str) -> str:
    return f'-i {HOME} -p tcp -m string --algo bm --hex-string "{pattern(name)}"'


def _hello(act: Hello, world: Topology, index: int, *, v6: bool) -> Iterator[Rule]:
    if act.how in PROXIED_HELLO:
        yield from _redirect(act.name, world, 443, plan.REDIRECTED_TLS_PORT, v6=v6)
        return
    match_name = _offers(act.name)
    recent = f"-m recent --name r{index} --rdest"
    if act.residual:  # a connection triggers once, however often its ClientHello is sent again
        once = f"{match_name} -m connmark --mark 0"
        yield Rule("mangle", "FORWARD", f"{once} {recent} --set")
    mark = {"drop_after": _SILENT, "reset": _RESET}.get(act.how, _SEEN)
    yield Rule("mangle", "FORWARD", f"{match_name} -j CONNMARK --set-mark {mark}")
    if act.how == "drop":
        yield Rule("filter", "FORWARD", f"{match_name} -j DROP")
    if act.residual:
        check = f"{recent} --rcheck --seconds {act.residual} -j DROP"
        yield Rule("filter", "FORWARD", f"-i {HOME} -p tcp --dport 443 {check}")


def _web(act: Web, world: Topology, *, v6: bool) -> Iterator[Rule]:
    if act.how not in KERNEL_WEB:
        yield from _redirect(act.name, world, 80, plan.REDIRECTED_WEB_PORT, v6=v6)
        return
    mark = _SILENT if act.how == "drop" else _RESET
    host = f'-m string --algo bm --icase --hex-string "|0d0a|host: {act.name}"'
    path = f'-m string --algo bm --string " {act.path} "' if act.path else ""
    found = f"-i {HOME} -p tcp --dport 80 {host} {path}"
    yield Rule("mangle", "FORWARD", f"{found} -j CONNMARK --set-mark {mark}")


def _redirect(name: str, world: Topology, port: int, to: int, *, v6: bool) -> Iterator[Rule]:
    for address in _family(world, name, v6=v6):
        found = f"-i {HOME} -d {address} -p tcp --dport {port}"
        yield Rule("nat", "PREROUTING", f"{found} -j REDIRECT --to-ports {to}")


def _family(world: Topology, name: str, *, v6: bool) -> tuple[str, ...]:
    place = world.places[name]
    return place.v6 if v6 else place.v4


def _cut(act: Cut, world: Topology, *, v6: bool) -> Iterator[Rule]:
    addresses = _family(world, act.name, v6=v6)
    for address in addresses[:1] if act.first_only else addresses:
        port = f"-p tcp --dport {act.port}" if act.port else ""
        yield Rule("filter", "FORWARD", f"-i {HOME} -d {address} {_stopped(act, port, v6=v6)}")


def _stopped(act: Cut, port: str, *, v6: bool) -> str:
    if act.how == "drop":
        return f"{port} -j DROP"
    rejects = _V6_REJECTS if v6 else _V4_REJECTS
    found = port or "-p tcp"
    if act.how == "reset":  # the handshake's third packet, so that a connection exists to be reset
        found += " --tcp-flags SYN,ACK,FIN,RST ACK"
    return f"{found} -j REJECT --reject-with {rejects[act.how]}"


def _lie(act: Lie) -> Iterator[Rule]:
    whom = {
        "all": "",
        "system": f"-d {plan.SYSTEM_RESOLVER}",
        "public": f"! -d {plan.SYSTEM_RESOLVER}",
    }[act.whom]
    found = f"-i {HOME} {whom} -p udp --dport 53 {_asks(act.name)}"
    yield Rule("nat", "PREROUTING", f"{found} -j REDIRECT --to-ports {plan.LIAR_PORT}")


def _shape(act: Shape, world: Topology, *, v6: bool) -> Iterator[Rule]:
    """Extension 0xfe0d with 250 bytes in it that begin like an outer hello's (RFC 9849)."""
    for address in _family(world, act.name, v6=v6):
        shape = '-m string --algo bm --hex-string "|fe0d00fa0000010001|"'
        yield Rule("filter", "FORWARD", f"-i {HOME} -d {address} -p tcp {shape} -j DROP")


def _quic(act: Quic, world: Topology, index: int, *, v6: bool) -> Iterator[Rule]:
    """By name only over IPv4: the gatekeeper carries no other."""
    port = "icmp6-port-unreachable" if v6 else "icmp-port-unreachable"
    for address in _family(world, act.name, v6=v6):
        found = f"-i {HOME} -d {address} -p udp --dport 443"
        if act.how == "drop_name":
            to = f"-j REDIRECT --to-ports {plan.quic_port(index)}"
            yield Rule("nat", "PREROUTING", f"{found} {to}")
        else:
            stopped = "DROP" if act.how == "drop" else f"REJECT --reject-with {port}"
            yield Rule("filter", "FORWARD", f"{found} -j {stopped}")


def _first_packet(act: FirstPacket, world: Topology) -> Iterator[Rule]:
    """IP and UDP have 28 bytes of headers; connbytes counts the packet that is looked at."""
    for address in _family(world, act.name, v6=False):
        first = "-m connbytes --connbytes 1:1 --connbytes-dir original --connbytes-mode packets"
        size = f"-m length --length {act.size + 28}"
        begins = f'-m string --algo bm --from 28 --to 40 --hex-string "|{act.begins}|"'
        found = f"-i {HOME} -d {address} -p udp {size} {begins} {first}"
        yield Rule("mangle", "FORWARD", f"{found} -j CONNMARK --set-mark {_SILENT}")


def _slow(act: Slow, index: int) -> Iterator[Rule]:
    mark = _FIRST_SLOW + index
    yield Rule("mangle", "FORWARD", f"{_offers(act.name)} -j CONNMARK --set-mark {mark}")
    marked = f"-m connmark --mark {mark}"
    match act.how:
        case "police":
            flow = "--hashlimit-mode srcip,srcport,dstip,dstport"
            limit = f"--hashlimit-above {act.rate}b/s --hashlimit-burst {max(act.rate, 16_000)}b"
            hashed = f"-m hashlimit {limit} {flow} --hashlimit-name s{index}"
            yield Rule("filter", "FORWARD", f"{marked} {hashed} -j DROP")
        case "freeze":
            counted = f"--connbytes {act.rate}: --connbytes-dir both --connbytes-mode bytes"
            yield Rule("filter", "FORWARD", f"{marked} -m connbytes {counted} -j DROP")
        case "shape":
            target = f"-j CLASSIFY --set-class 1:{mark:x}"
            yield Rule("mangle", "POSTROUTING", f"-o {HOME} {marked} {target}")


def _nation_rules(world: Topology, *, v6: bool) -> Iterator[Rule]:
    for act in world.acts:
        if isinstance(act, Nation):
            yield from _nation6(act) if v6 else _nation(act)


def _nation6(act: Nation) -> Iterator[Rule]:
    """IPv6 has no exceptions: what a nation does to the line, it does to all of IPv6."""
    if act.how in {"outage", "foreign_cut", "whitelist", "captive_portal", "hotel_dns", "no_ipv6"}:
        yield Rule("filter", "FORWARD", "-j DROP")
    if _REDIRECTS.get(act.how) == _TO_TLS_PROXY:
        to = f"-j REDIRECT --to-ports {plan.REDIRECTED_TLS_PORT}"
        yield Rule("nat", "PREROUTING", f"-i {HOME} -p tcp --dport 443 {to}")


_TO_TLS_PROXY = f"-p tcp --dport 443 -j REDIRECT --to-ports {plan.REDIRECTED_TLS_PORT}"
_TO_WEB_PROXY = f"-p tcp --dport 80 -j REDIRECT --to-ports {plan.REDIRECTED_WEB_PORT}"
_TO_LIAR = f"-p udp --dport 53 -j REDIRECT --to-ports {plan.LIAR_PORT}"
_REDIRECTS = {
    "captive_portal": _TO_WEB_PROXY,
    "hotel_dns": _TO_LIAR,
    "everything_resigned": _TO_TLS_PROXY,
    "router_page": _TO_TLS_PROXY,
    "watched_everywhere": _TO_TLS_PROXY,
    "nxdomain_sold": f"-d {plan.SYSTEM_RESOLVER} {_TO_LIAR}",
    "dns_hijack": f"! -d {plan.SYSTEM_RESOLVER} {_TO_LIAR}",
}
_DROPS = {
    "outage": "-j DROP",
    "foreign_cut": f"-i {HOME} ! -d {_DOMESTIC} -j DROP",
    "no_quic": f"-i {HOME} -p udp --dport 443 -j DROP",
    "no_dot": f"-i {HOME} -p tcp --dport 853 -j DROP",
    "no_collector": f"-i {HOME} -d {plan.COLLECTOR} -j DROP",
}


def _nation(act: Nation) -> Iterator[Rule]:
    if act.how in _REDIRECTS:
        yield Rule("nat", "PREROUTING", f"-i {HOME} {_REDIRECTS[act.how]}")
    if act.how in _DROPS:
        yield Rule("filter", "FORWARD", _DROPS[act.how])
    match act.how:
        case "whitelist":
            for allowed in (str(plan.ESSENTIAL), plan.SYSTEM_RESOLVER):
                yield Rule("filter", "FORWARD", f"-i {HOME} -d {allowed} -j ACCEPT")
            yield Rule("filter", "FORWARD", f"-i {HOME} -j DROP")
        case "captive_portal" | "hotel_dns":
            yield from _only_names_and_portal()
        case "no_public_dns" | "no_doh" | "no_dns":
            yield from _resolvers_stopped(act.how)


def _only_names_and_portal() -> Iterator[Rule]:
    yield Rule("filter", "FORWARD", f"-i {HOME} -d {plan.PORTAL} -j ACCEPT")
    yield Rule("filter", "FORWARD", f"-i {HOME} -p udp --dport 53 -j ACCEPT")
    yield Rule("filter", "FORWARD", f"-i {HOME} -p tcp -j REJECT --reject-with tcp-reset")


def _resolvers_stopped(how: str) -> Iterator[Rule]:
    for address in plan.PUBLIC_RESOLVERS:
        ports = "" if how != "no_doh" else "-p tcp -m multiport --dports 443,853"
        yield Rule("filter", "FORWARD", f"-i {HOME} -d {address} {ports} -j DROP")
    if how == "no_dns":
        yield Rule("filter", "FORWARD", f"-i {HOME} -d {plan.SYSTEM_RESOLVER} -j DROP")


def dead_servers(world: Topology, *, v6: bool = False) -> str:
    """The internet's own dead, closed and unreachable servers: nobody's censorship."""
    made: list[Rule] = []
    for place in world.places.values():
        addresses = place.v6 if v6 else place.v4
        gone = () if v6 else place.v4[len(place.alive) :]
        made += [Rule("filter", "INPUT", f"-d {address} -j DROP") for address in gone]
        for address in addresses:
            site = place.site
            made += _dead(address, site.server, site.plain, site.quic, v6=v6)
    return render(made)


def _dead(address: str, server: str, plain: str, quic: str, *, v6: bool) -> Iterator[Rule]:
    unreachable = "icmp6-addr-unreachable" if v6 else "icmp-host-unreachable"
    refused = "-j REJECT --reject-with tcp-reset"
    match server:
        case "refuses":
            yield Rule("filter", "INPUT", f"-d {address} -p tcp {refused}")
        case "silent":
            yield Rule("filter", "INPUT", f"-d {address} -j DROP")
        case "unreachable":
            yield Rule("filter", "INPUT", f"-d {address} -j REJECT --reject-with {unreachable}")
    if quic == "mute":
        yield Rule("filter", "INPUT", f"-d {address} -p udp --dport 443 -j DROP")
    if plain == "closed":
        yield Rule("filter", "INPUT", f"-d {address} -p tcp --dport 80 {refused}")
