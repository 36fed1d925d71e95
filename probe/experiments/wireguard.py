"""WireGuard: whether a server of the user's own configuration answers a handshake.

    [options.wireguard]
    peers = [{ endpoint = "192.0.2.4:51820", public_key = "…", private_key = "…" }]

A server answers only peers it knows, so it takes a private key whose public key the server has: one
made for this purpose, not that of a tunnel in use (a handshake from here would redirect that tunnel
here for a moment). Without one a throwaway key is used, and silence proves nothing. The message
behind random datagrams is the comparison, as for OpenVPN: the server ignores those.

Source: the WireGuard paper, section 5.4 (see `probe/wireguard.py`).
"""

from collections.abc import Mapping

from msgspec import Struct

from probe import wireguard
from probe.analysis.service_attempts import THROWAWAY
from probe.experiments.interface import Task
from probe.experiments.operations import AppMessage
from probe.experiments.private_servers import MOST, Server, listed, of_servers, read_server
from probe.i18n import _

_KEYS = frozenset({"endpoint", "public_key", "private_key"})
_FRESH_BYTES = 36


class WireguardPeer(Struct, frozen=True):
    """One server, its public key, and our private key if the server knows one."""

    server: Server
    public: bytes
    private: bytes | None

    @property
    def message(self) -> AppMessage:
        """A fresh initiation, and how its answer is recognised."""
        public, own = self.public, self.private
        mark = wireguard.public_of(own) if own is not None else b""

        def build(fresh: bytes, now: float) -> bytes:
            private = own
            if private is None:
                private = fresh[_FRESH_BYTES : _FRESH_BYTES + wireguard.KEY_BYTES]
            return wireguard.initiation(public, private, fresh[:_FRESH_BYTES], now)

        return AppMessage(
            "wireguard", build, lambda sent, received: wireguard.answers(mark, sent, received)
        )


def read_peer(entry: object) -> WireguardPeer | None:
    """Parse one entry of the configuration; None: invalid."""
    if not isinstance(entry, Mapping) or not set(entry) <= _KEYS:
        return None
    server = read_server(entry.get("endpoint"), default="udp")
    public = wireguard.read_key(entry.get("public_key"))
    private = wireguard.read_key(entry.get("private_key"))
    if server is None or server.transport != "udp" or public is None:
        return None
    if private is None and "private_key" in entry:
        return None
    return WireguardPeer(server, public, private)


def objection(options: Mapping[str, object]) -> str | None:
    """Name the first peer that cannot be used, without its keys."""
    found = listed(options, "peers")
    if found is None:
        return _("peers: a list of 1 to {most} tables with {keys} expected").format(
            most=MOST, keys=", ".join(sorted(_KEYS))
        )
    for number, entry in enumerate(found, start=1):
        if read_peer(entry) is None:
            return _(
                "peers: number {number} needs endpoint HOST:PORT and public_key; private_key is "
                "optional, other keys are not allowed"
            ).format(number=number)
    return None


def peers(task: Task) -> list[tuple[str, WireguardPeer]]:
    """The configured servers, by the word they have in a record."""
    read = [read_peer(one) for one in listed(task.options, "peers") or ()]
    return [
        (f"peer {n}" if one.private is not None else f"peer {n} {THROWAWAY}", one)
        for n, one in enumerate(read, start=1)
        if one is not None
    ]


def servers(task: Task) -> list[tuple[str, Server, AppMessage]]:
    """The configured servers, each with its message."""
    return [(what, peer.server, peer.message) for what, peer in peers(task)]


EXPERIMENT = of_servers("wireguard", "peers", servers, objection)
