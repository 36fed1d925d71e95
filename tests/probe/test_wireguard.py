"""The handshake with a test responder, which decrypts the initiation."""

import struct

import pytest
from hypothesis import given, strategies as st

from probe import wireguard
from probe.lab.tunnels import PEER_KEY, SERVER_KEY, respond

SERVER, PEER = wireguard.public_of(SERVER_KEY), wireguard.public_of(PEER_KEY)
FRESH = bytes(range(36))
NOW = 1_800_000_000.5
MESSAGE = wireguard.initiation(SERVER, PEER_KEY, FRESH, NOW)


def test_an_initiation_has_its_size_and_header() -> None:
    assert len(MESSAGE) == wireguard.INITIATION_BYTES
    assert MESSAGE[:4] == b"\x01\x00\x00\x00"
    assert MESSAGE[4:8] == FRESH[32:]
    assert MESSAGE[-16:] == bytes(16)


def test_a_server_that_knows_the_key_answers() -> None:
    answer = respond(MESSAGE)
    assert answer is not None
    assert wireguard.answers(PEER, MESSAGE, answer)


def test_a_response_to_or_by_another_is_rejected() -> None:
    answer = respond(MESSAGE)
    assert answer is not None
    other = wireguard.initiation(SERVER, PEER_KEY, FRESH[::-1], NOW)
    assert not wireguard.answers(PEER, other, answer)
    assert not wireguard.answers(SERVER, MESSAGE, answer)
    assert not wireguard.answers(PEER, MESSAGE, answer[:-1])
    assert not wireguard.answers(PEER, MESSAGE, answer[:70] + b"\x00" * 22)


def test_an_unknown_key_or_a_damaged_message_gets_no_response() -> None:
    assert respond(wireguard.initiation(SERVER, b"\x07" * 32, FRESH, NOW)) is None
    assert respond(wireguard.initiation(PEER, PEER_KEY, FRESH, NOW)) is None
    damaged = MESSAGE[:50] + bytes((MESSAGE[50] ^ 1,)) + MESSAGE[51:]
    again = damaged[:116] + wireguard.mac1(SERVER, damaged[:116]) + bytes(16)
    assert respond(damaged) is None
    assert respond(again) is None


def test_the_key_derivation_is_hkdf() -> None:
    from cryptography.hazmat.primitives.hashes import BLAKE2s
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    expected = HKDF(BLAKE2s(32), 96, salt=b"c" * 32, info=b"").derive(b"secret")
    assert b"".join(wireguard.derive(b"c" * 32, b"secret", 3)) == expected


def test_the_time_is_tai64n() -> None:
    seconds, nanoseconds = struct.unpack(">QI", wireguard._timestamp(0.25))
    assert seconds == 0x400000000000000A
    assert nanoseconds == 250_000_000


@pytest.mark.parametrize("text", [None, 7, "", "short", "A" * 43, "ы" * 44])
def test_an_invalid_key_is_none(text: object) -> None:
    assert wireguard.read_key(text) is None


def test_a_key_is_read_in_the_tools_format() -> None:
    assert wireguard.read_key("A" * 43 + "=") == bytes(32)


def test_a_low_order_public_key_does_not_raise() -> None:
    assert len(wireguard.initiation(bytes(32), PEER_KEY, FRESH, NOW)) == 148


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_response(received: bytes) -> None:
    assert not wireguard.answers(PEER, MESSAGE, received)
