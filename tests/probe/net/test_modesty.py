"""An unverified session carries one request, without cookies or identifying headers."""

import socket
import ssl
from pathlib import Path

import pytest

from probe.experiments.operations import HttpRequest
from probe.model import Steps
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import Authority, tcp_server

NAME = "site.example"
USUAL = {
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "host",
    "upgrade-insecure-requests",
    "user-agent",
}


def asked(measure: Measure, context: ssl.SSLContext, path: str) -> bytes:
    """The bytes of the request that the server received."""
    received: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            received.append(tls.recv(65536))
            tls.sendall(b"HTTP/1.1 302 Found\r\nSet-Cookie: who=you\r\nLocation: /again\r\n\r\n")

    with tcp_server(handler) as port:

        async def ask(net: SocketNet) -> Steps:
            url = f"https://{NAME}:{port}{path}"
            return (
                *await net.http(HttpRequest(url, "127.0.0.1")),
                *await net.http(HttpRequest(url, "127.0.0.1")),
            )

        steps = measure(ask)
    assert not any(getattr(step, "proven", False) for step in steps)
    assert len(received) == 2
    assert received[0] == received[1]  # the cookie was not sent back
    return received[0]


@pytest.mark.parametrize("own", [True, False])
def test_an_unverified_session_gets_one_get_and_a_browsers_usual_headers(
    measure: Measure,
    authority: Authority,
    tmp_path: Path,
    own: bool,  # noqa: FBT001 - pytest's
) -> None:
    shown = authority.leaf(NAME, self_signed=True) if own else Authority().leaf(NAME)
    request = asked(measure, shown.context(tmp_path), "/news?page=2").decode("ascii")
    head, _, body = request.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    assert first == "GET /news?page=2 HTTP/1.1"
    assert {line.partition(":")[0].lower() for line in lines} == USUAL
    assert body == ""
    for word in ("cookie", "authorization", "referer", "qazprobe", "origin"):
        assert word not in request.lower()
