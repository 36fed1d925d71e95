"""The lab's address plan: globally routable addresses, so that none is a bogon by accident.

They exist only inside the lab's own namespaces.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

CLIENT = "95.57.64.10"
CLIENT_GATEWAY = "95.57.64.1"
CLIENT_NET = "95.57.64.0/24"
CLIENT6 = "2a00:5da0:64::10"
CLIENT6_GATEWAY = "2a00:5da0:64::1"
CLIENT6_NET = "2a00:5da0:64::/64"

ABROAD = "146.70.20.10"
ABROAD_GATEWAY = "146.70.20.1"
ABROAD6 = "2a0c:5c80:20::10"
ABROAD6_GATEWAY = "2a0c:5c80:20::1"

UPLINK_CENSOR = "92.47.151.1"
UPLINK_INTERNET = "92.47.151.2"
UPLINK6_CENSOR = "2a00:5da0:ffff::1"
UPLINK6_INTERNET = "2a00:5da0:ffff::2"

# A multihop path: six routers in two countries, by the address of their client side.
MULTIHOP_CLIENT = "192.168.77.10"
MULTIHOP_NEAR = {
    "home": "192.168.77.1",
    "provider": CLIENT_GATEWAY,
    "backbone": "100.70.1.2",
    "border": "92.47.145.2",
    "transit": "62.115.10.2",
    "edge": "213.248.5.2",
}
# Their other sides, each in the network of the next router's client side.
MULTIHOP_FAR = {
    "home": CLIENT,
    "provider": "100.70.1.1",
    "backbone": "92.47.145.1",
    "border": "62.115.10.1",
    "transit": "213.248.5.1",
    "edge": UPLINK_CENSOR,
}

# Routers beside the chain: the networks towards the backbone and towards the border.
DETOURS = {"detour": ("100.70.9", "92.47.146"), "bypass": ("100.70.10", "92.47.148")}

FOREIGN = IPv4Network("45.130.0.0/16")
DOMESTIC = IPv4Network("92.46.0.0/17")
ESSENTIAL = IPv4Network("92.46.200.0/24")
FOREIGN6 = IPv6Network("2a0d:5600::/32")

SYSTEM_RESOLVER = "92.46.190.53"
PUBLIC_RESOLVERS = {
    "8.8.8.8": "dns.google",
    "8.8.4.4": "dns.google",
    "1.1.1.1": "cloudflare-dns.com",
    "1.0.0.1": "cloudflare-dns.com",
    "9.9.9.9": "dns.quad9.net",
    "77.88.8.8": "common.dot.dns.yandex.net",
}
PUBLIC_RESOLVERS6 = {
    "2001:4860:4860::8888": "dns.google",
    "2606:4700:4700::1111": "cloudflare-dns.com",
}

COLLECTOR = "45.130.254.10"
COLLECTOR_PORT = 8080
BULK_PORT = 9443

BLOCK_PAGE = "92.46.180.80"
BLOCK_PAGE_NAME = "zapret.kzmincom-lab.kz"
PORTAL = "92.46.180.81"
PORTAL_NAME = "login.hotel-wifi-lab.kz"
AD_PAGE = "92.46.180.82"
NOWHERE = "45.130.255.254"
BOGON = "10.10.34.34"

REDIRECTED_TLS_PORT = 7443
REDIRECTED_WEB_PORT = 7080
DNS_INJECTOR_PORT = 5353
_FIRST_QUIC_PORT = 20_000


# Each server in a /24 of its own, as unrelated ones are; an odd number, so that later ones fit in.
_APART = 256 + 3
# The last networks have the collector and an address where nothing lives.
_RESERVED = 512


def quic_port(index: int) -> int:
    """The UDP port of the censor for the QUIC interference with this index."""
    return _FIRST_QUIC_PORT + index


class Allocator:
    """Hands out addresses of the plan, one after the other."""

    def __init__(self) -> None:
        self._next = {FOREIGN: 256 + 10, DOMESTIC: 256 + 10, ESSENTIAL: 10}
        self._next6 = 0x1000

    def take(self, *, domestic: bool = False, essential: bool = False) -> str:
        """The next free IPv4 address of a kind."""
        network = ESSENTIAL if essential else DOMESTIC if domestic else FOREIGN
        self._next[network] += _APART
        if self._next[network] >= network.num_addresses - _RESERVED:
            self._next[network] %= _APART - 3  # all networks have a server: begin again beside them
        return str(IPv4Address(int(network.network_address) + self._next[network]))

    def take6(self) -> str:
        """The next free IPv6 address."""
        self._next6 += 0x11
        return str(IPv6Address(int(FOREIGN6.network_address) + self._next6))


def mirror(address: str) -> str:
    """A second address for the real site at `address`."""
    return str(IPv4Address(int(IPv4Address(address)) + 1))
