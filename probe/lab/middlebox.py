"""Compile the censor's interference into iptables rules and traffic classes.

Nothing is loaded here: `supervisor` loads the text in the censor's namespace. What the kernel
cannot do (a FIN, an alert, a forged certificate, a page) is redirected to `proxy`, `dns_injector`
and `quic_censor`.
"""

from collections.abc import Iterator
from typing import Literal

from probe.lab import addresses as plan, line_rules, proxied
from probe.lab.hello import pattern
from probe.lab.line_rules import FilterRule
from probe.lab.scenario import (
    AddressBlock,
    DnsTampering,
    EchFilter,
    FirstPacketFilter,
    HttpFilter,
    Interference,
    PathShape,
    QuicFilter,
    RouterMiddlebox,
    SiteFirewall,
    SniFilter,
    Throttle,
    WholeLine,
)
from probe.lab.topology import Topology

HOME = line_rules.HOME
UPLINK = "uplink"
PROXIED_HELLO = frozenset({"fin", "alert", "mitm_2019", "mitm_2021", "mitm_anonymous"})
KERNEL_WEB = frozenset({"drop", "reset", "freeze"})
_SILENT = 1
_RESET = 2
_SEEN = 3
_FIRST_SLOW = 16
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


def rules(topology: Topology, *, v6: bool = False) -> str:
    """All of the censor's rules as input of iptables-restore or ip6tables-restore."""
    compiled = list(_mark_rules())
    for index, spec in enumerate(topology.interferences):
        compiled += _rules_of(spec, topology, index, v6=v6)
    for spec in topology.interferences:
        if isinstance(spec, WholeLine):
            compiled += line_rules.rules6(spec) if v6 else line_rules.rules(spec)
    compiled += proxied.bystanders(topology, v6=v6)
    return render(compiled)


def in_kernel(spec: Interference) -> bool:
    """Whether rules alone do it, so that it can start and stop while the testbed runs."""
    match spec:
        case WholeLine():
            return spec.how not in line_rules.REDIRECTS and spec.how != "wrong_clock"
        case SniFilter():
            return spec.how not in PROXIED_HELLO
        case HttpFilter():
            return spec.how in KERNEL_WEB
        case QuicFilter():
            return spec.how != "drop_name"
        case Throttle():
            return spec.how != "shape"
        case _:
            return isinstance(spec, AddressBlock | EchFilter | FirstPacketFilter)


def router_rules(topology: Topology, router: str) -> str:
    """The rules of the in-path middleboxes at one router of a multihop path."""
    compiled = list(_mark_rules())
    for index, spec in enumerate(topology.interferences):
        if isinstance(spec, RouterMiddlebox | PathShape) and spec.at == router:
            compiled += _rules_at_router(spec, topology, index)
    return render(compiled)


def _rules_at_router(
    spec: RouterMiddlebox | PathShape, topology: Topology, index: int
) -> Iterator[FilterRule]:
    if isinstance(spec, RouterMiddlebox):
        if spec.stands == "in":
            yield from _router_rules(spec, topology, index)
    elif spec.how == "ttl_rewritten":
        yield FilterRule("mangle", "PREROUTING", f"-i {HOME} -p tcp -j TTL --ttl-set 64")
    elif spec.how in {"quiet_router", "rare_router"}:
        reported = "-p icmp --icmp-type time-exceeded"
        if spec.how == "rare_router":
            some = "-m limit --limit 2/s --limit-burst 2 -j ACCEPT"
            yield FilterRule("mangle", "OUTPUT", f"{reported} {some}")
        yield FilterRule("mangle", "OUTPUT", f"{reported} -j DROP")


def _site_firewall_rules(spec: SiteFirewall, topology: Topology) -> Iterator[FilterRule]:
    """Rules on the internet node, for packets of the client only."""
    only = "" if spec.what == "address" and spec.how == "drop" else "-p tcp"
    match_name = {
        "hello": f'-m string --algo bm --hex-string "{pattern(spec.name)}"',
        "host": _host_match(spec.name),
    }.get(spec.what, "")
    target = "DROP" if spec.how == "drop" else "REJECT --reject-with tcp-reset"
    for address in proxied.addresses(topology, spec.name, v6=False):
        found = f"-s {plan.CLIENT} -d {address} {only} {match_name}"
        yield FilterRule("filter", "INPUT", f"{found} -j {target}")


