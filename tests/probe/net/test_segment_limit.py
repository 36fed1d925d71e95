"""A limit on TCP segments reaches the other side, which sends no larger ones."""

import socket
import sys

import pytest

from probe.experiments.operations import HttpRequest
from probe.model import Http, Steps, Tcp
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import tcp_server


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no TCP_MAXSEG")
@pytest.mark.parametrize("limit", [None, 536])
def test_the_peer_is_told_the_largest_segment(measure: Measure, limit: int | None) -> None:
    told: list[int] = []

    def answer(sock: socket.socket) -> None:
        told.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    with tcp_server(answer) as port:

        async def ask(net: SocketNet) -> Steps:
            url = f"http://site.example:{port}/"
            return await net.http(HttpRequest(url, "127.0.0.1", segment_limit=limit))

        tcp, page = measure(ask)
    assert isinstance(tcp, Tcp)
    assert isinstance(page, Http)
    assert tcp.segment_limit == limit
    assert page.complete
    assert (told[0] <= 536) is (limit is not None)
