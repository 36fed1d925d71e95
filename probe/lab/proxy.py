"""The censor's TCP proxy, for interference that a kernel filter cannot do.

Connections to some addresses are redirected here. Interference applies to those that offer a
filtered name; all others are forwarded unchanged.
"""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509

from probe.lab import addresses as plan, pages, sockets
from probe.lab.hello import offers_alpn, offers_only_tls13, server_name
from probe.lab.pki import CertificateAuthority, ServerCertificate, forge_2019, forge_2021
from probe.lab.scenario import HttpFilter, SniFilter
from probe.lab.sockets import Destination, Locate
from probe.lab.topology import Topology

_INTERCEPTS = frozenset({"mitm_2019", "mitm_2021", "mitm_anonymous"})
_HANDSHAKE_FAILURE = bytes.fromhex("15030300020228")  # fatal alert 40, RFC 8446 section 6
_RAW_PAGE = "<html><title>Access denied</title><body>This resource is blocked.</body></html>"
# Raw UTF-8 and a space, as some operators write it.
_CYRILLIC = (
    f"HTTP/1.1 302 Found\r\nLocation: http://{plan.BLOCK_PAGE_NAME}/доступ закрыт\r\n"
    "Content-Length: 0\r\nConnection: close\r\n\r\n"
)
_ROUTER_PAGE = b"<html><title>Home router</title><body>Sign in to set up.</body></html>"
_UPSTREAM_LIMIT = 10.0

Onward = Callable[[socket.socket, Destination], None]


def forward(connection: socket.socket, there: Destination) -> None:
    """Relay a connection to its destination."""
    try:
        upstream = socket.create_connection(there, timeout=_UPSTREAM_LIMIT)
    except ConnectionRefusedError:
        return sockets.reset(connection)
    except OSError:
        return sockets.silence(connection)
    with upstream:
        sockets.splice(connection, upstream)
    return None


@dataclass
class Proxy:
    """Handles redirected connections.

    Attributes:
        locate: Returns the destination of a redirected connection.
        onward_secure, onward_plain: Handle connections without interference.
        reach: Returns the address at which the proxy can dial a destination.
        ports: The ports of https and http.
    """

    topology: Topology
    locate: Locate = sockets.original_destination
    onward_secure: Onward = forward
    onward_plain: Onward = forward
    reach: Callable[[Destination], Destination] = field(default=lambda there: there)
    ports: tuple[int, int] = (443, 80)
    contexts: sockets.ServerTlsContexts = field(default_factory=sockets.ServerTlsContexts)
    forged: dict[tuple[str, bytes], ServerCertificate] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def secure(self, connection: socket.socket) -> None:
        """Handle one redirected connection to port 443."""
        there = self.locate(connection)
        if there == sockets.local_end(connection) and self.locate is sockets.original_destination:
            return  # dialled directly, not redirected: forwarding it would loop
        hello = sockets.peek(connection)
        name = server_name(hello)
        interference = self._sni_filter_for(name, hello, there[0])
        if interference is not None:
            self._apply_sni_filter(connection, interference, there, name, len(hello))
        elif self.topology.has_whole_line("everything_resigned"):
            self._intercept(connection, "product", there, name)
        elif self.topology.has_whole_line("router_page"):
            _serve_router_page(connection, self.contexts.get(self.topology.pki.router))
        else:
            self.onward_secure(connection, there)

    def plain(self, connection: socket.socket) -> None:
        """Handle one redirected connection to port 80."""
        there = self.locate(connection)
        if there == sockets.local_end(connection) and self.locate is sockets.original_destination:
            return None
        if self.topology.has_whole_line("captive_portal"):
            sockets.read_head(connection)
            answer = pages.redirect(f"http://{plan.PORTAL_NAME}/login", 302)
            return connection.sendall(pages.encode(answer))
        if self.topology.has_whole_line("pages_answered"):
            sockets.read_head(connection)
            return connection.sendall(pages.encode(pages.portal_page()))
        request = sockets.parse_head(sockets.peek(connection, whole=sockets.has_head))
        interference = self._http_filter_for(request)
        if interference is None:
            return self.onward_plain(connection, there)
        return self._apply_http_filter(connection, interference, there)

    def _sni_filter_for(self, name: str | None, hello: bytes, address: str) -> SniFilter | None:
        """The interceptor sits before the site; the other filters read every connection."""
        for interference in self.topology.interferences:
            if not isinstance(interference, SniFilter) or interference.name != name:
                continue
            own = address in self.topology.addresses_of(interference.name)
            if not _is_spared(interference, hello) and (own or interference.how not in _INTERCEPTS):
                return interference
        return None

    def _http_filter_for(self, request: sockets.RequestHead) -> HttpFilter | None:
        for interference in self.topology.interferences:
            if not isinstance(interference, HttpFilter) or interference.name != request.host:
                continue
            if interference.path in {None, request.path}:
                return interference
        return None

    def _apply_sni_filter(
        self,
        connection: socket.socket,
        interference: SniFilter,
        there: Destination,
        name: str | None,
        size: int,
    ) -> None:
        match interference.how:
            case "fin":
                connection.recv(size)  # with unread bytes, close sends a RST
            case "alert":
                connection.recv(size)
                connection.sendall(_HANDSHAKE_FAILURE)
            case "drop" | "drop_after":
                sockets.silence(connection)
            case "drop_later":
                _forward_handshake(connection, self.reach(there), size)
            case "reset":
                sockets.reset(connection)
            case interception:
                self._intercept(connection, interception, there, name)

    def _apply_http_filter(
        self, connection: socket.socket, interference: HttpFilter, there: Destination
    ) -> None:
        match interference.how:
            case "drop":
                sockets.silence(connection)
            case "reset":
                sockets.reset(connection)
            case "truncate":
                _forward_truncated(connection, self.reach(there))
            case how:
                sockets.read_head(connection)
                connection.sendall(self._response(how))

    def _response(self, how: str) -> bytes:
        """The censor's response in place of the site's."""
        match how:
            case "page_200":
                answer = pages.block_page(200)
            case "page_403":
                answer = pages.block_page(403)
            case "to_http_page":
                answer = pages.redirect(f"http://{plan.BLOCK_PAGE_NAME}/", 302)
            case "to_https_page":
                answer = pages.redirect(f"https://{plan.BLOCK_PAGE_NAME}/", 302)
            case "to_cyrillic":
                return _CYRILLIC.encode()
            case "raw_page":
                return _RAW_PAGE.encode()
            case _:
                return b""
        return pages.encode(pages.with_ports(answer, *self.ports))

    def _intercept(
        self, connection: socket.socket, how: str, there: Destination, name: str | None
    ) -> None:
        """Terminate TLS on both sides and relay one exchange."""
        upstream = _open_tls(self.reach(there), name)
        with upstream:
            real = upstream.getpeercert(binary_form=True) or b""
            served = self._forge(how, real)
            context = self.contexts.get(served)
            with sockets.wrap(connection, context) as stream:
                request = sockets.read_head(stream)
                upstream.sendall(request)
                while data := upstream.recv(65536):
                    stream.sendall(data)
                stream.unwrap()

    def _forge(self, how: str, real: bytes) -> ServerCertificate:
        with self.lock:
            if (how, real) not in self.forged:
                certificate = x509.load_der_x509_certificate(real)
                forge = forge_2019 if how == "mitm_2019" else forge_2021
                self.forged[how, real] = forge(self._authority(how), certificate)
            return self.forged[how, real]

    def _authority(self, how: str) -> CertificateAuthority:
        pki = self.topology.pki
        match how:
            case "mitm_2019":
                return pki.interceptor_2019
            case "mitm_2021":
                return pki.interceptor_2021
            case "product":
                return pki.product
            case _:
                return pki.interceptor_anonymous


