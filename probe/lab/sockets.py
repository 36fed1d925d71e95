"""Blocking sockets for misbehaving servers: threads, deadlines, deliberate resets.

The lab's servers are threads on blocking sockets because each has to misbehave at an exact byte.
Every socket has a timeout, so that every thread ends.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

from probe.lab.hello import is_whole
from probe.lab.pki import ServerCertificate

TIMEOUT = 30.0
_SO_ORIGINAL_DST = 80
_IP6T_SO_ORIGINAL_DST = 80
_MAPPED = "::ffff:"

Handler = Callable[[socket.socket], None]
Destination = tuple[str, int]
Locate = Callable[[socket.socket], Destination]


def plain_address(text: str) -> str:
    """An address without the IPv4-mapped prefix of a dual-stack socket."""
    return text.removeprefix(_MAPPED)


def listen(address: str, port: int) -> socket.socket:
    """A listening TCP socket; `::` listens on both families."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind((address, port))
    server.listen(256)
    return server


def serve(server: socket.socket, handler: Handler) -> None:
    """Accept until the listening socket is closed, each connection in a thread of its own."""

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_guarded, args=(connection, handler), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def close(listener: socket.socket) -> None:
    """Close a listening socket; a thread blocked in accept returns."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _guarded(connection: socket.socket, handler: Handler) -> None:
    connection.settimeout(TIMEOUT)
    with connection, contextlib.suppress(OSError, ssl.SSLError, ValueError):
        handler(connection)


def reset(connection: socket.socket) -> None:
    """Close with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def silence(connection: socket.socket, seconds: float = TIMEOUT) -> None:
    """Read and discard data without answering."""
    deadline = time.monotonic() + seconds
    connection.settimeout(seconds)
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline and connection.recv(65536):
            pass


def peek(connection: socket.socket, *, whole: Callable[[bytes], bool] = is_whole) -> bytes:
    """The first bytes, left in the socket, once `whole` accepts them."""
    deadline = time.monotonic() + TIMEOUT
    seen = b""
    while time.monotonic() < deadline:
        data = connection.recv(65536, socket.MSG_PEEK)
        if not data or whole(data):
            return data
        if data == seen:
            time.sleep(0.005)
        seen = data
    return seen


def has_head(data: bytes) -> bool:
    """Whether an HTTP/1 request head is complete."""
    return b"\r\n\r\n" in data or len(data) > 65000


def local_end(connection: socket.socket) -> Destination:
    """The destination of a connection that was not redirected."""
    name = connection.getsockname()
    return plain_address(name[0]), name[1]


def original_destination(connection: socket.socket) -> Destination:
    """The destination of a connection before the middlebox redirected it."""
    if connection.family == socket.AF_INET6:
        peer = plain_address(connection.getsockname()[0])
        if ":" in peer:
            raw = connection.getsockopt(socket.IPPROTO_IPV6, _IP6T_SO_ORIGINAL_DST, 28)
            return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big")
    raw = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
    return socket.inet_ntoa(raw[4:8]), int.from_bytes(raw[2:4], "big")


def splice(left: socket.socket, right: socket.socket) -> None:
    """Relay bytes both ways until both sides close."""
    other = threading.Thread(target=_pump, args=(right, left), daemon=True)
    other.start()
    _pump(left, right)
    other.join(TIMEOUT)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except ConnectionResetError:
        with contextlib.suppress(OSError):
            reset(sink)
        return
    except OSError:
        pass
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@dataclass
class ServerTlsContexts:
    """Server-side TLS contexts, made on first use from PEM in memory."""

    _made: dict[tuple[ServerCertificate, str], ssl.SSLContext] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, served: ServerCertificate, *, flavour: str = "http/1.1") -> ssl.SSLContext:
        """A context for a certificate; `flavour` is its ALPN protocol, or `tls12`."""
        with self._lock:
            key = (served, flavour)
            if key not in self._made:
                self._made[key] = _context(served, flavour)
            return self._made[key]


def _context(served: ServerCertificate, flavour: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if flavour == "tls12":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif flavour:
        context.set_alpn_protocols([flavour, "http/1.1"])
    with NamedTemporaryFile(suffix=".pem") as file:  # load_cert_chain needs a file
        Path(file.name).write_bytes(served.chain + served.key)
        context.load_cert_chain(file.name)
    return context


def wrap(connection: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """The server side of a TLS handshake; the socket's timeout applies."""
    return context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True)


def read_head(connection: socket.socket) -> bytes:
    """An HTTP/1 request's head, at most 64 KiB."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < 65536:
        more = connection.recv(16384)
        if not more:
            break
        data += more
    return data


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """The next `size` bytes, or none if the connection ends before."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data


@dataclass(frozen=True, slots=True)
class RequestHead:
    """Method, path and Host of an HTTP/1 request."""

    method: str
    path: str
    host: str


def parse_head(head: bytes) -> RequestHead:
    """Parse a request head; missing parts are empty."""
    lines = head.decode("latin-1").split("\r\n")
    words = [*lines[0].split(" "), "", ""]
    host = ""
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "host":
            host = value.strip().lower()
    if not host.endswith("]"):  # an IPv6 address without a port ends with a bracket
        host = host.rsplit(":", 1)[0]
    return RequestHead(words[0], words[1], host)
