"""Which addresses may be connected to.

Outside a lab the probe never connects to an address that is not public: an answer or a redirect
that names a private address is recorded, and not followed into the user's home network.
"""

from ipaddress import ip_address, ip_network

from probe.public_address import is_global

# Addresses of home networks and of this machine (RFC 1918, 3927, 4193, 4291). Not the shared ones
# of RFC 6598: providers' resolvers have those.
_HOME = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)


def is_literal(text: str) -> bool:
    """Whether `text` is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_dialable(address: str, *, lab: bool) -> bool:
    """Whether a connection may be opened to `address`; in a lab, to any literal address."""
    return is_literal(address) if lab else is_global(address)


def is_nearby(address: str, *, lab: bool = False) -> bool:
    """Whether an address is in a home network or this machine's; in a lab loopback is neither."""
    parsed = ip_address(address.partition("%")[0])
    if parsed.is_loopback:
        return not lab
    return any(parsed in network for network in _HOME if network.version == parsed.version)


__all__ = ["is_dialable", "is_global", "is_literal", "is_nearby"]
