"""No anonymised packet contains the user's address."""

import socket
import struct

import pytest
from hypothesis import given, settings, strategies as st

from probe.rawhelper.anonymize import HEAD, NEARBY, OURS, anonymize

HOME = "100.77.13.9"
SERVER = "203.0.113.7"
FAR, NEAR = "198.51.100.4", "100.77.0.1"
SHOW = {"destinations": {SERVER}, "known": {FAR}}


def packet(source: str, target: str, protocol: int, body: bytes, options: bytes = b"") -> bytes:
    size = 20 + len(options) + len(body)
    start = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, size, 5, 0, 60, protocol, 0)
    return start + socket.inet_aton(source) + socket.inet_aton(target) + options + body


def segment(payload: bytes, options: bytes = b"") -> bytes:
    offset = (20 + len(options)) // 4 << 4
    return struct.pack("!HHIIBBHHH", 1, 443, 9, 8, offset, 0x18, 500, 0, 0) + options + payload


def notations(address: str) -> list[bytes]:
    packed = socket.inet_aton(address)
    return [packed, address.encode(), packed.hex().encode()]


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(total)


@settings(max_examples=300)
@given(
    ours=st.booleans(),
    protocol=st.sampled_from([6, 17]),
    parts=st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(notations(HOME)))),
    options=st.sampled_from([b"", b"\x07\x07\x04" + socket.inet_aton(HOME) + b"\0"]),
)
def test_payload_and_options_do_not_contain_the_address(
    *, ours: bool, protocol: int, parts: list[bytes], options: bytes
) -> None:
    payload = b"".join(parts)
    body = segment(payload) if protocol == 6 else struct.pack("!HHHH", 1, 53, 8, 0) + payload
    ends = (HOME, SERVER) if ours else (SERVER, HOME)
    shown = anonymize(packet(*ends, protocol, body, options), ours=ours, **SHOW)
    assert shown is not None
    assert not any(one in shown for one in notations(HOME))
    assert shown[0] == 0x45
    assert len(shown) == 20 + len(body)
    assert checksum(shown[:20]) == 0xFFFF


@settings(max_examples=300)
@given(data=st.binary(max_size=120), ours=st.booleans())
def test_invalid_packets_are_dropped_or_anonymised(*, data: bytes, ours: bool) -> None:
    for whole in (data, packet(SERVER, HOME, 6, data), packet(NEAR, HOME, 1, data)):
        shown = anonymize(whole, ours=ours, **SHOW)
        assert shown is None or socket.inet_aton(HOME) not in shown


def test_sent_payload_is_kept_and_of_received_payload_the_first_bytes() -> None:
    sent = anonymize(packet(HOME, SERVER, 6, segment(b"x" * 100)), ours=True, **SHOW)
    received = anonymize(packet(SERVER, HOME, 6, segment(b"y" * 100)), ours=False, **SHOW)
    assert sent is not None
    assert received is not None
    assert sent[40:] == b"x" * 100
    assert received[40:] == b"y" * HEAD + b"\0" * (100 - HEAD)
    assert (sent[12:16], received[16:20]) == (socket.inet_aton(OURS),) * 2


def test_options_that_could_carry_an_address_are_blanked() -> None:
    options = b"\2\4\5\xb4" + b"\x1c\x08" + socket.inet_aton(HOME) + b"\0\0" + b"\1\1\1\0"
    shown = anonymize(packet(SERVER, HOME, 6, segment(b"", options)), ours=False, **SHOW)
    assert shown is not None
    assert shown[40:44] == b"\2\4\5\xb4"
    assert set(shown[44:]) == {1}


@pytest.mark.parametrize(("router", "shown_as"), [(FAR, FAR), (NEAR, NEARBY), (SERVER, SERVER)])
def test_an_icmp_error_keeps_known_routers_and_hides_our_address(
    router: str, shown_as: str
) -> None:
    quoted = packet(HOME, SERVER, 6, segment(b"secret"))
    error = struct.pack("!BBHI", 11, 0, 0, 0) + quoted
    shown = anonymize(packet(router, HOME, 1, error), ours=False, **SHOW)
    assert shown is not None
    assert socket.inet_ntoa(shown[12:16]) == shown_as
    assert socket.inet_aton(HOME) not in shown
    assert b"secret" not in shown
    assert (checksum(shown[:20]), checksum(shown[20:])) == (0xFFFF, 0xFFFF)


@pytest.mark.parametrize(
    "other",
    [
        packet("192.0.2.77", HOME, 6, segment(b"")),
        packet(HOME, "192.0.2.77", 6, segment(b"")),
        packet(SERVER, HOME, 41, b"\0" * 40),
        packet(FAR, HOME, 1, struct.pack("!BBHI", 8, 0, 0, 0) + b"\0" * 40),
        b"",
    ],
)
def test_other_packets_are_dropped(other: bytes) -> None:
    assert anonymize(other, ours=other[12:16] == socket.inet_aton(HOME), **SHOW) is None
