"""The internet's web servers: each site answers, or misbehaves, as its scenario says.

One process answers at every address; which site is meant is decided by the address that was dialled
and the name that was offered there.
"""

import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from probe.lab import addresses as plan, pages, sockets, tunnels
from probe.lab.hello import server_name
from probe.lab.pages import Answer
from probe.lab.resolvers import Resolvers
from probe.lab.scenario import Audience, Page, Site
from probe.lab.topology import WRONG_CLOCK, Topology

_UNRECOGNIZED_NAME = bytes.fromhex("15030300020270")  # fatal alert 112, RFC 6066 section 3
_DEAD_AFTER = 1.5  # seconds a site lives on after the control has seen it
_SLOW_START = 2.0
_ABROAD = ip_network(plan.ABROAD_GATEWAY + "/24", strict=False)
_ABROAD6 = ip_network(plan.ABROAD6_GATEWAY + "/64", strict=False)


@dataclass
class Visits:
    """When the control was first seen at each site: some sites die soon after."""

    first: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, name: str) -> None:
        """The control is here."""
        with self.lock:
            self.first.setdefault(name, time.monotonic())

    def gone(self, name: str) -> bool:
        """Whether a site that dies after the control's visit is dead by now."""
        with self.lock:
            return time.monotonic() - self.first.get(name, float("inf")) > _DEAD_AFTER


@dataclass
class Origin:
    """Every web server of the world.

    Attributes:
        locate: Tells at which of the plan's addresses a connection has come in.
        ports: Where https and http are served, when not at 443 and 80.
    """

    world: Topology
    locate: sockets.Locate = sockets.local_end
    ports: tuple[int, int] = (443, 80)
    contexts: sockets.Contexts = field(default_factory=sockets.Contexts)
    visits: Visits = field(default_factory=Visits)

    def secure(self, connection: socket.socket) -> None:
        """One connection to a TLS port."""
        here, _ = self.locate(connection)
        if self._speaks(connection, here):
            return
        hello = sockets.peek(connection)
        offered = server_name(hello)
        site = self.world.site_for(_bare(offered), here) or self.world.default_at(here)
        if site is None or not hello or self._misbehaves(connection, site, offered, hello):
            return
        served = self.world.served[site.name, here]
        flavour = "tls12" if site.server == "tls12" else "http/1.1"
        with sockets.wrap(connection, self.contexts.get(served, flavour=flavour)) as stream:
            self._exchange(stream, site, here, secure=True)

    def plain(self, connection: socket.socket) -> None:
        """One connection to a plain HTTP port."""
        here, _ = self.locate(connection)
        default = self.world.default_at(here)
        if default is None or self._dead(connection, default) or self._speaks(connection, here):
            return
        if default.plain == "tls":
            self.secure(connection)
            return
        self._exchange(connection, default, here, secure=False)

    def _speaks(self, connection: socket.socket, here: str) -> bool:
        """Speak what is no HTTP, where that is what lives at this address."""
        site = self.world.default_at(here)
        if site is None or site.speaks == "web":
            return False
        tunnels.speak(connection, site)
        return True

    def _dead(self, connection: socket.socket, site: Site) -> bool:
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
        self, connection: socket.socket, site: Site, offered: str | None, hello: bytes
    ) -> bool:
        """Do what the site does instead of a handshake, if anything."""
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
                connection.sendall(pages.wire(Answer(400, (), b"plain HTTP here")))
            case _:
                return False
        return True

    def _exchange(self, stream: socket.socket, fallback: Site, here: str, *, secure: bool) -> None:
        head = sockets.read_head(stream)
        if not head:
            return
        asked = sockets.parse_head(head)
        site = self.world.site_for(_bare(asked.host), here) or fallback
        if site.server == "hangs_after_tls" and secure:
            sockets.silence(stream)
            return
        answer = self._answer(site, asked, _audience(stream), secure=secure)
        clock = WRONG_CLOCK.total_seconds() if self.world.nation("wrong_clock") else 0.0
        answer = pages.offering_http3(pages.at_ports(answer, *self.ports), site)
        _send(stream, site, pages.wire(answer, clock=clock))

    def _answer(
        self, site: Site, asked: sockets.Asked, audience: Audience, *, secure: bool
    ) -> Answer:
        if not secure and site.plain == "to_https":
            return pages.moved(f"https://{asked.host or site.name}{asked.path}", 301)
        if site.name == plan.PORTAL_NAME:
            return pages.portal_page()
        page = dict(site.paths).get(asked.path, site.page)
        if page.audience not in {"all", audience}:
            page = Page()
        return pages.answer(site, page, asked.path)


def _bare(name: str | None) -> str | None:
    return name.removeprefix("www.") if name and name.count(".") > 1 else name


def _audience(connection: socket.socket) -> Audience:
    peer = ip_address(sockets.plain_address(connection.getpeername()[0]))
    return "abroad" if peer in _ABROAD or peer in _ABROAD6 else "home"


def _send(stream: socket.socket, site: Site, data: bytes) -> None:
    match site.server:
        case "dies_midway":
            stream.sendall(data[: len(data) // 2])
            time.sleep(0.2)
        case "slow":
            time.sleep(_SLOW_START)
            for at in range(0, len(data), 4096):
                stream.sendall(data[at : at + 4096])
                time.sleep(0.05)
        case _:
            stream.sendall(data)
            if isinstance(stream, ssl.SSLSocket):
                stream.unwrap()


def start(world: Topology, resolvers: Resolvers) -> None:
    """Answer on every port that any site uses, at every address of this namespace."""
    origin = Origin(world)

    def secure(connection: socket.socket) -> None:
        here = sockets.plain_address(connection.getsockname()[0])
        handler = resolvers.https if resolvers.knows(here) else origin.secure
        handler(connection)

    ports = {443} | {port for place in world.places.values() for port in place.site.ports}
    for port in sorted(ports):
        sockets.serve(sockets.listen("::", port), secure)
    sockets.serve(sockets.listen("::", 80), origin.plain)