def _router_rules(spec: RouterMiddlebox, topology: Topology, index: int) -> Iterator[FilterRule]:
    how: Literal["drop", "reset"] = "reset" if spec.how == "reset" else "drop"
    match spec.what:
        case "hello" if spec.at == "detour":  # it sees one direction only: no connection, no mark
            target = "DROP" if how == "drop" else "REJECT --reject-with tcp-reset"
            yield FilterRule("filter", "FORWARD", f"{_sni_match(spec.name)} -j {target}")
        case "hello":
            yield from _sni_rules(
                SniFilter(spec.name, how, spec.residual), topology, index, v6=False
            )
        case "host":
            yield from _http_rules(HttpFilter(spec.name, how), topology, index, v6=False)
        case "address" | "connections":
            only = "-p tcp" if spec.what == "connections" or how == "reset" else ""
            target = "DROP" if how == "drop" else "REJECT --reject-with tcp-reset"
            for address in proxied.addresses(topology, spec.name, v6=False):
                found = f"-i {HOME} -d {address} {only}"
                yield FilterRule("filter", "FORWARD", f"{found} -j {target}")
        case "query":
            match_name = f"-p udp --dport 53 {_dns_match(spec.name)}"
            yield FilterRule("filter", "FORWARD", f"-i {HOME} {match_name} -j DROP")


def _dns_match(name: str) -> str:
    labels = "".join(f"|{len(label):02x}|{label}" for label in name.split("."))
    return f'-m string --algo bm --icase --hex-string "{labels}|00|"'


def render(compiled: list[FilterRule]) -> str:
    """Rules as a restore file."""
    chains = {
        "mangle": ("PREROUTING", "FORWARD", "OUTPUT", "POSTROUTING"),
        "nat": ("PREROUTING",),
        "filter": ("INPUT", "FORWARD"),
    }
    lines: list[str] = []
    for table, names in chains.items():
        lines.append(f"*{table}")
        lines += [f":{chain} ACCEPT [0:0]" for chain in names]
        lines += [f"-A {rule.chain} {rule.text}" for rule in compiled if rule.table == table]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def classes(topology: Topology) -> list[str]:
    """Traffic classes for shaped names, as `tc -batch` reads them."""
    lines: list[str] = []
    for index, spec in enumerate(topology.interferences):
        if isinstance(spec, Throttle) and spec.how == "shape":
            minor = _FIRST_SLOW + index
            rate = f"rate {spec.rate * 8}bit burst 4k cburst 4k"
            lines.append(f"class add dev {HOME} parent 1: classid 1:{minor:x} htb {rate}")
            lines.append(f"qdisc add dev {HOME} parent 1:{minor:x} bfifo limit 65536")
    return [f"qdisc add dev {HOME} root handle 1: htb", *lines] if lines else []


def _mark_rules() -> Iterator[FilterRule]:
    """Drop or reset all later packets of a marked connection."""
    yield FilterRule("filter", "FORWARD", f"-m connmark --mark {_SILENT} -j DROP")
    reject = "-j REJECT --reject-with tcp-reset"
    yield FilterRule("filter", "FORWARD", f"-p tcp -m connmark --mark {_RESET} {reject}")


def _rules_of(
    spec: Interference, topology: Topology, index: int, *, v6: bool
) -> Iterator[FilterRule]:
    match spec:
        case SniFilter():
            yield from _sni_rules(spec, topology, index, v6=v6)
        case HttpFilter():
            yield from _http_rules(spec, topology, index, v6=v6)
        case AddressBlock():
            yield from _address_block_rules(spec, topology, v6=v6)
        case DnsTampering() if not v6:
            yield from _dns_redirect(spec)
        case EchFilter():
            yield from _ech_rules(spec, topology, v6=v6)
        case QuicFilter():
            yield from _quic_rules(spec, topology, index, v6=v6)
        case FirstPacketFilter() if not v6:
            yield from _first_packet_rules(spec, topology)
        case Throttle():
            yield from _throttle_rules(spec, index)
        case RouterMiddlebox() | PathShape() if not v6 and spec.at == "border":
            yield from _rules_at_router(spec, topology, index)
        case _:
            return


def _sni_match(name: str) -> str:
    return f'-i {HOME} -p tcp -m string --algo bm --hex-string "{pattern(name)}"'


