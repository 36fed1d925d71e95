import pytest
from hypothesis import given, strategies as st

from probe.net.attempt import NetworkEvent
from probe.net.transfer_response import HEADER_LIMIT, TransferResponse

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


def test_a_response_is_whole_at_its_declared_length() -> None:
    reply = TransferResponse(100)
    reply.feed(HEAD + b"12345")
    assert (reply.status, reply.received, reply.done) == (200, 5, False)
    reply.feed(b"67890")
    assert reply.done
    assert reply.whole


def test_a_response_is_done_at_the_wanted_size() -> None:
    reply = TransferResponse(4)
    reply.feed(HEAD + b"12345")
    assert reply.done
    assert not reply.whole


def test_the_last_chunk_ends_a_chunked_response() -> None:
    reply = TransferResponse(100)
    reply.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert not reply.done
    reply.feed(b"0\r\n\r")
    assert not reply.done
    reply.feed(b"\n")
    assert reply.done


def test_close_notify_ends_a_response_without_a_length_and_truncates_one_with_a_length() -> None:
    reply = TransferResponse(100)
    reply.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    reply.close()
    assert reply.done
    cut = TransferResponse(100)
    cut.feed(HEAD + b"123")
    with pytest.raises(NetworkEvent):
        cut.close()


def test_a_response_that_is_no_http_is_an_event() -> None:
    with pytest.raises(NetworkEvent):
        TransferResponse(1).feed(b"SSH-2.0-x\r\n\r\n")
    with pytest.raises(NetworkEvent):
        TransferResponse(1).feed(b"x" * (HEADER_LIMIT + 1))


@given(st.binary(max_size=300), st.integers(1, 50))
def test_hostile_bytes_in_any_pieces_never_raise_anything_else(data: bytes, step: int) -> None:
    reply = TransferResponse(0)
    try:
        for start in range(0, len(data), step):
            reply.feed(b"HTTP/1.1 200 OK\r\n"[: start or 17] + data[start : start + step])
        reply.close()
    except NetworkEvent:
        return
    assert reply.done
    assert reply.received <= len(data)
