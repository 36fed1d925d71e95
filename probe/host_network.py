"""The network of this machine: its gateway (as a keyed hash, never its address), VPN, proxy.

Gateway and VPN are read from `/proc/net`; except on Linux they are None (unknown), and nothing
depends on them.
"""

import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from probe import atomic_files
from probe.net.route import ROUTES, default_routes, read_table
from probe.system_view import never_fatal

SECRET = "networks.key"  # noqa: S105 - the name of a file
_SECRET_BYTES = 32
_NEIGHBOURS = Path("/proc/net/arp")
_TUNNELS = ("tun", "tap", "wg", "ppp", "utun", "nordlynx", "proton", "ipsec")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def platform() -> str:
    """`linux`, `macos`, `windows`, else the value of `sys.platform`."""
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)


@never_fatal(None)
def gateway(state: Path) -> str | None:
    """An identifier of this network: a hash of its gateway, with a key of this machine; or None."""
    route = _default_route()
    if route is None:
        return None
    interface, address = route
    identity = f"{address} {_hardware_address(interface, address)}".encode()
    return hmac.new(_secret(state), identity, hashlib.sha256).hexdigest()[:32]


@never_fatal(None)
def vpn() -> bool | None:
    """Whether the default route leads through a tunnel; None if unknown."""
    route = _default_route()
    return None if route is None else route[0].startswith(_TUNNELS)


def proxy(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment sets a proxy; measurements never use it."""
    return any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES)


def _secret(state: Path) -> bytes:
    """The key of this machine; without one, on a full disk, networks have no identifier."""
    path = state / SECRET
    try:
        secret = path.read_bytes()
    except FileNotFoundError:
        secret = b""
    if len(secret) != _SECRET_BYTES:  # missing, or cut off by a full disk
        secret = secrets.token_bytes(_SECRET_BYTES)
        atomic_files.write(path, secret)
    return secret


def _default_route() -> tuple[str, str] | None:
    """Interface and gateway of the default route with the lowest metric."""
    found = default_routes(read_table(ROUTES))
    return (found[0].interface, found[0].address) if found else None


def _hardware_address(interface: str, address: str) -> str:
    """The gateway's MAC address: many home networks have the same IP address for it."""
    for line in read_table(_NEIGHBOURS).splitlines()[1:]:
        fields = line.split()
        if len(fields) > 5 and fields[0] == address and fields[5] == interface:
            return fields[3]
    return ""
