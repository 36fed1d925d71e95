"""Which IP addresses are public: pure, for lists of targets and for what is dialled."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# Networks that embed an IPv4 address in an IPv6 one: the embedded address decides.
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215
_SITE_LOCAL = IPv6Network("fec0::/10")  # RFC 3879: deprecated, still private
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291: IPv4-compatible, deprecated


def is_global(address: str) -> bool:
    """Whether `address` is a public unicast address; an embedded IPv4 address decides."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _public4(parsed) if isinstance(parsed, IPv4Address) else _public6(parsed)


def _public4(address: IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _public6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    inner = _embedded(address)
    if inner is not None:
        return _public4(inner)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_site_local
        and address not in _SITE_LOCAL
        and address not in _NAT64[1]
    )


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address in a mapped, 6to4, Teredo, NAT64 or compatible address."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64[0] or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
