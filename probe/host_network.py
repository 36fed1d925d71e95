"""What this machine is joined to: its gateway (as a keyed hash, never as an address), VPN, proxy.

Only Linux tells it without asking anybody (`/proc/net`); elsewhere the answers are None, "not
known", and nothing depends on them.
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

SECRET = "networks.key"  # noqa: S105 - the name of a file
_NEIGHBOURS = Path("/proc/net/arp")
_TUNNELS = ("tun", "tap", "wg", "ppp", "utun", "nordlynx", "proton", "ipsec")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def platform() -> str:
    """`linux`, `macos`, `windows`, or Python's own word."""
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)


def gateway(state: Path) -> str | None:
    """This network's name on this machine: a keyed hash of its gateway, or None."""
    route = _default_route()
    if route is None:
        return None
    interface, address = route
    told = f"{address} {_hardware(interface, address)}".encode()
    return hmac.new(_secret(state), told, hashlib.sha256).hexdigest()[:32]


def vpn() -> bool | None:
    """Whether everything leaves through a tunnel."""
    route = _default_route()
    return None if route is None else route[0].startswith(_TUNNELS)


def proxy(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a proxy is set for programs (measuring never uses it)."""
    return any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES)


def _secret(state: Path) -> bytes:
    path = state / SECRET
    try:
        return path.read_bytes()
    except FileNotFoundError:
        made = secrets.token_bytes(32)
        atomic_files.write(path, made)
        return made


def _default_route() -> tuple[str, str] | None:
    """Interface and gateway of the default route with the lowest metric."""
    found = default_routes(read_table(ROUTES))
    return (found[0].interface, found[0].address) if found else None


def _hardware(interface: str, address: str) -> str:
    """The gateway's hardware address: many homes have the same network address."""
    for line in read_table(_NEIGHBOURS).splitlines()[1:]:
        fields = line.split()
        if len(fields) > 5 and fields[0] == address and fields[5] == interface:
            return fields[3]
    return ""
