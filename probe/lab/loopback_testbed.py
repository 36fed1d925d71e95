"""A testbed on loopback, for machines without network namespaces.

Every site has an address in 127.0.0.0/8 and high ports. The censor is a proxy in front of the
servers that is switched off while the control measures. Interference with packets (drops by
address, lines, throttling) needs namespaces, so only scenarios marked `loopback` run here.
"""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Self

import dns.message
import dns.rdatatype
import dns.rrset

from probe.lab import addresses as plan, commands, pages, resolvers, sockets, topology
from probe.lab.dns_injector import DnsInjector
from probe.lab.origin import OriginServer
from probe.lab.proxy import Proxy
from probe.lab.scenario import WIRE, Expect, Scenario
from probe.lab.sockets import Destination
from probe.lab.testbed import NodeName
from probe.lab.topology import Topology
from probe.model import Mechanism

_ANCHORS = ("www.debian.org", "www.wikipedia.org", "www.iana.org", "www.nur.kz", "egov.kz")
_ELSEWHERE = "127.99.99.99"


def to_loopback(address: str) -> str:
    """The loopback address of an address of the plan: 127.45.x.y for 45.130.x.y."""
    first, second, third, fourth = address.split(".")
    if (first, second) in {("45", "130"), ("92", "46")}:
        return f"127.{first}.{third}.{fourth}"
    return _ELSEWHERE


def from_loopback(address: str) -> str:
    """The address of the plan for a loopback address."""
    _, block, third, fourth = address.split(".")
    return f"{block}.{'130' if block == '45' else '46'}.{third}.{fourth}"


def translate(reply: bytes) -> bytes:
    """A DNS reply with every IPv4 address mapped to loopback, and without IPv6."""
    message = dns.message.from_wire(reply)
    moved: list[dns.rrset.RRset] = []
    for rrset in message.answer:
        if rrset.rdtype == dns.rdatatype.A:
            found = [to_loopback(record.to_text()) for record in rrset]
            moved.append(dns.rrset.from_text(rrset.name, rrset.ttl, "IN", "A", *found))
        elif rrset.rdtype != dns.rdatatype.AAAA:
            moved.append(rrset)
    message.answer = moved
    return message.to_wire()


def _located(connection: socket.socket) -> Destination:
    address, port = sockets.local_end(connection)
    return from_loopback(address), port


class SiteListeners:
    """Listeners of all sites: censored ports, and uncensored ports that the censor relays to."""

    def __init__(self, topology: Topology, censoring: threading.Event) -> None:
        self.ports = (_free_port(), _free_port())
        self._uncensored_ports = (_free_port(), _free_port())
        self._censoring = censoring
        self._origin = OriginServer(topology, _located, self.ports)
        self._proxy = Proxy(
            topology,
            _located,
            onward_secure=lambda connection, _: self._origin.secure(connection),
            onward_plain=lambda connection, _: self._origin.plain(connection),
            reach=self._uncensored_endpoint,
            ports=self.ports,
        )

    def open(self, address: str) -> list[socket.socket]:
        """Listen on all ports of one loopback address."""
        handlers = (self._secure, self._plain, self._origin.secure, self._origin.plain)
        opened: list[socket.socket] = []
        for port, handler in zip(self.ports + self._uncensored_ports, handlers, strict=True):
            listener = sockets.listen(address, port)
            sockets.serve(listener, handler)
            opened.append(listener)
        return opened

    def _uncensored_endpoint(self, there: Destination) -> Destination:
        secure = there[1] == self.ports[0]
        return to_loopback(there[0]), self._uncensored_ports[0 if secure else 1]

    def _secure(self, connection: socket.socket) -> None:
        here = self._proxy if self._censoring.is_set() else self._origin
        here.secure(connection)

    def _plain(self, connection: socket.socket) -> None:
        here = self._proxy if self._censoring.is_set() else self._origin
        here.plain(connection)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _datagrams() -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    return server


def playable(scenario: Scenario) -> bool:
    """Whether a scenario can run on loopback."""
    return scenario.loopback and scenario.environment.is_default


