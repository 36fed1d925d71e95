"""One WebSocket without I/O: honest clients pass, and no bytes break it or fill it."""

import os
import struct

import pytest
from hypothesis import given, strategies as st

from collector.throughput.websocket import (
    Received,
    UpgradeRefused,
    WebSocketServer,
    binary_header,
    check_query,
)

NAME = "net.measurementlab.ndt.v7"
HEAD = (
    b"GET /ndt/v7/upload HTTP/1.1\r\nHost: x.example\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: DOdm+5/Cm3WwvhfcAlhJoQ==\r\n"
)
OFFER = f"Sec-WebSocket-Protocol: {NAME}\r\n\r\n".encode()
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


def frame(first: int, payload: bytes = b"", *, mask: bool = True, size: int | None = None) -> bytes:
    """One frame of a client; `size` is what it says its payload is."""
    said = len(payload) if size is None else size
    bit = 0x80 if mask else 0
    if said <= 125:
        head = struct.pack("!BB", first, bit | said)
    elif said <= 0xFFFF:
        head = struct.pack("!BBH", first, bit | 126, said)
    else:
        head = struct.pack("!BBQ", first, bit | 127, said)
    return head + (bytes(4) if mask else b"") + payload


def opened(*, takes_binary: bool = True) -> WebSocketServer:
    server = WebSocketServer(largest=1 << 24, takes_binary=takes_binary)
    assert server.accept(HEAD + OFFER, NAME).startswith(b"HTTP/1.1 101 ")
    return server


def closed_with(found: Received) -> int | None:
    """The code of the close frame at the end of a reply."""
    at = found.reply.rfind(bytes([CLOSE]))
    return int.from_bytes(found.reply[at + 2 : at + 4]) if found.ended and at >= 0 else None


def test_an_upgrade_names_the_subprotocol_and_no_extension() -> None:
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" + OFFER
    answer = WebSocketServer(largest=1, takes_binary=True).accept(HEAD + offer, NAME).lower()
    assert f"sec-websocket-protocol: {NAME}".encode() in answer
    assert b"sec-websocket-accept: nhz+x95yebd6uvd4nqpc2fomouq=" in answer
    assert b"extensions" not in answer


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"\r\n",
        HEAD + b"Sec-WebSocket-Protocol: other\r\n\r\n",
        HEAD + b"Sec-WebSocket-Protocol: \xff\xfe\r\n\r\n",
        HEAD.replace(b"Host: x.example", b"Host: xn--\xff.example") + OFFER,
        HEAD.replace(b"Version: 13", b"Version: 8") + OFFER,
        HEAD.replace(b"Sec-WebSocket-Key", b"X-Key") + OFFER,
        HEAD.replace(b"Connection: Upgrade", b"Connection: close") + OFFER,
        HEAD.replace(b"GET", b"POST") + OFFER,
        b"\x16\x03\x01\r\n\r\n",
    ],
)
def test_what_is_no_upgrade_is_refused(head: bytes) -> None:
    with pytest.raises(UpgradeRefused):
        WebSocketServer(largest=1, takes_binary=True).accept(head, NAME)


@pytest.mark.parametrize(
    "query",
    ["", "?a=b&c=%D1%8F", "?client_name=x&empty", "?" + "a" * 4096, "?" + "a=1&" * 63 + "a=1"],
)
def test_a_readable_query_is_taken_up_to_the_limits(query: str) -> None:
    target = b"/ndt/v7/upload" + query.encode()
    server = WebSocketServer(largest=1, takes_binary=True)
    answer = server.accept(HEAD.replace(b"/ndt/v7/upload", target) + OFFER, NAME)
    assert answer.startswith(b"HTTP/1.1 101 ")
    check_query(target.decode(), 4096)  # does not raise


@pytest.mark.parametrize("query", ["?" + "a" * 4097, "?a=%ff", "?" + "a=1&" * 64 + "a=1"])
def test_an_unreadable_query_is_refused(query: str) -> None:
    with pytest.raises(UpgradeRefused):
        check_query("/ndt/v7/upload" + query, 4096)


