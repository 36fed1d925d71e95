"""The few system calls that make and enter network namespaces, which Python 3.11 lacks."""

import array
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_SIOCETHTOOL = 0x8946
# ethtool's "set" commands: checksums and every kind of segment gathering, so that what crosses the
# censor are packets as they would be on a wire.
_ETHTOOL_OFF = (0x15, 0x17, 0x1F, 0x22, 0x24, 0x2C)  # rx/tx csum, tso, ufo, gso, gro


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int = 0) -> None:
    """Mount a file system in this mount namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = kind.encode() if kind else None
    _check(libc.mount(source.encode(), target.encode(), name, flags, None), f"mount {target}")


def own_mounts() -> None:
    """Keep later mounts from spreading to the outside."""
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)


def bind_over(path: str, content: str, scratch: Path) -> bool:
    """Show `content` at `path` to this mount namespace; False when there is nothing to cover."""
    real = os.path.realpath(path)
    if not Path(real).exists():
        return False
    scratch.write_text(content)
    mount(str(scratch), real, None, _MS_BIND)
    return True


def outer_pid() -> int:
    """This process's id as the outside sees it: /proc is still the outside's."""
    return int(Path("/proc/self").readlink().name)


def sysctl(path: str, value: str) -> None:
    """Set a kernel variable of this network namespace; absent ones are passed over."""
    file = Path("/proc/sys") / path
    if file.exists():
        file.write_text(value)


def no_address_detection() -> None:
    """Let IPv6 addresses be used at once: nobody else is on these links (RFC 4862 section 5.4)."""
    for folder in Path("/proc/sys/net/ipv6/conf").glob("*"):
        (folder / "accept_dad").write_text("0")
        (folder / "dad_transmits").write_text("0")


def offloads_off(interface: str) -> None:
    """Make an interface carry packets one by one with whole checksums."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for command in _ETHTOOL_OFF:
            value = array.array("B", struct.pack("II", command, 0))
            pointer = value.buffer_info()[0]
            request = struct.pack("16sP", interface.encode(), pointer).ljust(40, b"\0")
            try:
                fcntl.ioctl(handle, _SIOCETHTOOL, request)
            except OSError:
                continue  # an older kernel without that switch
