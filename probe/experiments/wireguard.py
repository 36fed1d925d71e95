"""WireGuard: whether a server of the volunteer's own configuration answers a handshake.

    [options.wireguard]
    peers = [{ endpoint = "192.0.2.4:51820", public_key = "…", private_key = "…" }]

A server answers only peers it knows, so it takes a private key that the server was told of: one
made for this alone, not that of a tunnel in use (a handshake from here would move that tunnel
here for a moment). Without one a throwaway key is used, and silence says nothing. The message
behind meaningless datagrams is the comparison, as for OpenVPN: the server passes over those.

Source: the WireGuard paper, section 5.4 (see `probe/wireguard.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from probe import wireguard
from probe.analysis.service_attempts import THROWAWAY
from probe.experiments import service
from probe.experiments.interface import Experiment, Net, Task
from probe.experiments.openvpn import PREFACE
from probe.experiments.operations import AppMessage
from probe.experiments.option import LIST
from probe.experiments.private_servers import MOST, Server, listed, read_server, visit
from probe.experiments.step_log import StepLog
from probe.experiments.web import look_at
from probe.model import Role, Steps

_KEYS = frozenset({"endpoint", "public_key", "private_key"})
_FRESH = 36


@dataclass(frozen=True, slots=True)
class Peer:
    """One server, its public key, and our private key if it was told of one."""

    server: Server
    public: bytes
    private: bytes | None

    @property
    def message(self) -> AppMessage:
        """A fresh initiation, and how its answer is known."""
        public, own = self.public, self.private
        mark = wireguard.public_of(own) if own is not None else b""

        def words(fresh: bytes, now: float) -> bytes:
            private = own if own is not None else fresh[_FRESH : _FRESH + wireguard.KEY_BYTES]
            return wireguard.initiation(public, private, fresh[:_FRESH], now)

        return AppMessage(
            "wireguard", words, lambda sent, heard: wireguard.answers(mark, sent, heard)
        )


def read_peer(entry: object) -> Peer | None:
    """One entry of the configuration, or None when it is none."""
    if not isinstance(entry, Mapping) or not set(entry) <= _KEYS:
        return None
    server = read_server(entry.get("endpoint"), default="udp")
    public = wireguard.read_key(entry.get("public_key"))
    private = wireguard.read_key(entry.get("private_key"))
    if server is None or server.transport != "udp" or public is None:
        return None
    if private is None and "private_key" in entry:
        return None
    return Peer(server, public, private)


def objection(options: Mapping[str, object]) -> str | None:
    """Say which peer cannot be used, and nothing of its keys."""
    found = listed(options, "peers")
    if found is None:
        return f"peers: a list of 1 to {MOST} tables with {', '.join(sorted(_KEYS))} expected"
    for number, entry in enumerate(found, start=1):
        if read_peer(entry) is None:
            return (
                f"peers: number {number} needs endpoint HOST:PORT and public_key; "
                "private_key may be there, nothing else"
            )
    return None


def peers(task: Task) -> list[tuple[str, Peer]]:
    """The configured servers, by the word they have in a record."""
    read = [read_peer(one) for one in listed(task.options, "peers") or ()]
    return [
        (f"peer {n}" if one.private is not None else f"peer {n} {THROWAWAY}", one)
        for n, one in enumerate(read, start=1)
        if one is not None
    ]


async def measure(task: Task, net: Net) -> Steps:
    """Ask each server once."""
    trail = StepLog()
    for what, peer in peers(task):
        trail.add(await visit(net, peer.server, what, peer.message))
    return trail.steps


async def confirm(task: Task, net: Net, seen: Steps) -> Steps:
    """Ask again, between the same question behind a preface, and between references."""
    trail = StepLog(seen)
    failed = {one.what for one in service.summaries(seen) if one.failure is not None}
    reference = task.references[0] if task.references else None
    await look_at(net, trail, reference)
    for what, peer in peers(task):
        if what in failed:
            behind = replace(peer.message, preface=PREFACE)
            trail.add(await visit(net, peer.server, what, behind), role=Role.HARMLESS)
            trail.add(await visit(net, peer.server, what, peer.message), try_=2)
            trail.add(await visit(net, peer.server, what, behind), role=Role.HARMLESS, try_=2)
    await look_at(net, trail, reference)
    return trail.steps


EXPERIMENT = Experiment(
    "wireguard",
    1,
    measure,
    confirm,
    service.wanted,
    service=True,
    objection=objection,
    takes={"peers": LIST},
)
