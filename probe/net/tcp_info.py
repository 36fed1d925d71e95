"""The kernel's counters of one TCP connection: Linux `TCP_INFO`.

No privilege is needed and a call takes a microsecond. Older kernels return a shorter structure: a
missing field is None. On systems without `TCP_INFO` every field is None.
"""

import socket
import struct

from msgspec import Struct

# Offsets in struct tcp_info, linux/tcp.h; the structure only ever grows at its end.
_RCV_MSS, _UNACKED, _RCV_RTT, _BYTES_ACKED = 20, 24, 92, 120
_MIN_RTT, _DATA_SEGS_IN, _RCV_OOOPACK = 148, 152, 224
_SIZE = 280
_UNKNOWN = 0xFFFF_FFFF  # min_rtt before the first acknowledgement


class TcpInfo(Struct, frozen=True):
    """One reading. Round trips are in seconds.

    Attributes:
        segments, out_of_order: Data segments received, and those of them out of order.
        segment_bytes: The largest segment size that the receiver assumes of the sender.
        acked: Bytes that the peer has acknowledged.
        unacked: Segments that it has not.
    """

    segments: int | None = None
    out_of_order: int | None = None
    rcv_rtt: float | None = None
    min_rtt: float | None = None
    segment_bytes: int | None = None
    acked: int | None = None
    unacked: int | None = None


def read(connection: socket.socket) -> TcpInfo:
    """Read the counters of a connection."""
    number = getattr(socket, "TCP_INFO", None)
    if number is None:
        return TcpInfo()
    try:
        data = connection.getsockopt(socket.IPPROTO_TCP, number, _SIZE)
    except OSError:
        return TcpInfo()
    return parse(data)


def parse(data: bytes) -> TcpInfo:
    """Read a `struct tcp_info`, which may be short."""
    return TcpInfo(
        segments=_number(data, _DATA_SEGS_IN),
        out_of_order=_number(data, _RCV_OOOPACK),
        rcv_rtt=_seconds(data, _RCV_RTT),
        min_rtt=_seconds(data, _MIN_RTT),
        segment_bytes=_number(data, _RCV_MSS),
        acked=_number(data, _BYTES_ACKED, "=Q"),
        unacked=_number(data, _UNACKED),
    )


def _number(data: bytes, offset: int, form: str = "=I") -> int | None:
    if offset + struct.calcsize(form) > len(data):
        return None
    (value,) = struct.unpack_from(form, data, offset)
    return int(value)


def _seconds(data: bytes, offset: int) -> float | None:
    micros = _number(data, offset)
    return micros / 1e6 if micros and micros != _UNKNOWN else None
