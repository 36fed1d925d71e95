"""The censor's QUIC filter: drops a flow once its Initial offers the filtered name.

Each filter has a port of its own, because a redirected datagram has lost its destination.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass, field

from probe.lab import addresses as plan
from probe.lab.initial import Initials
from probe.lab.quic_server import PORT, is_here
from probe.lab.scenario import QuicFilter
from probe.lab.topology import Topology

_IDLE = 30.0
_SIZE = 65535
SocketAddress = tuple[str, int]


@dataclass
class Flow:
    """One client's datagrams to one server."""

    upstream: socket.socket
    initials: Initials = field(default_factory=Initials)
    stopped: bool = False


class QuicSniFilter:
    """Relays datagrams to one address, except those of flows whose Initial offered the name."""

    def __init__(self, server: socket.socket, to: SocketAddress, name: str) -> None:
        self._server = server
        self._to = to
        self._name = name
        self._flows: dict[SocketAddress, Flow] = {}

    def run(self) -> None:
        """Relay until the socket is closed."""
        while True:
            try:
                data, peer = self._server.recvfrom(_SIZE)
            except OSError:
                return
            flow = self._flows.get(peer) or self._open(peer)
            flow.stopped = flow.stopped or flow.initials.handle(data) == self._name
            if not flow.stopped:
                with contextlib.suppress(OSError):
                    flow.upstream.send(data)

    def _open(self, peer: SocketAddress) -> Flow:
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        upstream.settimeout(_IDLE)
        upstream.connect(self._to)
        flow = self._flows[peer] = Flow(upstream)
        threading.Thread(target=self._back, args=(flow, peer), daemon=True).start()
        return flow

    def _back(self, flow: Flow, peer: SocketAddress) -> None:
        with flow.upstream, contextlib.suppress(OSError):
            while not flow.stopped:
                self._server.sendto(flow.upstream.recv(_SIZE), peer)
        self._flows.pop(peer, None)


def start(topology: Topology) -> None:
    """Handle redirected datagrams in this namespace."""
    for index, interference in enumerate(topology.interferences):
        if isinstance(interference, QuicFilter) and interference.how == "drop_name" and is_here():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("0.0.0.0", plan.quic_port(index)))
            sni_filter = QuicSniFilter(
                server, (topology.sites[interference.name].v4[0], PORT), interference.name
            )
            threading.Thread(target=sni_filter.run, daemon=True).start()
