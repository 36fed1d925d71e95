"""The resolvers that this machine is configured with.

The system's lookup functions hide the response code and all replies but one. So the configuration
is read and its resolvers are queried directly. A local stub (systemd-resolved) is queried itself:
it sends each domain to the resolver of its network, which its list of all upstream resolvers does
not say. Only `system_resolvers` and `can_ask` do I/O.
"""

import errno
import re
import socket
import sys
from pathlib import Path

from probe import system_tools
from probe.net.address_policy import is_literal
from probe.net.stream import socket_address
from probe.system_view import never_fatal, text

ResolverAddress = tuple[str, int]

PORT = 53
LOCALHOST: ResolverAddress = ("127.0.0.1", PORT)
MOST = 3  # resolv.conf(5): MAXNS
_SECONDS = 10.0
_RESOLV = Path("/etc/resolv.conf")
_UNUSABLE = frozenset({errno.EINVAL, errno.ENODEV, errno.ENXIO})
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


@never_fatal((LOCALHOST,))
def system_resolvers() -> tuple[ResolverAddress, ...]:
    """The machine's resolvers, the preferred one first. May run a command: call it in a thread.

    At least one: where none can be asked, names do not resolve, and asking localhost shows it.
    """
    if sys.platform == "win32":
        found = from_lines(_output("powershell", "-NoProfile", "-Command", _POWERSHELL))
    elif sys.platform == "darwin":
        found = from_scutil(_output("scutil", "--dns")) or from_resolv_conf(text(_RESOLV))
    else:
        found = from_resolv_conf(text(_RESOLV))
    return tuple(one for one in found if can_ask(one[0])) or (LOCALHOST,)


def can_ask(address: str) -> bool:
    """Whether queries can be sent to an address at all; nothing is sent.

    They cannot to a link-local address without its interface, or with one that does not exist. That
    the network is unreachable is no reason: it is a result.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(socket_address(address, PORT))
    except OSError as error:
        return error.errno not in _UNUSABLE
    return True


def from_resolv_conf(configured: str) -> tuple[ResolverAddress, ...]:
    """Read resolv.conf(5). Without a nameserver the C library asks localhost."""
    return _usable(_NAMESERVER.findall(configured)) or (LOCALHOST,)


def from_scutil(shown: str) -> tuple[ResolverAddress, ...]:
    """Read `scutil --dns` of macOS: the first resolver that is not for one domain only."""
    general = shown.partition("DNS configuration (for scoped queries)")[0]
    for block in re.split(r"^resolver #\d{1,4}", general, flags=re.MULTILINE)[1:]:
        found = _usable(_SCUTIL_SERVER.findall(block))
        if found and not _SCUTIL_DOMAIN.search(block):
            return found
    return ()


def from_lines(listed: str) -> tuple[ResolverAddress, ...]:
    """Read one address a line, the preferred one first (the PowerShell command's output)."""
    return _usable(listed.split())


def _usable(words: list[str]) -> tuple[ResolverAddress, ...]:
    """The usable addresses among `words`, without duplicates, in order."""
    usable = (word for word in words if is_literal(word) and word not in _PLACEHOLDERS)
    return tuple((address, PORT) for address in dict.fromkeys(usable))[:MOST]


def _output(*command: str) -> str:
    """What a system command prints; empty if it is missing, fails to start or hangs."""
    return system_tools.run(*command, seconds=_SECONDS).text[:65536]