class LoopbackTestbed:
    """A `LabTestbed` on loopback."""

    control_stays = False

    def __init__(self, scenarios: Iterable[Scenario]) -> None:
        self.scenarios = tuple(each for each in scenarios if playable(each))
        self._censoring = threading.Event()
        self._listeners: list[socket.socket] = []
        self._running = commands.BackgroundCommands()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="qazprobe-loopback-"))
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> None:
        self.topology = topology.build(self.scenarios, WIRE)
        self.ca_file = self.folder / "ca.pem"
        self.ca_file.write_bytes(self.topology.pki.roots_pem)
        self._site_listeners = SiteListeners(self.topology, self._censoring)
        self.ports = self._site_listeners.ports
        for address in self._addresses():
            self._listeners += self._site_listeners.open(to_loopback(address))
        truth = resolvers.Resolvers(self.topology).reply
        self.resolver = self._start_resolver(truth, {"all", "system"})
        self.other_resolver = self._start_resolver(truth, {"all", "public"})
        self.collector_port = _free_port()
        self.bulk_port = _free_port()
        self._expect = {self.url(each.url): each for s in self.scenarios for each in s.expect}
        self.censor(on=True)

    def _addresses(self) -> list[str]:
        return [address for address in self.topology.names_at if ":" not in address]

    def _start_resolver(
        self, truth: Callable[[bytes, str], bytes | None], tampered: set[str]
    ) -> str:
        """Start a resolver whose answers are forged while the censor is on; `ADDRESS:PORT`."""
        upstream = _datagrams()
        resolvers.serve_udp([upstream], lambda data, _: truth(data, plan.SYSTEM_RESOLVER))
        server = _datagrams()
        injector = DnsInjector(
            self.topology,
            server,
            upstream.getsockname(),
            applies=lambda interference: (
                self._censoring.is_set() and interference.resolvers in tampered
            ),
            translate=translate,
        )
        threading.Thread(target=injector.run, daemon=True).start()
        self._listeners += [upstream, server]
        host, port = server.getsockname()
        return f"{host}:{port}"

    def _close(self) -> None:
        self._running.end()
        for listener in self._listeners:
            sockets.close(listener)
        rmtree(self.folder, ignore_errors=True)

    @property
    def collector_url(self) -> str:
        return f"http://{self.collector_listen}"

    @property
    def collector_listen(self) -> str:
        return f"127.0.0.1:{self.collector_port}"

    @property
    def bulk_listen(self) -> str:
        return f"127.0.0.1:{self.bulk_port}"

    def censor(self, *, on: bool) -> None:
        """Switch the censor on, or off while the control measures."""
        if on:
            self._censoring.set()
        else:
            self._censoring.clear()

    def url(self, url: str) -> str:
        """The URL in this testbed of a URL of the catalogue: with a port."""
        return pages.with_port(url, *self.ports)

    def urls(self) -> tuple[str, ...]:
        """Every URL that has a right verdict, in the order of the catalogue."""
        return tuple(self._expect)

    def expect(self, url: str) -> Expect:
        """The right verdict for a URL; every address here is a bogon, so `dns.bogon` is allowed."""
        expected = self._expect[url]
        named = (*expected.mechanisms, *expected.any_of)
        about_dns = any(mechanism.startswith("dns.") for mechanism in named)
        bogon = (Mechanism.DNS_BOGON,) if about_dns else ()
        return replace(expected, url=url, also_acceptable=(*expected.also_acceptable, *bogon))

    def options(self) -> dict[str, str]:
        """Environment variables that make a probe use this testbed's resolvers and anchors."""
        anchors = ",".join(self.url(f"https://{name}/") for name in _ANCHORS)
        return {
            "QAZPROBE_RESOLVER": self.resolver,
            "QAZPROBE_RESOLVERS": self.other_resolver,
            "QAZPROBE_ANCHORS": anchors,
        }

    def wrap(
        self,
        node: NodeName,  # noqa: ARG002 - loopback has no nodes
        argv: Sequence[str],
    ) -> list[str]:
        """The command line itself: there is no namespace to enter."""
        return list(argv)

    def run(
        self,
        node: NodeName,  # noqa: ARG002 - loopback has no nodes
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> commands.Finished:
        """Run a command and return its result."""
        return commands.run(argv, env, timeout)

    def spawn(
        self,
        node: NodeName,  # noqa: ARG002 - loopback has no nodes
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> commands.Started:
        """Start a command; it runs until the testbed ends."""
        return self._running.spawn(argv, env, log)
