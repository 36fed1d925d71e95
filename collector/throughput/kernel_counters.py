"""What the kernel counts of one connection (`TCP_INFO`), as ndt7 tells it; Linux only."""

import socket
import struct
from typing import Protocol

from probe.interop.ndt7.protocol import BbrCounters, KernelCounters

# Offsets in struct tcp_info (linux/tcp.h), which only ever grows at its end.
_SHORT = {"rtt": 68, "rtt_var": 72, "min_rtt": 148}
_LONG = {
    "bytes_acked": 120,
    "bytes_received": 128,
    "busy_time": 168,
    "rwnd_limited": 176,
    "snd_buf_limited": 184,
    "bytes_sent": 200,
    "bytes_retrans": 208,
}
_SIZE = 280
_NEVER = 0xFFFF_FFFF  # min_rtt before the first acknowledgement
_CC_INFO = 26  # TCP_CC_INFO; struct tcp_bbr_info: bandwidth low and high, round trip
_BBR = struct.Struct("=III")


class Countable(Protocol):
    """A socket, or what stands for it in a transport."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """The value of a socket option."""


def tcp_counters(connection: Countable, elapsed: float) -> KernelCounters | None:
    """The counters of a connection, `elapsed` seconds after the test began; None: not known."""
    number = getattr(socket, "TCP_INFO", None)
    if number is None:
        return None
    try:
        data = connection.getsockopt(socket.IPPROTO_TCP, number, _SIZE)
    except OSError:
        return None
    return parsed(data, elapsed)


def parsed(data: bytes, elapsed: float) -> KernelCounters:
    """Read a `struct tcp_info`, which is short on an old kernel."""
    found: dict[str, int] = {}
    for offsets, form in ((_SHORT, "=I"), (_LONG, "=Q")):
        for name, offset in offsets.items():
            if offset + struct.calcsize(form) <= len(data):
                (found[name],) = struct.unpack_from(form, data, offset)
    if found.get("min_rtt") == _NEVER:
        del found["min_rtt"]
    return KernelCounters(elapsed_time=round(elapsed * 1e6), **found)


def bbr_counters(connection: Countable, elapsed: float) -> BbrCounters | None:
    """BBR's model of the path, or None where another congestion control is used."""
    number = getattr(socket, "TCP_CONGESTION", None)
    if number is None:
        return None
    try:
        if connection.getsockopt(socket.IPPROTO_TCP, number, 16).rstrip(b"\0") != b"bbr":
            return None
        data = connection.getsockopt(socket.IPPROTO_TCP, _CC_INFO, _BBR.size)
    except OSError:
        return None
    if len(data) < _BBR.size:
        return None
    low, high, trip = _BBR.unpack_from(data)
    return BbrCounters(elapsed_time=round(elapsed * 1e6), bw=high << 32 | low, min_rtt=trip)
