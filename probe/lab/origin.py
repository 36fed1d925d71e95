"""The internet's web servers: each site answers or misbehaves as its scenario says.

One process answers at every address; the dialled address and the offered name select the site.
"""

import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from probe.lab import addresses as plan, pages, sockets, tunnels
from probe.lab.hello import server_name
from probe.lab.pages import PageResponse
from probe.lab.resolvers import Resolvers
from probe.lab.scenario import Audience, LabSite, Page
from probe.lab.topology import WRONG_CLOCK, Topology

_UNRECOGNIZED_NAME = bytes.fromhex("15030300020270")  # fatal alert 112, RFC 6066 section 3
_DEAD_AFTER = 1.5  # seconds between the control's first visit and the site's death
_SLOW_START = 2.0
_ABROAD = ip_network(plan.ABROAD_GATEWAY + "/24", strict=False)
_ABROAD6 = ip_network(plan.ABROAD6_GATEWAY + "/64", strict=False)


@dataclass
class ControlVisits:
    """When the control first visited each site: some sites die soon after."""

    first: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, name: str) -> None:
        """Record a visit of the control."""
        with self.lock:
            self.first.setdefault(name, time.monotonic())

    def gone(self, name: str) -> bool:
        """Whether a site that dies after the control's visit is dead."""
        with self.lock:
            return time.monotonic() - self.first.get(name, float("inf")) > _DEAD_AFTER


@dataclass
class OriginServer:
    """All web servers of the topology.

    Attributes:
        locate: Returns the address of the plan that a connection was made to.
        ports: The ports of https and http.
    """

    topology: Topology
    locate: sockets.Locate = sockets.local_end
    ports: tuple[int, int] = (443, 80)
    contexts: sockets.ServerTlsContexts = field(default_factory=sockets.ServerTlsContexts)
    visits: ControlVisits = field(default_factory=ControlVisits)

    def secure(self, connection: socket.socket) -> None:
        """Serve one connection to a TLS port."""
        here, _ = self.locate(connection)
        if self._serve_other_protocol(connection, here):
            return
        hello = sockets.peek(connection)
        offered = server_name(hello)
        site = self.topology.site_for(_bare(offered), here) or self.topology.default_at(here)
        if site is None or not hello or self._misbehaves(connection, site, offered, hello):
            return
        served = self.topology.certificates[site.name, here]
        flavour = "tls12" if site.server == "tls12" else "http/1.1"
        with sockets.wrap(connection, self.contexts.get(served, flavour=flavour)) as stream:
            self._exchange(stream, site, here, secure=True)

    def plain(self, connection: socket.socket) -> None:
        """Serve one connection to a plain HTTP port."""
        here, _ = self.locate(connection)
        default = self.topology.default_at(here)
        if (
            default is None
            or self._dead(connection, default)
            or self._serve_other_protocol(connection, here)
        ):
            return
        if default.plain == "tls":
            self.secure(connection)
            return
        self._exchange(connection, default, here, secure=False)

    def _serve_other_protocol(self, connection: socket.socket, here: str) -> bool:
        """Serve the connection and return True if the site here does not speak HTTP."""
        site = self.topology.default_at(here)
        if site is None or site.speaks == "web":
            return False
        tunnels.speak(connection, site)
        return True

    def _dead(self, connection: socket.socket, site: LabSite) -> bool:
        if site.server == "dies_after_control":
            if _audience(connection) == "abroad":
                self.visits.note(site.name)
            if self.visits.gone(site.name):
                sockets.silence(connection)
                return True
        if site.server == "overloaded":
            sockets.silence(connection)
        return site.server == "overloaded"

    def _misbehaves(
        self, connection: socket.socket, site: LabSite, offered: str | None, hello: bytes
    ) -> bool:
        """Do what the site does instead of a TLS handshake and return True, or return False."""
        if self._dead(connection, site):
            return True
        if site.server == "rejects_name" and _bare(offered) != site.name:
            connection.recv(len(hello))
            connection.sendall(_UNRECOGNIZED_NAME)
            return True
        match site.server:
            case "resets":
                sockets.reset(connection)
            case "closes_hello":
                connection.recv(len(hello))
            case "no_tls":
                connection.recv(len(hello))
                connection.sendall(pages.encode(PageResponse(400, (), b"plain HTTP here")))
            case _:
                return False
        return True

    def _exchange(
        self, stream: socket.socket, fallback: LabSite, here: str, *, secure: bool
    ) -> None:
        head = sockets.read_head(stream)
        if not head:
            return
        request = sockets.parse_head(head)
        site = self.topology.site_for(_bare(request.host), here) or fallback
        if site.server == "resets_host" and _bare(request.host) == site.name:
            sockets.reset(stream)
            return
        if site.server == "hangs_after_tls" and secure:
            sockets.silence(stream)
            return
        answer = self._answer(site, request, _audience(stream), secure=secure)
        clock = WRONG_CLOCK.total_seconds() if self.topology.has_whole_line("wrong_clock") else 0.0
        answer = pages.with_alt_svc(pages.with_ports(answer, *self.ports), site)
        _send(stream, site, pages.encode(answer, clock=clock))

    def _answer(
        self, site: LabSite, request: sockets.RequestHead, audience: Audience, *, secure: bool
    ) -> PageResponse:
        if not secure and site.plain == "to_https":
            return pages.redirect(f"https://{request.host or site.name}{request.path}", 301)
        if site.name == plan.PORTAL_NAME:
            return pages.portal_page()
        page = dict(site.paths).get(request.path, site.page)
        if page.audience not in {"all", audience}:
            page = Page()
        return pages.answer(site, page, request.path)


def _bare(name: str | None) -> str | None:
    return name.removeprefix("www.") if name and name.count(".") > 1 else name


def _audience(connection: socket.socket) -> Audience:
    peer = ip_address(sockets.plain_address(connection.getpeername()[0]))
    return "abroad" if peer in _ABROAD or peer in _ABROAD6 else "home"


def _send(stream: socket.socket, site: LabSite, data: bytes) -> None:
    match site.server:
        case "dies_midway":
            stream.sendall(data[: len(data) // 2])
            time.sleep(0.2)
        case "small_records":  # a TLS record for each write
            for at in range(0, len(data), 1024):
                stream.sendall(data[at : at + 1024])
        case "slow":
            time.sleep(_SLOW_START)
            for at in range(0, len(data), 4096):
                stream.sendall(data[at : at + 4096])
                time.sleep(0.05)
        case _:
            stream.sendall(data)
            if isinstance(stream, ssl.SSLSocket):
                stream.unwrap()


def start(topology: Topology, resolvers: Resolvers) -> None:
    """Serve every port that a site uses, at every address of this namespace."""
    origin = OriginServer(topology)

    def secure(connection: socket.socket) -> None:
        here = sockets.plain_address(connection.getsockname()[0])
        handler = resolvers.https if resolvers.knows(here) else origin.secure
        handler(connection)

    ports = {443} | {port for placed in topology.sites.values() for port in placed.site.ports}
    for port in sorted(ports):
        sockets.serve(sockets.listen("::", port), secure)
    sockets.serve(sockets.listen("::", 80), origin.plain)