def test_a_message_is_counted_in_pieces_as_it_comes() -> None:
    server = opened()
    first = server.receive(frame(BINARY, bytes(1000), size=1 << 24))
    more = server.receive(bytes(500))
    assert (first.binary, more.binary) == (1000, 500)
    assert (first.ended, more.ended) == (False, False)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(BINARY, bytes(2000), mask=False), 1002),
        (frame(0xC2, bytes(2000)), 1002),  # a bit that only compression has
        (frame(0x83), 1002),  # no such kind
        (frame(0x09), 1002),  # a ping in two parts
        (frame(PING, size=200), 1002),
        (frame(0x80, bytes(10)), 1002),  # the continuation of nothing
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(CLOSE, b"\x00"), 1002),
        (frame(BINARY, bytes(16), size=2**63), 1002),
    ],
)
def test_a_broken_rule_ends_the_connection(data: bytes, code: int) -> None:
    assert closed_with(opened().receive(data)) == code


def test_a_message_that_is_too_long_ends_the_connection_whatever_its_fragments() -> None:
    server, piece = opened(), bytes(1 << 20)
    server.receive(frame(0x02, piece))
    found = [server.receive(frame(0x00, piece)) for _ in range(16)]
    assert [closed_with(one) for one in found] == [None] * 15 + [1009]


@pytest.mark.parametrize("first", [PING, PONG, 0x00, TEXT])
def test_a_flood_of_small_frames_ends_the_connection(first: int) -> None:
    server = opened()
    if first == 0x00:
        server.receive(frame(0x02, b"x"))
    found = server.receive(frame(first) * 20_000)
    assert closed_with(found) == 1008
    assert len(found.reply) < 4096


def test_a_ping_is_answered_with_its_payload() -> None:
    found = opened().receive(frame(PING, b"1234"))
    assert found.reply == bytes([PONG, 4]) + b"1234"


def test_a_binary_message_that_is_not_expected_ends_the_connection() -> None:
    found = opened(takes_binary=False).receive(frame(BINARY, bytes(1024)))
    assert closed_with(found) == 1003


def test_both_sides_close_once() -> None:
    server = opened()
    assert server.close()[:2] == bytes([CLOSE, 2])
    assert server.close() == b""
    assert server.text(b"{}") == b""
    assert server.receive(frame(CLOSE, b"\x03\xe8")) == Received(ended=True)
    answered = opened()
    assert closed_with(answered.receive(frame(CLOSE, b"\x03\xe8"))) == 1000
    assert answered.close() == b""


@pytest.mark.parametrize("size", [1, 125, 126, 0xFFFF, 0x10000, 1 << 20])
def test_a_header_is_as_short_as_it_may_be(size: int) -> None:
    assert binary_header(size) == frame(BINARY, mask=False, size=size)


FRAMES = st.builds(
    frame,
    st.integers(0, 255),
    st.binary(max_size=300),
    mask=st.booleans(),
    size=st.none() | st.integers(0, 2**63),
)


@given(st.lists(FRAMES | st.binary(max_size=64), max_size=40), st.integers(1, 700), st.booleans())
def test_no_bytes_break_it(parts: list[bytes], step: int, binary: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    server, sent, counted, replied = opened(takes_binary=binary), b"".join(parts), 0, 0
    for at in range(0, len(sent), step):
        found = server.receive(sent[at : at + step])
        counted += found.binary
        replied += len(found.reply)
        if found.ended:
            break
    assert counted <= len(sent)
    assert replied <= 2 * len(sent) + 200
    server.text(b"{}")
    server.close()


@given(st.binary(max_size=400))
def test_no_head_breaks_it(head: bytes) -> None:
    with pytest.raises(UpgradeRefused):
        WebSocketServer(largest=1, takes_binary=True).accept(head + b"\r\n\r\n", NAME)


def test_a_client_that_masks_with_a_real_key_is_counted_too() -> None:
    key, payload = os.urandom(4), os.urandom(4096)
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    data = struct.pack("!BBH", BINARY, 0x80 | 126, 4096) + key + masked
    assert opened().receive(data).binary == 4096