def _sni_rules(
    spec: SniFilter, topology: Topology, index: int, *, v6: bool
) -> Iterator[FilterRule]:
    if spec.how in PROXIED_HELLO:
        yield from proxied.redirect(spec.name, topology, 443, v6=v6)
        return
    match_name = _sni_match(spec.name)
    recent = f"-m recent --name r{index} --rdest"
    if spec.residual:  # a retransmitted ClientHello must not trigger again
        once = f"{match_name} -m connmark --mark 0"
        yield FilterRule("mangle", "FORWARD", f"{once} {recent} --set")
    marks = {"drop_after": _SILENT, "drop_later": _FIRST_SLOW + index, "reset": _RESET}
    mark = marks.get(spec.how, _SEEN)
    yield FilterRule("mangle", "FORWARD", f"{match_name} -j CONNMARK --set-mark {mark}")
    if spec.how == "drop":
        yield FilterRule("filter", "FORWARD", f"{match_name} -j DROP")
    if spec.how == "drop_later":  # SYN, ACK, ClientHello, the ACK of what the server answers
        yield _dropped_from(5, mark)
    if spec.residual:
        check = f"{recent} --rcheck --seconds {spec.residual} -j DROP"
        yield FilterRule("filter", "FORWARD", f"-i {HOME} -p tcp --dport 443 {check}")


def _http_rules(
    spec: HttpFilter, topology: Topology, index: int, *, v6: bool
) -> Iterator[FilterRule]:
    if spec.how not in KERNEL_WEB:
        yield from proxied.redirect(spec.name, topology, 80, v6=v6)
        return
    marks = {"drop": _SILENT, "reset": _RESET, "freeze": _FIRST_SLOW + index}
    mark = marks[spec.how]
    host = _host_match(spec.name)
    if spec.reads == "exact":
        host = f'-m string --algo bm --hex-string "|0d0a|Host: {spec.name}|0d0a|"'
    elif spec.reads == "first_segment":  # after the SYN and the ACK
        host += " -m connbytes --connbytes 1:3 --connbytes-dir original --connbytes-mode packets"
    path = f'-m string --algo bm --string " {spec.path} "' if spec.path else ""
    found = f"-i {HOME} -p tcp --dport 80 {host} {path}"
    yield FilterRule("mangle", "FORWARD", f"{found} -j CONNMARK --set-mark {mark}")
    if spec.how == "freeze":
        yield _frozen_after(16_384, mark)


def _host_match(name: str) -> str:
    return f'-m string --algo bm --icase --hex-string "|0d0a|host: {name}"'


def _address_block_rules(
    spec: AddressBlock, topology: Topology, *, v6: bool
) -> Iterator[FilterRule]:
    addresses = proxied.addresses(topology, spec.name, v6=v6)
    port = f"-p tcp --dport {spec.port}" if spec.port else ""
    target = _block_target(spec, port, v6=v6)
    for address in addresses[:1] if spec.first_only else addresses:
        yield FilterRule("filter", "FORWARD", f"-i {HOME} -d {address} {target}")
        if spec.how == "large":
            yield FilterRule("filter", "FORWARD", f"-o {HOME} -s {address} {target}")


def _block_target(spec: AddressBlock, port: str, *, v6: bool) -> str:
    if spec.how == "drop":
        return f"{port} -j DROP"
    if spec.how == "large":
        return f"{port or '-p tcp'} {line_rules.LARGE} -j DROP"
    rejects = _V6_REJECTS if v6 else _V4_REJECTS
    found = port or "-p tcp"
    if spec.how == "reset":  # the handshake's third packet, so that a connection exists to be reset
        found += " --tcp-flags SYN,ACK,FIN,RST ACK"
    return f"{found} -j REJECT --reject-with {rejects[spec.how]}"


def _dns_redirect(spec: DnsTampering) -> Iterator[FilterRule]:
    resolvers = {
        "all": "",
        "system": f"-d {plan.SYSTEM_RESOLVER}",
        "public": f"! -d {plan.SYSTEM_RESOLVER}",
    }[spec.resolvers]
    found = f"-i {HOME} {resolvers} -p udp --dport 53 {_dns_match(spec.name)}"
    to = f"-j REDIRECT --to-ports {plan.DNS_INJECTOR_PORT}"
    yield FilterRule("nat", "PREROUTING", f"{found} {to}")


def _ech_rules(spec: EchFilter, topology: Topology, *, v6: bool) -> Iterator[FilterRule]:
    """Match extension 0xfe0d with 250 bytes that begin like an outer ClientHello (RFC 9849)."""
    for address in proxied.addresses(topology, spec.name, v6=v6):
        shape = '-m string --algo bm --hex-string "|fe0d00fa0000010001|"'
        yield FilterRule("filter", "FORWARD", f"-i {HOME} -d {address} -p tcp {shape} -j DROP")


