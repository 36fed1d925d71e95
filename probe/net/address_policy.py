"""Which addresses may be connected to.

Outside a lab the probe never connects to an address that is not public: an answer or a redirect
that names a private address is recorded, and not followed into the user's home network.
"""

from ipaddress import ip_address

from probe.public_address import is_global


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


__all__ = ["is_dialable", "is_global", "is_literal"]
