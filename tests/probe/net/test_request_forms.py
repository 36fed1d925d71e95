"""Every form of a plain request, byte for byte, and in how many segments it is sent."""

import socket
from threading import Event
from typing import get_args

import pytest

from probe.experiments.operations import HttpRequest, RequestForm
from probe.model import Http, Steps
from probe.net.http1 import Http1
from probe.net.http_response import HttpResponse
from probe.net.request_forms import host_value, method, written
from probe.net.target_net import SocketNet
from tests.probe.net.conftest import Measure
from tests.probe.net.servers import tcp_server

NAME = "site.example"
REST = b"Connection: keep-alive\r\n\r\n"
LINE = b"GET /page HTTP/1.1\r\n"
USUAL = LINE + b"Host: site.example\r\n" + REST
WRITTEN: dict[RequestForm, bytes | tuple[bytes, bytes]] = {
    "default": USUAL,
    "lower_case": LINE + b"host: site.example\r\n" + REST,
    "upper_case": LINE + b"HOST: site.example\r\n" + REST,
    "name_case": LINE + b"Host: SITE.EXAMPLE\r\n" + REST,
    "no_space": LINE + b"Host:site.example\r\n" + REST,
    "space": LINE + b"Host:  site.example\r\n" + REST,
    "tab": LINE + b"Host:\tsite.example\r\n" + REST,
    "last": LINE + b"Connection: keep-alive\r\nHost: site.example\r\n\r\n",
    "second_segment": (LINE[:-2], b"\r\nHost: site.example\r\n" + REST),
    "split": (LINE + b"Host: site.e", b"xample\r\n" + REST),
    "dot": LINE + b"Host: site.example.\r\n" + REST,
    "port": LINE + b"Host: site.example:80\r\n" + REST,
    "absolute": b"GET http://site.example/page HTTP/1.1\r\nHost: site.example\r\n" + REST,
    "head": USUAL.replace(b"GET", b"HEAD"),
    "root": USUAL,
}


@pytest.mark.parametrize("form", get_args(RequestForm))
def test_each_form_differs_in_one_thing(form: RequestForm) -> None:
    headers = [(b"Host", host_value(form, NAME).encode()), (b"Connection", b"keep-alive")]
    request = Http1(HttpResponse(0)).request(method(form), "/page", headers)
    wanted = WRITTEN[form]
    assert written(form, request) == (wanted if isinstance(wanted, tuple) else (wanted,))


def test_an_unusual_port_stays_behind_the_name() -> None:
    assert host_value("dot", "site.example:8080") == "site.example.:8080"
    assert host_value("port", "site.example:8080") == "site.example:8080"
    assert host_value("name_case", "site.example:8080") == "SITE.EXAMPLE:8080"


@pytest.mark.parametrize(
    ("form", "first"), [("default", None), ("split", b"xample:"), ("second_segment", b"\r\nHost: ")]
)
def test_a_form_of_two_parts_is_sent_in_two_segments(
    measure: Measure, form: RequestForm, first: bytes | None
) -> None:
    """What is read at once after the first part was taken begins where the request was cut."""
    second: list[bytes] = []
    done = Event()

    def handler(sock: socket.socket) -> None:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data = sock.recv(65536)
            second.append(data)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        done.wait(10)

    with tcp_server(handler) as port:

        async def ask(net: SocketNet) -> Steps:
            return await net.http(HttpRequest(f"http://{NAME}:{port}/", "127.0.0.1", form=form))

        step = measure(ask)[-1]
        done.set()
    assert isinstance(step, Http)
    assert (step.form, step.status, step.host) == (form, 200, f"{NAME}:{port}")
    # On a busy machine one read may take both segments.
    if first is None or len(second) > 1:
        assert first is None or second[1].startswith(first)
        assert len(second) == (1 if first is None else 2)


def test_the_answer_to_a_head_has_no_body(measure: Measure) -> None:
    def handler(sock: socket.socket) -> None:
        assert sock.recv(65536).startswith(b"HEAD / ")
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        sock.recv(1)

    with tcp_server(handler) as port:

        async def ask(net: SocketNet) -> Steps:
            return await net.http(HttpRequest(f"http://{NAME}:{port}/", "127.0.0.1", form="head"))

        step = measure(ask)[-1]
    assert isinstance(step, Http)
    assert (step.method, step.failure, step.complete, step.received_bytes) == (
        "HEAD",
        None,
        True,
        0,
    )
