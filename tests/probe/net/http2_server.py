"""A small HTTP/2 server for one connection, over a blocking TLS socket."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

Headers = list[tuple[str, str]]


@dataclass
class Request:
    """The request on one stream."""

    stream: int
    headers: dict[str, str]
    body: bytearray = field(default_factory=bytearray)


Answer = Callable[[H2Connection, Request], None]


def page(headers: Headers, body: bytes) -> Answer:
    """Answer every request with one page."""

    def answer(connection: H2Connection, request: Request) -> None:
        connection.send_headers(request.stream, [(":status", "200"), *headers])
        connection.send_data(request.stream, body, end_stream=True)

    return answer


def serve(tls: ssl.SSLSocket, answer: Answer) -> None:
    """Answer every request until the client closes."""
    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    tls.sendall(connection.data_to_send())
    requests: dict[int, Request] = {}
    while data := tls.recv(65536):
        try:
            events = connection.receive_data(data)
        except ProtocolError:
            return  # the client is still talking to a connection that was closed
        for event in events:
            if isinstance(event, RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers}
                requests[event.stream_id] = Request(event.stream_id, headers)
            elif isinstance(event, DataReceived):
                requests[event.stream_id].body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamReset):
                requests.pop(event.stream_id, None)
            elif isinstance(event, StreamEnded):
                answer(connection, requests[event.stream_id])
        tls.sendall(connection.data_to_send())
