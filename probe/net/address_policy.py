"""Which addresses may be connected to.

Outside a lab the probe never connects to an address that is not public: an answer or a redirect
that names a private address is recorded, and not followed into the user's home network.
"""

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
