"""Where namespaces are not allowed: the same scenarios as a street of rude servers on loopback.

Every site stands at an address in 127.0.0.0/8 and at high ports; the censor is the servers' own
front door, and can be switched off while the control looks. What needs packets (drops by address,
lines, throttling) is left to the country, so a street plays only the scenarios that say so.
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
from probe.lab.origin import Origin
from probe.lab.proxy import Proxy
from probe.lab.scenario import WIRE, Expect, Scenario
from probe.lab.sockets import Destination
from probe.lab.testbed import Where
from probe.lab.topology import Topology
from probe.model import Mechanism

_ANCHORS = ("www.debian.org", "www.wikipedia.org", "www.iana.org", "www.nur.kz", "egov.kz")
_ELSEWHERE = "127.99.99.99"


def to_loopback(address: str) -> str:
    """Where an address of the plan stands on the street: 45.130.x.y at 127.45.x.y."""
    first, second, third, fourth = address.split(".")
    if (first, second) in {("45", "130"), ("92", "46")}:
        return f"127.{first}.{third}.{fourth}"
    return _ELSEWHERE


def from_loopback(address: str) -> str:
    """Which address of the plan a loopback address stands for."""
    _, block, third, fourth = address.split(".")
    return f"{block}.{'130' if block == '45' else '46'}.{third}.{fourth}"


def translate(reply: bytes) -> bytes:
    """A DNS reply with every IPv4 address moved to the street, and no IPv6."""
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


class Doors:
    """The front doors, where the censor stands, and the back doors, where it passes through."""

    def __init__(self, world: Topology, censoring: threading.Event) -> None:
        self.ports = (_free_port(), _free_port())
        self._back_ports = (_free_port(), _free_port())
        self._censoring = censoring
        self._origin = Origin(world, _located, self.ports)
        self._proxy = Proxy(
            world,
            _located,
            onward_secure=lambda connection, _: self._origin.secure(connection),
            onward_plain=lambda connection, _: self._origin.plain(connection),
            reach=self._back_door,
            ports=self.ports,
        )

    def open(self, address: str) -> list[socket.socket]:
        """Listen at all doors of one loopback address."""
        handlers = (self._secure, self._plain, self._origin.secure, self._origin.plain)
        opened: list[socket.socket] = []
        for port, handler in zip(self.ports + self._back_ports, handlers, strict=True):
            listener = sockets.listen(address, port)
            sockets.serve(listener, handler)
            opened.append(listener)
        return opened

    def _back_door(self, there: Destination) -> Destination:
        secure = there[1] == self.ports[0]
        return to_loopback(there[0]), self._back_ports[0 if secure else 1]

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
    """Whether a scenario can be played on the street."""
    return scenario.street and scenario.climate.usual


def _about_names(expected: Expect) -> bool:
    return any(word.startswith("dns.") for word in (*expected.mechanisms, *expected.any_of))


class LoopbackTestbed:
    """The same face as a `NetnsTestbed`, on loopback."""

    control_stays = False

    def __init__(self, scenarios: Iterable[Scenario]) -> None:
        self.scenarios = tuple(each for each in scenarios if playable(each))
        self._censoring = threading.Event()
        self._listeners: list[socket.socket] = []
        self._running = commands.Running()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="qazprobe-street-"))
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> None:
        self.world = topology.build(self.scenarios, WIRE)
        self.ca_file = self.folder / "ca.pem"
        self.ca_file.write_bytes(self.world.pki.roots_pem)
        self._doors = Doors(self.world, self._censoring)
        self.ports = self._doors.ports
        for address in self._addresses():
            self._listeners += self._doors.open(to_loopback(address))
        truth = resolvers.Resolvers(self.world).reply
        self.resolver = self._start_liar(truth, {"all", "system"})
        self.other_resolver = self._start_liar(truth, {"all", "public"})
        self.collector_port = _free_port()
        self.bulk_port = _free_port()
        self._expect = {self.url(each.url): each for s in self.scenarios for each in s.expect}
        self.censor(on=True)

    def _addresses(self) -> list[str]:
        return [address for address in self.world.at if ":" not in address]

    def _start_liar(self, truth: Callable[[bytes, str], bytes | None], whom: set[str]) -> str:
        """A resolver that lies while the censor is on; `ADDRESS:PORT`."""
        upstream = _datagrams()
        resolvers.serve_udp([upstream], lambda data, _: truth(data, plan.SYSTEM_RESOLVER))
        server = _datagrams()
        liar = DnsInjector(
            self.world,
            server,
            upstream.getsockname(),
            lies=lambda act: self._censoring.is_set() and act.whom in whom,
            translate=translate,
        )
        threading.Thread(target=liar.run, daemon=True).start()
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
        """Switch the censor on, or off while the control looks."""
        if on:
            self._censoring.set()
        else:
            self._censoring.clear()

    def url(self, url: str) -> str:
        """A URL of the catalogue as it is on this street, with its port."""
        return pages.with_port(url, *self.ports)

    def urls(self) -> tuple[str, ...]:
        """Every URL that has a right verdict, in the order of the catalogue."""
        return tuple(self._expect)

    def expect(self, url: str) -> Expect:
        """The right verdict for a URL; here every address is a bogon, and may be called one."""
        expected = self._expect[url]
        bogon = (Mechanism.DNS_BOGON,) if _about_names(expected) else ()
        return replace(expected, url=url, also_acceptable=(*expected.also_acceptable, *bogon))

    def options(self) -> dict[str, str]:
        """What a probe on the street must be told, since the world's names are not here."""
        anchors = ",".join(self.url(f"https://{name}/") for name in _ANCHORS)
        return {
            "QAZPROBE_RESOLVER": self.resolver,
            "QAZPROBE_RESOLVERS": self.other_resolver,
            "QAZPROBE_ANCHORS": anchors,
        }

    def wrap(
        self,
        where: Where,  # noqa: ARG002 - on a street every place is here
        argv: Sequence[str],
    ) -> list[str]:
        """Nothing has to be entered here."""
        return list(argv)

    def run(
        self,
        where: Where,  # noqa: ARG002 - on a street every place is here
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> commands.Finished:
        """Run a command and give back what it said."""
        return commands.run(argv, env, timeout)

    def spawn(
        self,
        where: Where,  # noqa: ARG002 - on a street every place is here
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> commands.Started:
        """Start a command and leave it running until the street closes."""
        return self._running.spawn(argv, env, log)
