"""The resolvers that this machine is configured with.

The system's lookup functions hide the response code and all replies but one. So the configuration
is read and its resolvers are queried directly; behind a local stub (systemd-resolved), the stub's
upstream. Only `system_resolvers` does I/O.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from probe.net.address_policy import is_literal

ResolverAddress = tuple[str, int]

PORT = 53
MOST = 3  # resolv.conf(5): MAXNS
_SECONDS = 10.0
_RESOLV = Path("/etc/resolv.conf")
_UPSTREAM = Path("/run/systemd/resolve/resolv.conf")
_STUBS = frozenset({"127.0.0.53", "127.0.0.54"})
# Filled in by Windows and old stacks if no resolver is configured; not in use anywhere.
_PLACEHOLDERS = frozenset({"fec0:0:0:ffff::1", "fec0:0:0:ffff::2", "fec0:0:0:ffff::3"})
_NAMESERVER = re.compile(r"^\s{0,16}nameserver\s{1,16}(\S{1,80})", re.MULTILINE)
_SCUTIL_SERVER = re.compile(r"^\s{0,16}nameserver\[\d{1,3}\] : (\S{1,80})", re.MULTILINE)
_SCUTIL_DOMAIN = re.compile(r"^\s{0,16}domain\s{1,8}:", re.MULTILINE)
_POWERSHELL = (
    "Get-NetRoute -DestinationPrefix '0.0.0.0/0','::/0' -ErrorAction SilentlyContinue"
    " | Sort-Object {$_.RouteMetric + $_.InterfaceMetric}"
    " | ForEach-Object {(Get-DnsClientServerAddress"
    " -InterfaceIndex $_.InterfaceIndex).ServerAddresses}"
)


def system_resolvers() -> tuple[ResolverAddress, ...]:
    """The machine's resolvers, the preferred one first. May run a command: call it in a thread."""
    if sys.platform == "win32":
        return from_lines(_output(["powershell", "-NoProfile", "-Command", _POWERSHELL]))
    if sys.platform == "darwin":
        return from_scutil(_output(["scutil", "--dns"])) or from_resolv_conf(_text(_RESOLV))
    return from_resolv_conf(_text(_RESOLV), _text(_UPSTREAM))


def from_resolv_conf(text: str, upstream: str = "") -> tuple[ResolverAddress, ...]:
    """Read resolv.conf(5); where it names only systemd's stub, read the stub's own upstream."""
    found = _usable(_NAMESERVER.findall(text))
    if found and all(address in _STUBS for address, _ in found):
        return _usable(_NAMESERVER.findall(upstream)) or found
    # Without a nameserver the C library asks localhost.
    return found or (("127.0.0.1", PORT),)


def from_scutil(text: str) -> tuple[ResolverAddress, ...]:
    """Read `scutil --dns` of macOS: the first resolver that is not for one domain only."""
    general = text.partition("DNS configuration (for scoped queries)")[0]
    for block in re.split(r"^resolver #\d{1,4}", general, flags=re.MULTILINE)[1:]:
        found = _usable(_SCUTIL_SERVER.findall(block))
        if found and not _SCUTIL_DOMAIN.search(block):
            return found
    return ()


def from_lines(text: str) -> tuple[ResolverAddress, ...]:
    """Read one address a line, the preferred one first (the PowerShell command's output)."""
    return _usable(text.split())


def _usable(words: list[str]) -> tuple[ResolverAddress, ...]:
    """The usable addresses among `words`, without duplicates, in order."""
    usable = (word for word in words if is_literal(word) and word not in _PLACEHOLDERS)
    return tuple((address, PORT) for address in dict.fromkeys(usable))[:MOST]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:65536]
    except OSError:
        return ""


def _output(command: list[str]) -> str:
    """What a system command prints; empty if it is missing, fails to start or hangs."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a constant command of the system, nothing from input
            [program, *command[1:]], capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")[:65536]
