"""ndt7 as both sides speak it: names, times, sizes, and the measurements that they tell each other.

The facts are those of the specification (m-lab/ndt-server, spec/ndt7-protocol.md, 0.9). All times
in a measurement are in microseconds, all sizes in bytes.
"""

from typing import Final, Literal

import msgspec

Ndt7Test = Literal["download", "upload"]

SUBPROTOCOL: Final = "net.measurementlab.ndt.v7"
PATHS: Final[dict[Ndt7Test, str]] = {
    "download": "/ndt/v7/download",
    "upload": "/ndt/v7/upload",
}
# A test takes ten seconds; whatever still goes on after thirteen may be cut.
SECONDS: Final = 10.0
LAST_SECONDS: Final = 13.0
FIRST_MESSAGE: Final = 1 << 13
LARGEST_MESSAGE: Final = 1 << 24
LONGEST_QUERY: Final = 4096
# A message is doubled when it is no more than this share of what was sent.
_SHARE = 16


def next_size(size: int, sent: int, largest: int) -> int:
    """The size of the next binary message: small on a slow line, large on a fast one."""
    return min(2 * size, largest) if size <= sent // _SHARE else size


class AppInfo(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What one side counts itself: bytes of binary messages since the beginning of the test."""

    elapsed_time: int
    num_bytes: int


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The endpoints as the server sees them, `ADDRESS:PORT`; told once, to the client itself."""

    client: str
    server: str


_ACRONYMS = {"min_rtt": "MinRTT", "rtt": "RTT", "rtt_var": "RTTVar", "bw": "BW"}


def _field(name: str) -> str:
    return _ACRONYMS.get(name) or "".join(word.capitalize() for word in name.split("_"))


class KernelCounters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=_field):
    """The server's `TCP_INFO`; what its kernel does not count is left out."""

    elapsed_time: int
    busy_time: int | None = None
    bytes_acked: int | None = None
    bytes_received: int | None = None
    bytes_sent: int | None = None
    bytes_retrans: int | None = None
    min_rtt: int | None = None
    rtt: int | None = None
    rtt_var: int | None = None
    rwnd_limited: int | None = msgspec.field(default=None, name="RWndLimited")
    snd_buf_limited: int | None = None


class BbrCounters(msgspec.Struct, frozen=True, kw_only=True, rename=_field):
    """The server's model of the path, where it uses BBR; `bw` in bytes a second."""

    elapsed_time: int
    bw: int
    min_rtt: int


class Ndt7Measurement(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"
):
    """One text message of either side."""

    app_info: AppInfo | None = None
    connection_info: ConnectionInfo | None = None
    tcp_info: KernelCounters | None = msgspec.field(default=None, name="TCPInfo")
    bbr_info: BbrCounters | None = msgspec.field(default=None, name="BBRInfo")
    origin: Literal["client", "server"] | None = None
    test: Ndt7Test | None = None
