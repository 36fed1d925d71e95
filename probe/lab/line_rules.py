"""Interference with the client's whole line, compiled into iptables rules."""

from collections.abc import Iterator
from dataclasses import dataclass

from probe.lab import addresses as plan
from probe.lab.scenario import WholeLine

HOME = "home"
_DOMESTIC = "92.46.0.0/16"


@dataclass(frozen=True, slots=True)
class FilterRule:
    """One line of a table."""

    table: str
    chain: str
    text: str


_IPV6_BLOCKS = frozenset(
    {"outage", "foreign_cut", "whitelist", "captive_portal", "hotel_dns", "no_ipv6"}
)


_REJECT = "-j REJECT --reject-with tcp-reset"
# Packets that a tunnel of the smallest size that IPv6 allows cannot carry.
LARGE = "-m length --length 1281:65535"
# Packets with data, so that a connection exists to be reset.
_ESTABLISHED = "--tcp-flags SYN,ACK,FIN,RST ACK"
# The same over both families.
_EITHER = {
    "pages_answered": (f"-i {HOME} -p tcp --dport 443 {_REJECT}",),
    "port_443_refused": (f"-i {HOME} -p tcp --dport 443 {_REJECT}",),
    "port_443_reset": (f"-i {HOME} -p tcp --dport 443 {_ESTABLISHED} {_REJECT}",),
    "port_443_silent": (f"-i {HOME} -p tcp --dport 443 -j DROP",),
    "port_80_refused": (f"-i {HOME} -p tcp --dport 80 {_REJECT}",),
    "large_packets_lost": (f"-p tcp {LARGE} -j DROP",),
}
_UNREACHABLE = "-j REJECT --reject-with icmp-net-unreachable"
# Bytes of port 443 before a session ends: enough for the references and a few sites.
_SESSION = 25_000


def rules6(spec: WholeLine) -> Iterator[FilterRule]:
    """Over IPv6 every whole-line block covers all addresses; there are no exceptions."""
    yield from _either(spec)
    if spec.how in _IPV6_BLOCKS:
        yield FilterRule("filter", "FORWARD", "-j DROP")
    if REDIRECTS.get(spec.how) == _TO_TLS_PROXY:
        to = f"-j REDIRECT --to-ports {plan.REDIRECTED_TLS_PORT}"
        yield FilterRule("nat", "PREROUTING", f"-i {HOME} -p tcp --dport 443 {to}")


_TO_TLS_PROXY = f"-p tcp --dport 443 -j REDIRECT --to-ports {plan.REDIRECTED_TLS_PORT}"
_TO_WEB_PROXY = f"-p tcp --dport 80 -j REDIRECT --to-ports {plan.REDIRECTED_WEB_PORT}"
_TO_DNS_INJECTOR = f"-p udp --dport 53 -j REDIRECT --to-ports {plan.DNS_INJECTOR_PORT}"
REDIRECTS = {
    "captive_portal": _TO_WEB_PROXY,
    "pages_answered": _TO_WEB_PROXY,
    "hotel_dns": _TO_DNS_INJECTOR,
    "everything_resigned": _TO_TLS_PROXY,
    "router_page": _TO_TLS_PROXY,
    "watched_everywhere": _TO_TLS_PROXY,
    "nxdomain_sold": f"-d {plan.SYSTEM_RESOLVER} {_TO_DNS_INJECTOR}",
    "dns_hijack": f"! -d {plan.SYSTEM_RESOLVER} {_TO_DNS_INJECTOR}",
}
_DROPS = {
    "outage": "-j DROP",
    "foreign_cut": f"-i {HOME} ! -d {_DOMESTIC} -j DROP",
    "no_quic": f"-i {HOME} -p udp --dport 443 -j DROP",
    "no_dot": f"-i {HOME} -p tcp --dport 853 -j DROP",
    "no_collector": f"-i {HOME} -d {plan.COLLECTOR} -j DROP",
}


def rules(spec: WholeLine) -> Iterator[FilterRule]:
    if spec.how in REDIRECTS:
        yield FilterRule("nat", "PREROUTING", f"-i {HOME} {REDIRECTS[spec.how]}")
    yield from _either(spec)
    if spec.how in _DROPS:
        yield FilterRule("filter", "FORWARD", _DROPS[spec.how])
    match spec.how:
        case "whitelist":
            for allowed in (str(plan.ESSENTIAL), plan.SYSTEM_RESOLVER):
                yield FilterRule("filter", "FORWARD", f"-i {HOME} -d {allowed} -j ACCEPT")
            yield FilterRule("filter", "FORWARD", f"-i {HOME} -j DROP")
        case "captive_portal" | "hotel_dns":
            yield FilterRule("filter", "FORWARD", f"-i {HOME} -d {plan.PORTAL} -j ACCEPT")
            yield FilterRule("filter", "FORWARD", f"-i {HOME} -p udp --dport 53 -j ACCEPT")
            reject = f"-i {HOME} -p tcp -j REJECT --reject-with tcp-reset"
            yield FilterRule("filter", "FORWARD", reject)
        case "session_ends":
            quota = f"-m quota --quota {_SESSION} -j ACCEPT"
            yield FilterRule("filter", "FORWARD", f"-p tcp --dport 443 {quota}")
            yield FilterRule("filter", "FORWARD", f"-i {HOME} -p tcp --dport 443 {_REJECT}")
        case "no_ipv4":
            yield FilterRule("filter", "FORWARD", f"-i {HOME} -d {plan.COLLECTOR} -j ACCEPT")
            yield FilterRule("filter", "FORWARD", f"-i {HOME} -p tcp {_UNREACHABLE}")
        case "no_public_dns" | "no_doh" | "no_dns":
            yield from _resolver_block_rules(spec.how)


def _either(spec: WholeLine) -> Iterator[FilterRule]:
    for text in _EITHER.get(spec.how, ()):
        yield FilterRule("filter", "FORWARD", text)


def _resolver_block_rules(how: str) -> Iterator[FilterRule]:
    for address in plan.PUBLIC_RESOLVERS:
        ports = "" if how != "no_doh" else "-p tcp -m multiport --dports 443,853"
        yield FilterRule("filter", "FORWARD", f"-i {HOME} -d {address} {ports} -j DROP")
    if how == "no_dns":
        yield FilterRule("filter", "FORWARD", f"-i {HOME} -d {plan.SYSTEM_RESOLVER} -j DROP")
