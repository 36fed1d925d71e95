"""HTTP/1 without a network: any bytes in any pieces make some answer, and the same one."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from probe.net.http1 import Http1
from probe.net.http1_lenient import read_head, unchunk
from probe.net.http_response import HttpResponse

RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"http/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"http/1.0 404 no\n\nhello",
    b"<html>hello</html>",
    b"HTTP/1.1 2OO OK\r\n\r\nhello",
]


def read(*pieces: bytes, cap: int = 1000) -> HttpResponse:
    answer = HttpResponse(cap)
    parser = Http1(answer)
    parser.request(b"GET", "/", [(b"host", b"site.example")])
    for piece in pieces:
        if not answer.ended:
            parser.feed(piece)
    if not answer.ended:
        parser.end()
    return answer


@given(st.sampled_from(RESPONSES), st.data())
def test_pieces_make_no_difference(response: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(response)), max_size=5)))
    edges = [0, *cuts, len(response)]
    pieces = [response[a:b] for a, b in pairwise(edges) if b > a]
    assert read(*pieces) == read(response)


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_any_bytes_are_parsed(pieces: list[bytes]) -> None:
    answer = read(*pieces)
    assert answer.ended
    assert len(answer.body) <= 1000


@given(st.sampled_from(RESPONSES), st.data())
def test_damaged_responses_are_parsed(response: bytes, data: st.DataObject) -> None:
    damaged = bytearray(response)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert read(bytes(damaged)).ended


def test_lower_case_chunks() -> None:
    answer = read(RESPONSES[2])
    assert (answer.status, bytes(answer.body), answer.complete) == (200, b"hello", True)


def test_a_status_that_is_no_number_is_invalid() -> None:
    answer = read(RESPONSES[5])
    assert (answer.status, answer.malformed) == (None, True)


def test_heads_are_bounded() -> None:
    head = read_head(b"http/1.1 200 x\r\n" + b"a: b\r\n" * 1000 + b"\r\nbody")
    assert head is not None
    assert len(head.headers) == 256
    assert read_head(b"HTTP/1.1 200 OK\r\nServer: cut") is None


def test_chunks_are_decoded_leniently() -> None:
    assert unchunk(b"5;x=y\r\nhello\n1\nx\n0\r\n\r\n") == (b"hellox", True)
    assert unchunk(b"5\r\nhel") == (b"hel", False)
    assert unchunk(b"what\r\never") == (b"what\r\never", False)


@pytest.mark.parametrize("size", [b"-5", b"+5", b"0x5", b"1_0", b"123456789"])
def test_a_chunk_size_has_up_to_eight_hexadecimal_digits_only(size: bytes) -> None:
    data = b"3\r\na\r\n\r\n" + size + b"\r\nhello\r\n"
    assert unchunk(data) == (b"a\r\n" + size + b"\r\nhello\r\n", False)


@given(
    st.lists(
        st.sampled_from([b"\r\n", b"\n", b"0", b"1", b"9", b"a", b"-5", b"-1", b"+", b"_", b" "])
    )
)
def test_a_decoded_body_ends_and_is_no_longer_than_its_chunks(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert len(unchunk(data)[0]) <= len(data)
