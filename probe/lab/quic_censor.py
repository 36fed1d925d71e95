"""The censor's user-space part for QUIC: let a flow pass until its Initial offers the name.

Each act has a port of its own, because a redirected datagram no longer says where it was going.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass, field

from probe.lab import addresses as plan
from probe.lab.initial import Initials
from probe.lab.quic_server import PORT, is_here
from probe.lab.scenario import Quic
from probe.lab.topology import Topology

_IDLE = 30.0
_SIZE = 65535
Peer = tuple[str, int]


@dataclass
class Flow:
    """One client's datagrams to one server."""

    upstream: socket.socket
    seen: Initials = field(default_factory=Initials)
    stopped: bool = False


class Gatekeeper:
    """Carries datagrams to one address, and none of a flow whose Initial offered the name."""

    def __init__(self, server: socket.socket, to: Peer, name: str) -> None:
        self._server = server
        self._to = to
        self._name = name
        self._flows: dict[Peer, Flow] = {}

    def run(self) -> None:
        """Carry until the socket is closed."""
        while True:
            try:
                data, peer = self._server.recvfrom(_SIZE)
            except OSError:
                return
            flow = self._flows.get(peer) or self._open(peer)
            flow.stopped = flow.stopped or flow.seen.take(data) == self._name
            if not flow.stopped:
                with contextlib.suppress(OSError):
                    flow.upstream.send(data)

    def _open(self, peer: Peer) -> Flow:
        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        upstream.settimeout(_IDLE)
        upstream.connect(self._to)
        flow = self._flows[peer] = Flow(upstream)
        threading.Thread(target=self._back, args=(flow, peer), daemon=True).start()
        return flow

    def _back(self, flow: Flow, peer: Peer) -> None:
        with flow.upstream, contextlib.suppress(OSError):
            while not flow.stopped:
                self._server.sendto(flow.upstream.recv(_SIZE), peer)
        self._flows.pop(peer, None)


def start(world: Topology) -> None:
    """Take redirected datagrams in this namespace."""
    for index, act in enumerate(world.acts):
        if isinstance(act, Quic) and act.how == "drop_name" and is_here():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("0.0.0.0", plan.quic_port(index)))
            keeper = Gatekeeper(server, (world.places[act.name].v4[0], PORT), act.name)
            threading.Thread(target=keeper.run, daemon=True).start()
