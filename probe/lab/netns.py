"""Processes in namespaces of their own, and the system calls for that which Python 3.11 lacks."""

import array
import ctypes
import fcntl
import os
import signal
import socket
import struct
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_SIOCETHTOOL = 0x8946
# ethtool "set" commands for checksum and segmentation offload: without it, packets cross the censor
# as they would be on a wire.
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
    """Make later mounts private to this mount namespace."""
    mount("none", "/", None, _MS_REC | _MS_PRIVATE)


def bind_over(path: str, content: str, scratch: Path) -> bool:
    """Show `content` at `path` to this mount namespace; False if `path` does not exist."""
    real = os.path.realpath(path)
    if not Path(real).exists():
        return False
    scratch.write_text(content)
    mount(str(scratch), real, None, _MS_BIND)
    return True


def outer_pid() -> int:
    """This process's id in the outer PID namespace: /proc is still that one's."""
    return int(Path("/proc/self").readlink().name)


def sysctl(path: str, value: str) -> None:
    """Set a kernel variable of this network namespace; absent ones are ignored."""
    file = Path("/proc/sys") / path
    if file.exists():
        file.write_text(value)


def no_address_detection() -> None:
    """Disable IPv6 duplicate address detection (RFC 4862 section 5.4), which delays addresses."""
    for folder in Path("/proc/sys/net/ipv6/conf").glob("*"):
        (folder / "accept_dad").write_text("0")
        (folder / "dad_transmits").write_text("0")


def offloads_off(interface: str) -> None:
    """Disable checksum and segmentation offload on an interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for command in _ETHTOOL_OFF:
            value = array.array("B", struct.pack("II", command, 0))
            pointer = value.buffer_info()[0]
            request = struct.pack("16sP", interface.encode(), pointer).ljust(40, b"\0")
            try:
                fcntl.ioctl(handle, _SIOCETHTOOL, request)
            except OSError:
                continue  # an older kernel without that switch


@dataclass(frozen=True, slots=True)
class Node:
    """One forked process with a network and a mount namespace of its own.

    Attributes:
        pid, outer: Its process id here, and in the outer PID namespace.
        go, done: File descriptors: a byte to `go` starts its work, `done` reports the result.
    """

    name: str
    pid: int
    outer: int
    go: int
    done: int


def fork_node(name: str, work: Callable[[], None]) -> Node:
    """Fork a process into new namespaces; `start_nodes` makes it do `work` and then wait."""
    up_read, up_write = os.pipe()
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        _run_node(work, up_write, go_read)
    os.close(up_write)
    os.close(go_read)
    return Node(name, pid, int(os.read(up_read, 32)), go_write, up_read)


def _run_node(work: Callable[[], None], up: int, go: int) -> NoReturn:
    try:
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        os.write(up, str(outer_pid()).encode())
        os.read(go, 1)
        no_address_detection()
        work()
        os.write(up, b"ready")
        signal.pause()
    except BaseException as error:  # noqa: BLE001 - the last frame of this process
        traceback.print_exc()
        os.write(up, f"{type(error).__name__}: {error}".encode()[:4000])
    os._exit(1)


def start_nodes(nodes: Iterable[Node]) -> None:
    """Let all nodes work and wait until each is ready; `OSError` if one fails."""
    every = tuple(nodes)
    for node in every:
        os.write(node.go, b"g")
    for node in every:
        result = os.read(node.done, 4096)
        if result != b"ready":
            raise OSError(f"{node.name}: {result.decode(errors='replace')}")


def veth(one: tuple[Node, str], other: tuple[Node, str], index: int) -> str:
    """The `ip` command for a link between two nodes' interfaces, with indexes from `index` on.

    The indexes of its two ends differ: with equal ones the kernel reports the link up a second
    late, and IPv6 waits for that.
    """
    near = f"name {one[1]} index {index} netns {one[0].pid}"
    far = f"name {other[1]} index {index + 1} netns {other[0].pid}"
    return f"link add {near} type veth peer {far}"
