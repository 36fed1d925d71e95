"""HTTP/2 with no sockets: what a peer is allowed to send."""

from h2.config import H2Configuration
from h2.connection import H2Connection

from probe.net.http2 import Http2
from probe.net.http_response import HttpResponse

MOST = 4096
ASK = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/")]


def ask(client: Http2, answer: HttpResponse) -> H2Connection:
    """A server that has read the request."""
    client.request(ASK, None, answer)
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(client.outgoing())
    server.send_headers(1, [(":status", "200")])
    return server


def test_flow_control_limits_a_response_to_what_is_wanted() -> None:
    answer = HttpResponse(MOST)
    client = Http2(MOST)
    server = ask(client, answer)
    before = server.local_flow_control_window(1)
    assert before == MOST
    server.send_data(1, b"x" * MOST)
    assert client.feed(server.data_to_send()) == [1]
    server.receive_data(client.outgoing())
    assert server.local_flow_control_window(1) == before - MOST
    assert (answer.complete, answer.received) == (True, MOST)


def test_padding_does_not_count_against_the_limit() -> None:
    answer = HttpResponse(MOST)
    client = Http2(MOST)
    server = ask(client, answer)
    for _ in range(1000):
        if answer.ended:
            break
        left = server.local_flow_control_window(1)
        server.send_data(1, b"x" * min(10, left), pad_length=100 if left > 110 else None)
        client.feed(server.data_to_send())
        server.receive_data(client.outgoing())
    assert (answer.complete, len(answer.body)) == (True, MOST)


def test_an_unlimited_connection_has_no_limit() -> None:
    answer = HttpResponse(10 * MOST)
    client = Http2()
    server = ask(client, answer)
    assert server.local_flow_control_window(1) >= 65535