def _is_spared(interference: SniFilter, hello: bytes) -> bool:
    """Whether the interceptor ignores this kind of ClientHello."""
    without = "noalpn" in interference.spares and not offers_alpn(hello)
    return without or ("tls13" in interference.spares and offers_only_tls13(hello))


def _serve_router_page(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Answer any request with the router's certificate and login page."""
    with sockets.wrap(connection, context) as stream:
        sockets.read_head(stream)
        stream.sendall(pages.encode(pages.PageResponse(200, (), _ROUTER_PAGE)))
        stream.unwrap()


def _open_tls(there: Destination, name: str | None) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    upstream = socket.create_connection(there, timeout=_UPSTREAM_LIMIT)
    return context.wrap_socket(upstream, server_hostname=name)


def _forward_handshake(connection: socket.socket, there: Destination, size: int) -> None:
    """Relay the ClientHello and what the server answers it; then drop what the client sends."""
    with socket.create_connection(there, timeout=_UPSTREAM_LIMIT) as upstream:
        upstream.sendall(sockets.read_exactly(connection, size))
        while not select.select([connection], [], [], 0)[0]:
            if select.select([upstream], [], [], 0.05)[0]:
                data = upstream.recv(65536)
                if not data:
                    return
                connection.sendall(data)
        sockets.silence(connection)


def _forward_truncated(connection: socket.socket, there: Destination) -> None:
    """Relay the first 2 KiB of the response, then close."""
    with socket.create_connection(there, timeout=_UPSTREAM_LIMIT) as upstream:
        upstream.sendall(sockets.read_head(connection))
        connection.sendall(upstream.recv(2048))


def start(topology: Topology) -> None:
    """Handle redirected connections in this namespace."""
    proxy = Proxy(topology)
    sockets.serve(sockets.listen("::", plan.REDIRECTED_TLS_PORT), proxy.secure)
    sockets.serve(sockets.listen("::", plan.REDIRECTED_WEB_PORT), proxy.plain)
