"""A server's handwriting: read from real answers, and from anything else without harm."""

import struct

from hypothesis import example, given, strategies as st

from probe.net.server_hello import ja3s_string


def extension(type_: int, data: bytes = b"") -> bytes:
    return struct.pack("!HH", type_, len(data)) + data


def server_hello(extensions: bytes | None, *, session: bytes = b"s" * 32) -> bytes:
    body = b"\x03\x03" + b"r" * 32 + bytes([len(session)]) + session + b"\xc0\x2f\x00"
    if extensions is not None:
        body += struct.pack("!H", len(extensions)) + extensions
    return b"\x02" + len(body).to_bytes(3, "big") + body


def records(message: bytes, size: int = 1 << 14, type_: int = 22) -> bytes:
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(bytes([type_, 3, 3]) + struct.pack("!H", len(one)) + one for one in parts)


HELLO = server_hello(extension(65281, b"\0") + extension(11, b"\1\0") + extension(35))


def test_version_cipher_and_extensions_in_the_order_they_came() -> None:
    assert ja3s_string(records(HELLO)) == "771,49199,65281-11-35"
    assert ja3s_string(records(server_hello(None, session=b""))) == "771,49199,"


def test_a_message_over_several_records_is_one() -> None:
    assert ja3s_string(records(HELLO, size=7)) == "771,49199,65281-11-35"


def test_what_is_no_server_hello_has_no_fingerprint() -> None:
    alert = bytes.fromhex("15030300020228")
    for data_ in (b"", alert, b"HTTP/1.1 400 Bad Request\r\n\r\n", records(b"\x01" + HELLO[1:])):
        assert ja3s_string(data_) is None
    assert ja3s_string(records(HELLO)[:40]) is None


def test_many_extensions_are_bounded() -> None:
    line = ja3s_string(records(server_hello(extension(0) * 3000)))
    assert line is not None
    assert line.count("-") == 63


@given(st.binary(max_size=300))
@example(records(HELLO)[:-1])
@example(records(HELLO[:10] + b"\xff" * 60))
def test_any_bytes_can_be_read(data: bytes) -> None:
    for data_ in (data, records(data or b"\0"), records(b"\x02\0\1\0" + data)):
        line = ja3s_string(data_)
        assert line is None or line.count(",") == 2
