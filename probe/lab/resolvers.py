"""The internet's resolvers: DNS over UDP, TCP, TLS and HTTP/2 at their well-known addresses."""

import base64
import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from probe.lab import addresses as plan, names, sockets
from probe.lab.hello import server_name
from probe.lab.pki import ServerCertificate, leaf
from probe.lab.topology import Topology

if TYPE_CHECKING:
    import ssl

    from h2.connection import H2Connection

_TYPE = "application/dns-message"
_IPV6_FREEBIND = 78


class Resolvers:
    """All resolvers of the topology; they share one zone."""

    def __init__(self, topology: Topology) -> None:
        self._zone = names.Zone(topology)
        self._contexts = sockets.ServerTlsContexts()
        self._served = {
            address: _certificate(topology, address, name)
            for address, name in {**plan.PUBLIC_RESOLVERS, **plan.PUBLIC_RESOLVERS6}.items()
        }

    def knows(self, address: str) -> bool:
        """Whether an address belongs to a resolver with TLS."""
        return address in self._served

    def reply(self, data: bytes, resolver: str) -> bytes | None:
        """A resolver's reply to a query, or None for silence."""
        query = names.parse(data)
        if query is None:
            return None
        answer = self._zone.answer(query, resolver)
        return None if answer is None else answer.to_wire()

    def tcp(self, connection: socket.socket) -> None:
        """Serve one TCP connection to port 53."""
        self._framed(connection, sockets.plain_address(connection.getsockname()[0]))

    def tls(self, connection: socket.socket) -> None:
        """Serve one connection to port 853."""
        here = sockets.plain_address(connection.getsockname()[0])
        if not self.knows(here):
            return
        context = self._contexts.get(self._served[here], flavour="dot")
        with sockets.wrap(connection, context) as stream:
            self._framed(stream, here)

    def https(self, connection: socket.socket) -> None:
        """Serve one connection to port 443 of a resolver."""
        here = sockets.plain_address(connection.getsockname()[0])
        server_name(sockets.peek(connection))
        context = self._contexts.get(self._served[here], flavour="h2")
        with sockets.wrap(connection, context) as stream:
            if stream.selected_alpn_protocol() == "h2":
                _speak_h2(stream, lambda data: self.reply(data, here))
            else:
                self._speak_http1(stream, here)

    def _framed(self, connection: socket.socket, here: str) -> None:
        """Answer DNS messages with a two-byte length prefix (RFC 1035 section 4.2.2)."""
        while size := sockets.read_exactly(connection, 2):
            data = sockets.read_exactly(connection, int.from_bytes(size, "big"))
            answer = self.reply(data, here) if data else None
            if answer is None:
                return sockets.silence(connection, 5.0)
            connection.sendall(struct.pack("!H", len(answer)) + answer)
        return None

    def _speak_http1(self, stream: "ssl.SSLSocket", here: str) -> None:
        head, _, body = sockets.read_head(stream).partition(b"\r\n\r\n")
        request = sockets.parse_head(head)
        data = _from_path(request.path) if request.method == "GET" else body
        answer = self.reply(data, here) or b""
        lines = f"HTTP/1.1 200 OK\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(answer)}\r\n\r\n"
        stream.sendall(lines.encode() + answer)


def _certificate(topology: Topology, address: str, name: str) -> ServerCertificate:
    alternatives = [each for each, owner in plan.PUBLIC_RESOLVERS.items() if owner == name]
    return leaf(topology.pki.first, (name, address, *alternatives), now=topology.pki.now)


def _from_path(path: str) -> bytes:
    value = parse_qs(urlsplit(path).query).get("dns", [""])[0]
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    return b""


def _speak_h2(stream: "ssl.SSLSocket", reply: Callable[[bytes], bytes | None]) -> None:
    """Answer DNS queries over HTTP/2 (RFC 8484) until the client closes."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import DataReceived, RequestReceived, StreamEnded

    link = H2Connection(config=H2Configuration(client_side=False))
    link.initiate_connection()
    stream.sendall(link.data_to_send())
    request: dict[int, bytes] = {}
    while data := stream.recv(65536):
        for event in link.receive_data(data):
            if isinstance(event, RequestReceived):
                path = next((text for name, text in event.headers if name == b":path"), b"")
                request[event.stream_id] = _from_path(path.decode("latin-1"))
            elif isinstance(event, DataReceived):
                request[event.stream_id] = request.get(event.stream_id, b"") + event.data
                link.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                _answer_h2(link, event.stream_id, reply(request.pop(event.stream_id, b"")))
        stream.sendall(link.data_to_send())


def _answer_h2(link: "H2Connection", stream_id: int, answer: bytes | None) -> None:
    if answer is None:
        return
    headers = [(":status", "200"), ("content-type", _TYPE), ("content-length", str(len(answer)))]
    link.send_headers(stream_id, headers)
    link.send_data(stream_id, answer, end_stream=True)


def udp_socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:  # an address that is local by route only
        server.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    server.bind((address, port))
    return server


def serve_udp(sockets: list[socket.socket], reply: Callable[[bytes, str], bytes | None]) -> None:
    """Answer datagrams on several sockets from one thread."""
    selector = selectors.DefaultSelector()
    for each in sockets:
        selector.register(each, selectors.EVENT_READ)

    def loop() -> None:
        while True:
            for key, _ in selector.select():
                each = key.fileobj
                if isinstance(each, socket.socket):
                    _once(each, reply)

    threading.Thread(target=loop, daemon=True).start()


def _once(server: socket.socket, reply: Callable[[bytes, str], bytes | None]) -> None:
    with contextlib.suppress(OSError):
        data, peer = server.recvfrom(4096)
        answer = reply(data, server.getsockname()[0])
        if answer is not None:
            server.sendto(answer, peer)


def start(topology: Topology) -> Resolvers:
    """Serve all resolvers in this namespace; the caller serves port 443."""
    resolvers = Resolvers(topology)
    addresses = [plan.SYSTEM_RESOLVER, *plan.PUBLIC_RESOLVERS, *plan.PUBLIC_RESOLVERS6]
    serve_udp([udp_socket(address, 53) for address in addresses], resolvers.reply)
    sockets.serve(sockets.listen("::", 53), resolvers.tcp)
    sockets.serve(sockets.listen("::", 853), resolvers.tls)
    return resolvers
