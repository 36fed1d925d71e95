"""The censor's DNS injector: forged answers, alone or racing the true ones."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from probe.lab import addresses as plan, names
from probe.lab.names import forge_answer
from probe.lab.scenario import DnsTampering
from probe.lab.topology import Topology

_RACE = 0.03  # seconds between the forged and the true answer
_INJECTED_TTL = 37  # unlike a resolver's: an injector is fewer hops away
_UPSTREAM_LIMIT = 3.0

SocketAddress = tuple[str, int]


class DnsInjector:
    """Answers redirected queries with a forged answer, the true one, or both."""

    def __init__(
        self,
        topology: Topology,
        server: socket.socket,
        upstream: SocketAddress,
        *,
        applies: Callable[[DnsTampering], bool] = lambda _: True,
        translate: Callable[[bytes], bytes] = lambda data: data,
    ) -> None:
        self._topology = topology
        self._server = server
        self._upstream = upstream
        self._applies = applies
        self._translate = translate

    def run(self) -> None:
        """Answer until the socket is closed, each query in its own thread."""
        while True:
            try:
                data, peer = self._server.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self._handle, args=(data, peer), daemon=True).start()

    def _handle(self, data: bytes, peer: SocketAddress) -> None:
        query = names.parse(data)
        if query is None:
            return
        name, kind = names.question_of(query)
        interference = self._find(name)
        crude = interference is not None and interference.how == "strips_opt"
        if interference is None or (crude and query.edns < 0):
            self._relay(data, peer, kind)
            return
        mirror = self._topology.mirrors.get(interference.name, plan.NOWHERE)
        forged = forge_answer(query, interference.how, mirror)
        false = None if forged is None else forged.to_wire()
        if interference.how == "inject_second":
            self._relay(data, peer, kind)
            time.sleep(_RACE)
        self._send(false, peer, injected=interference.how.startswith("inject"))
        if interference.how == "inject_first":
            time.sleep(_RACE)
            self._relay(data, peer, kind)

    def _find(self, name: str) -> DnsTampering | None:
        for interference in self._topology.interferences:
            if (
                isinstance(interference, DnsTampering)
                and interference.name == name
                and self._applies(interference)
            ):
                return interference
        return None

    def _relay(self, data: bytes, peer: SocketAddress, kind: str) -> None:
        """Send the true answer, after any whole-line tampering."""
        query = names.parse(data)
        if query is not None and self._topology.has_whole_line("hotel_dns"):
            addresses = (plan.PORTAL,) if kind == "A" else ()
            self._send(names.respond(query, addresses=addresses).to_wire(), peer)
            return
        answer = self._ask(data)
        missing = answer is not None and answer[3] & 0x0F == 3  # RFC 1035: NXDOMAIN
        if query is not None and missing and self._topology.has_whole_line("nxdomain_sold"):
            addresses = (plan.AD_PAGE,) if kind == "A" else ()
            answer = names.respond(query, addresses=addresses).to_wire()
        self._send(answer, peer)

    def _ask(self, data: bytes) -> bytes | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
            upstream.settimeout(_UPSTREAM_LIMIT)
            upstream.connect(self._upstream)
            with contextlib.suppress(OSError):
                upstream.send(data)
                return upstream.recv(4096)
        return None

    def _send(self, data: bytes | None, peer: SocketAddress, *, injected: bool = False) -> None:
        if data is None:
            return
        options = [(socket.SOL_IP, socket.IP_TTL, _INJECTED_TTL.to_bytes(4, "little"))]
        with contextlib.suppress(OSError):
            self._server.sendmsg([self._translate(data)], options if injected else [], 0, peer)


def start(topology: Topology) -> None:
    """Handle redirected queries in this namespace."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", plan.DNS_INJECTOR_PORT))
    injector = DnsInjector(topology, server, (plan.SYSTEM_RESOLVER, 53))
    threading.Thread(target=injector.run, daemon=True).start()
