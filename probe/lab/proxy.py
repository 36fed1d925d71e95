"""The censor's user-space part for TCP: what a kernel filter can not do.

Connections to some addresses are redirected here. The name that is offered decides: for the
censored one the act is carried out, every other one is passed through untouched, byte for byte.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509

from probe.lab import addresses as plan, pages, sockets
from probe.lab.hello import offers_alpn, offers_only_tls13, server_name
from probe.lab.pki import Authority, Served, forge_2019, forge_2021
from probe.lab.scenario import Hello, Web
from probe.lab.sockets import Destination, Locate
from probe.lab.topology import Topology

_HANDSHAKE_FAILURE = bytes.fromhex("15030300020228")  # fatal alert 40, RFC 8446 section 6
_RAW_PAGE = "<html><title>Access denied</title><body>This resource is blocked.</body></html>"
_ROUTER_PAGE = b"<html><title>Home router</title><body>Sign in to set up.</body></html>"
_UPSTREAM_LIMIT = 10.0

Onward = Callable[[socket.socket, Destination], None]


def pass_on(connection: socket.socket, there: Destination) -> None:
    """Carry a connection to where it was going."""
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
    """Everything that is done to redirected connections.

    Attributes:
        locate: Tells where a redirected connection was going to.
        onward_secure, onward_plain: What becomes of connections nobody minds.
        reach: Where the real server of a destination can be dialled from here.
        ports: Where https and http are served, when not at 443 and 80.
    """

    world: Topology
    locate: Locate = sockets.original_destination
    onward_secure: Onward = pass_on
    onward_plain: Onward = pass_on
    reach: Callable[[Destination], Destination] = field(default=lambda there: there)
    ports: tuple[int, int] = (443, 80)
    contexts: sockets.Contexts = field(default_factory=sockets.Contexts)
    forged: dict[tuple[str, bytes], Served] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def secure(self, connection: socket.socket) -> None:
        """One redirected connection to port 443."""
        there = self.locate(connection)
        if there == sockets.local_end(connection) and self.locate is sockets.original_destination:
            return  # whoever dials us directly was not redirected, and is not passed on to us
        hello = sockets.peek(connection)
        name = server_name(hello)
        act = self._hello_act(name, hello)
        if act is not None:
            self._act_on_hello(connection, act, there, name, len(hello))
        elif self.world.nation("everything_resigned"):
            self._intercept(connection, "product", there, name)
        elif self.world.nation("router_page"):
            _show_router(connection, self.contexts.get(self.world.pki.router))
        else:
            self.onward_secure(connection, there)

    def plain(self, connection: socket.socket) -> None:
        """One redirected connection to port 80."""
        there = self.locate(connection)
        if there == sockets.local_end(connection) and self.locate is sockets.original_destination:
            return None
        if self.world.nation("captive_portal"):
            sockets.read_head(connection)
            answer = pages.moved(f"http://{plan.PORTAL_NAME}/login", 302)
            return connection.sendall(pages.wire(answer))
        asked = sockets.parse_head(sockets.peek(connection, whole=sockets.has_head))
        act = self._web_act(asked)
        if act is None:
            return self.onward_plain(connection, there)
        return self._act_on_web(connection, act, there)

    def _hello_act(self, name: str | None, hello: bytes) -> Hello | None:
        for act in self.world.acts:
            if isinstance(act, Hello) and act.name == name and not _spared(act, hello):
                return act
        return None

    def _web_act(self, asked: sockets.Asked) -> Web | None:
        for act in self.world.acts:
            if not isinstance(act, Web) or act.name != asked.host:
                continue
            if act.path in {None, asked.path}:
                return act
        return None

    def _act_on_hello(
        self, connection: socket.socket, act: Hello, there: Destination, name: str | None, size: int
    ) -> None:
        match act.how:
            case "fin":
                connection.recv(size)  # unread bytes would turn the close into a reset
            case "alert":
                connection.recv(size)
                connection.sendall(_HANDSHAKE_FAILURE)
            case "drop" | "drop_after":
                sockets.silence(connection)
            case "reset":
                sockets.reset(connection)
            case interception:
                self._intercept(connection, interception, there, name)

    def _act_on_web(self, connection: socket.socket, act: Web, there: Destination) -> None:
        match act.how:
            case "drop":
                sockets.silence(connection)
            case "reset":
                sockets.reset(connection)
            case "truncate":
                _pass_part(connection, self.reach(there))
            case how:
                sockets.read_head(connection)
                connection.sendall(self._spoken(how))

    def _spoken(self, how: str) -> bytes:
        """What the censor says in the site's place."""
        match how:
            case "page_200":
                answer = pages.block_page(200)
            case "page_403":
                answer = pages.block_page(403)
            case "to_http_page":
                answer = pages.moved(f"http://{plan.BLOCK_PAGE_NAME}/", 302)
            case "to_https_page":
                answer = pages.moved(f"https://{plan.BLOCK_PAGE_NAME}/", 302)
            case "raw_page":
                return _RAW_PAGE.encode()
            case _:
                return b""
        return pages.wire(pages.at_ports(answer, *self.ports))

    def _intercept(
        self, connection: socket.socket, how: str, there: Destination, name: str | None
    ) -> None:
        """Speak TLS to both sides and carry what they say."""
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

    def _forge(self, how: str, real: bytes) -> Served:
        with self.lock:
            if (how, real) not in self.forged:
                certificate = x509.load_der_x509_certificate(real)
                forge = forge_2019 if how == "mitm_2019" else forge_2021
                self.forged[how, real] = forge(self._authority(how), certificate)
            return self.forged[how, real]

    def _authority(self, how: str) -> Authority:
        pki = self.world.pki
        match how:
            case "mitm_2019":
                return pki.interceptor_2019
            case "mitm_2021":
                return pki.interceptor_2021
            case "product":
                return pki.product
            case _:
                return pki.interceptor_anonymous


def _spared(act: Hello, hello: bytes) -> bool:
    """An interceptor that does not look at this kind of hello."""
    without = "noalpn" in act.spares and not offers_alpn(hello)
    return without or ("tls13" in act.spares and offers_only_tls13(hello))


def _show_router(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Answer for whatever was asked with the router's own certificate and login page."""
    with sockets.wrap(connection, context) as stream:
        sockets.read_head(stream)
        stream.sendall(pages.wire(pages.Answer(200, (), _ROUTER_PAGE)))
        stream.unwrap()


def _open_tls(there: Destination, name: str | None) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    upstream = socket.create_connection(there, timeout=_UPSTREAM_LIMIT)
    return context.wrap_socket(upstream, server_hostname=name)


def _pass_part(connection: socket.socket, there: Destination) -> None:
    """Carry the first 2 KiB of the answer, then close."""
    with socket.create_connection(there, timeout=_UPSTREAM_LIMIT) as upstream:
        upstream.sendall(sockets.read_head(connection))
        connection.sendall(upstream.recv(2048))


def start(world: Topology) -> None:
    """Take redirected connections in this namespace."""
    proxy = Proxy(world)
    sockets.serve(sockets.listen("::", plan.REDIRECTED_TLS_PORT), proxy.secure)
    sockets.serve(sockets.listen("::", plan.REDIRECTED_WEB_PORT), proxy.plain)
