"""The censor's user-space part for DNS: false answers, alone or racing the true ones."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from probe.lab import addresses as plan, names
from probe.lab.names import lie
from probe.lab.scenario import Lie
from probe.lab.topology import Topology

_RACE = 0.03  # seconds between the two answers of an injection
_INJECTED_TTL = 37  # an injector sits nearer, and its packets say so
_UPSTREAM_LIMIT = 3.0

Peer = tuple[str, int]


class DnsInjector:
    """Answers redirected queries: falsely, honestly, or both."""

    def __init__(
        self,
        world: Topology,
        server: socket.socket,
        upstream: Peer,
        *,
        lies: Callable[[Lie], bool] = lambda _: True,
        translate: Callable[[bytes], bytes] = lambda data: data,
    ) -> None:
        self._world = world
        self._server = server
        self._upstream = upstream
        self._lies = lies
        self._translate = translate

    def run(self) -> None:
        """Answer for ever, each query in a thread of its own."""
        while True:
            try:
                data, peer = self._server.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self._handle, args=(data, peer), daemon=True).start()

    def _handle(self, data: bytes, peer: Peer) -> None:
        query = names.parse(data)
        if query is None:
            return
        name, kind = names.asked(query)
        act = self._act(name)
        if act is None:
            self._relay(data, peer, kind)
            return
        mirror = self._world.mirrors.get(act.name, plan.NOWHERE)
        forged = lie(query, act.how, mirror)
        false = None if forged is None else forged.to_wire()
        if act.how == "inject_second":
            self._relay(data, peer, kind)
            time.sleep(_RACE)
        self._send(false, peer, injected=act.how.startswith("inject"))
        if act.how == "inject_first":
            time.sleep(_RACE)
            self._relay(data, peer, kind)

    def _act(self, name: str) -> Lie | None:
        for act in self._world.acts:
            if isinstance(act, Lie) and act.name == name and self._lies(act):
                return act
        return None

    def _relay(self, data: bytes, peer: Peer, kind: str) -> None:
        """The true answer, or what the country's resolvers make of it."""
        query = names.parse(data)
        if query is not None and self._world.nation("hotel_dns"):
            addresses = (plan.PORTAL,) if kind == "A" else ()
            self._send(names.respond(query, addresses=addresses).to_wire(), peer)
            return
        answer = self._ask(data)
        missing = answer is not None and answer[3] & 0x0F == 3  # RFC 1035: NXDOMAIN
        if query is not None and missing and self._world.nation("nxdomain_sold"):
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

    def _send(self, data: bytes | None, peer: Peer, *, injected: bool = False) -> None:
        if data is None:
            return
        options = [(socket.SOL_IP, socket.IP_TTL, _INJECTED_TTL.to_bytes(4, "little"))]
        with contextlib.suppress(OSError):
            self._server.sendmsg([self._translate(data)], options if injected else [], 0, peer)


def start(world: Topology) -> None:
    """Take redirected queries in this namespace."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", plan.LIAR_PORT))
    liar = DnsInjector(world, server, (plan.SYSTEM_RESOLVER, 53))
    threading.Thread(target=liar.run, daemon=True).start()
