import socket
import struct

from hypothesis import given, strategies as st
from msgspec.structs import asdict

from probe.net.tcp_info import TcpInfo, parse, read


def test_a_short_structure_of_an_old_kernel_is_read() -> None:
    data = bytearray(160)
    struct.pack_into("=I", data, 152, 7)
    struct.pack_into("=I", data, 148, 40_000)
    struct.pack_into("=I", data, 24, 1)
    info = parse(bytes(data))
    assert info.segments == 7
    assert info.unacked == 1
    assert info.min_rtt == 0.04
    assert info.out_of_order is None


def test_what_is_not_known_yet_is_none() -> None:
    data = bytearray(280)
    struct.pack_into("=I", data, 148, 0xFFFF_FFFF)
    assert parse(bytes(data)).min_rtt is None
    assert parse(bytes(data)).rcv_rtt is None


@given(st.binary(max_size=300))
def test_any_bytes_parse(data: bytes) -> None:
    known = [value for value in asdict(parse(data)).values() if value is not None]
    assert all(value >= 0 for value in known)
    assert not known or len(data) >= 24  # nothing lies before the largest segment


def test_a_closed_socket_has_no_counters() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert read(datagrams) == TcpInfo()
