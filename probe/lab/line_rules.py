"""Interference with the client's whole line, compiled into iptables rules."""

from collections.abc import Iterator, Mapping
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
    blocks = ("-j DROP",) if spec.how in _IPV6_BLOCKS else ()
    for text in (*_EITHER.get(spec.how, ()), *blocks):
        yield FilterRule("filter", "FORWARD", text)
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
_DROPPED_RESOLVERS = tuple(f"-i {HOME} -d {one} -j DROP" for one in plan.PUBLIC_RESOLVERS)
_DOH = "-p tcp -m multiport --dports 443,853"
_PORTAL_ALONE = (
    f"-i {HOME} -d {plan.PORTAL} -j ACCEPT",
    f"-i {HOME} -p udp --dport 53 -j ACCEPT",
    f"-i {HOME} -p tcp {_REJECT}",
)
# What is let through or not over IPv4, in this order.
_FORWARD: Mapping[str, tuple[str, ...]] = {
    "outage": ("-j DROP",),
    "foreign_cut": (f"-i {HOME} ! -d {_DOMESTIC} -j DROP",),
    "no_quic": (f"-i {HOME} -p udp --dport 443 -j DROP",),
    "no_dot": (f"-i {HOME} -p tcp --dport 853 -j DROP",),
    "no_collector": (f"-i {HOME} -d {plan.COLLECTOR} -j DROP",),
    "whitelist": (
        f"-i {HOME} -d {plan.ESSENTIAL} -j ACCEPT",
        f"-i {HOME} -d {plan.SYSTEM_RESOLVER} -j ACCEPT",
        f"-i {HOME} -j DROP",
    ),
    "captive_portal": _PORTAL_ALONE,
    "hotel_dns": _PORTAL_ALONE,
    "session_ends": (
        f"-p tcp --dport 443 -m quota --quota {_SESSION} -j ACCEPT",
        f"-i {HOME} -p tcp --dport 443 {_REJECT}",
    ),
    "no_ipv4": (
        f"-i {HOME} -d {plan.COLLECTOR} -j ACCEPT",
        f"-i {HOME} -p tcp {_UNREACHABLE}",
    ),
    "no_public_dns": _DROPPED_RESOLVERS,
    "no_doh": tuple(f"-i {HOME} -d {one} {_DOH} -j DROP" for one in plan.PUBLIC_RESOLVERS),
    "no_dns": (*_DROPPED_RESOLVERS, f"-i {HOME} -d {plan.SYSTEM_RESOLVER} -j DROP"),
}


def rules(spec: WholeLine) -> Iterator[FilterRule]:
    if spec.how in REDIRECTS:
        yield FilterRule("nat", "PREROUTING", f"-i {HOME} {REDIRECTS[spec.how]}")
    for text in (*_EITHER.get(spec.how, ()), *_FORWARD.get(spec.how, ())):
        yield FilterRule("filter", "FORWARD", text)