def _quic_rules(
    spec: QuicFilter, topology: Topology, index: int, *, v6: bool
) -> Iterator[FilterRule]:
    """By name over IPv4 only: `quic_censor` relays no IPv6."""
    port = "icmp6-port-unreachable" if v6 else "icmp-port-unreachable"
    for address in proxied.addresses(topology, spec.name, v6=v6):
        found = f"-i {HOME} -d {address} -p udp --dport 443"
        if spec.how == "drop_name":
            to = f"-j REDIRECT --to-ports {plan.quic_port(index)}"
            yield FilterRule("nat", "PREROUTING", f"{found} {to}")
        else:
            target = "DROP" if spec.how == "drop" else f"REJECT --reject-with {port}"
            yield FilterRule("filter", "FORWARD", f"{found} -j {target}")


def _first_packet_rules(spec: FirstPacketFilter, topology: Topology) -> Iterator[FilterRule]:
    """IP and UDP have 28 bytes of headers; connbytes counts the packet under inspection."""
    for address in proxied.addresses(topology, spec.name, v6=False):
        first = "-m connbytes --connbytes 1:1 --connbytes-dir original --connbytes-mode packets"
        size = f"-m length --length {spec.size + 28}"
        begins = f'-m string --algo bm --from 28 --to 40 --hex-string "|{spec.begins}|"'
        found = f"-i {HOME} -d {address} -p udp {size} {begins} {first}"
        yield FilterRule("mangle", "FORWARD", f"{found} -j CONNMARK --set-mark {_SILENT}")


def _dropped_from(packet: int, mark: int) -> FilterRule:
    """From this packet of the client's on, nothing passes in its direction."""
    counted = f"--connbytes {packet}: --connbytes-dir original --connbytes-mode packets"
    found = f"-i {HOME} -m connmark --mark {mark} -m connbytes {counted}"
    return FilterRule("filter", "FORWARD", f"{found} -j DROP")


def _frozen_after(size: int, mark: int) -> FilterRule:
    counted = f"-m connbytes --connbytes {size}: --connbytes-dir both --connbytes-mode bytes"
    return FilterRule("filter", "FORWARD", f"-m connmark --mark {mark} {counted} -j DROP")


def _throttle_rules(spec: Throttle, index: int) -> Iterator[FilterRule]:
    mark = _FIRST_SLOW + index
    yield FilterRule("mangle", "FORWARD", f"{_sni_match(spec.name)} -j CONNMARK --set-mark {mark}")
    marked = f"-m connmark --mark {mark}"
    match spec.how:
        case "police":
            flow = "--hashlimit-mode srcip,srcport,dstip,dstport"
            limit = f"--hashlimit-above {spec.rate}b/s --hashlimit-burst {max(spec.rate, 16_000)}b"
            hashed = f"-m hashlimit {limit} {flow} --hashlimit-name s{index}"
            yield FilterRule("filter", "FORWARD", f"{marked} {hashed} -j DROP")
        case "freeze":
            yield _frozen_after(spec.rate, mark)
        case "shape":
            target = f"-j CLASSIFY --set-class 1:{mark:x}"
            yield FilterRule("mangle", "POSTROUTING", f"-o {HOME} {marked} {target}")


def dead_server_rules(topology: Topology, *, v6: bool = False) -> str:
    """Rules on the internet node for servers that are silent, closed or unreachable themselves."""
    compiled: list[FilterRule] = []
    for placed in topology.sites.values():
        addresses = placed.v6 if v6 else placed.v4
        gone = () if v6 else placed.v4[len(placed.alive) :]
        compiled += [FilterRule("filter", "INPUT", f"-d {address} -j DROP") for address in gone]
        for address in addresses:
            site = placed.site
            compiled += _dead_rules(address, site.server, site.plain, site.quic, v6=v6)
    for each in () if v6 else topology.interferences:
        if isinstance(each, SiteFirewall):
            compiled += _site_firewall_rules(each, topology)
    return render(compiled)


def _dead_rules(
    address: str, server: str, plain: str, quic: str, *, v6: bool
) -> Iterator[FilterRule]:
    unreachable = "icmp6-addr-unreachable" if v6 else "icmp-host-unreachable"
    refused = "-j REJECT --reject-with tcp-reset"
    match server:
        case "refuses":
            yield FilterRule("filter", "INPUT", f"-d {address} -p tcp {refused}")
        case "silent":
            yield FilterRule("filter", "INPUT", f"-d {address} -j DROP")
        case "unreachable":
            reject = f"-j REJECT --reject-with {unreachable}"
            yield FilterRule("filter", "INPUT", f"-d {address} {reject}")
    if quic == "mute":
        yield FilterRule("filter", "INPUT", f"-d {address} -p udp --dport 443 -j DROP")
    if plain == "closed":
        yield FilterRule("filter", "INPUT", f"-d {address} -p tcp --dport 80 {refused}")
