"""The internet's servers for Telegram (MTProto), OpenVPN and WireGuard.

Each answers the first message of a probe as a real server would, and nothing after it.
"""

import hashlib
import os
import socket
import struct

from probe import wireguard
from probe.lab import sockets
from probe.lab.resolvers import serve_udp, udp_socket
from probe.lab.scenario import LabSite
from probe.lab.topology import Topology

# Keys of the lab only: that of all its WireGuard servers, and that of the one peer they accept.
SERVER_KEY = hashlib.sha256(b"qazprobe lab: the key of a server").digest()
PEER_KEY = hashlib.sha256(b"qazprobe lab: the key of a peer").digest()

_DATAGRAMS = {"openvpn", "wireguard"}


def start(topology: Topology) -> None:
    """Serve OpenVPN and WireGuard over UDP at the addresses of their sites."""
    bound: dict[str, list[socket.socket]] = {}
    for placed in topology.sites.values():
        site = placed.site
        if site.speaks in _DATAGRAMS:
            bound.setdefault(site.speaks, []).extend(
                udp_socket(address, port) for address in placed.v4 for port in site.ports
            )
    if "openvpn" in bound:
        serve_udp(bound["openvpn"], lambda data, _: openvpn(data))
    if "wireguard" in bound:
        serve_udp(bound["wireguard"], lambda data, _: respond(data))


def speak(connection: socket.socket, site: LabSite) -> None:
    """Serve one TCP connection to an MTProto or OpenVPN server."""
    if site.speaks == "mtproto":
        answer = mtproto(sockets.read_exactly(connection, 48))
    else:
        size = int.from_bytes(sockets.read_exactly(connection, 2), "big")
        reply = openvpn(sockets.read_exactly(connection, size))
        answer = struct.pack("!H", len(reply)) + reply if reply else None
    if answer is not None:
        connection.sendall(answer)
    sockets.silence(connection, 1.0)


def mtproto(question: bytes) -> bytes | None:
    """`resPQ` to `req_pq_multi` in the intermediate transport."""
    if len(question) < 48 or question[:4] != b"\xee" * 4:
        return None
    nonce, own = question[32:48], os.urandom(16)
    pq = b"\x08" + os.urandom(8) + bytes(3)
    keys = struct.pack("<Iiq", 0x1CB5C415, 1, 0x0BADC0DE)
    text = struct.pack("<I", 0x05162463) + nonce + own + pq + keys
    body = struct.pack("<qqi", 0, 1 << 34 | 1, len(text)) + text
    return struct.pack("<i", len(body)) + body


def openvpn(packet: bytes) -> bytes | None:
    """P_CONTROL_HARD_RESET_SERVER_V2 to …_CLIENT_V2; None for everything else."""
    if len(packet) != 14 or packet[0] >> 3 != 7:
        return None
    acknowledged = b"\x01" + bytes(4) + packet[1:9]
    return bytes((8 << 3,)) + os.urandom(8) + acknowledged + bytes(4)


def respond(message: bytes) -> bytes | None:
    """The response to a WireGuard initiation by the known peer; None for others."""
    from cryptography.exceptions import InvalidTag

    own = wireguard.public_of(SERVER_KEY)
    if len(message) != wireguard.INITIATION_BYTES or message[:4] != b"\x01\x00\x00\x00":
        return None
    if wireguard.mac1(own, message[:116]) != message[116:132]:
        return None
    try:
        return _respond(message, own)
    except InvalidTag:
        return None


def _respond(message: bytes, own: bytes) -> bytes | None:
    theirs, static, stamp = message[8:40], message[40:88], message[88:116]
    state = wireguard.start(own)
    state = wireguard.HandshakeState(wireguard.derive(state.chain, theirs, 1)[0], state.hash).mixed(
        theirs
    )
    state, key = state.keyed(wireguard.agree(SERVER_KEY, theirs))
    peer = _open(key, static, state.hash)
    if peer != wireguard.public_of(PEER_KEY):
        return None
    state, key = state.mixed(static).keyed(wireguard.agree(SERVER_KEY, peer))
    _open(key, stamp, state.hash)
    return _response(state.mixed(stamp), message[4:8], theirs, peer)


def _response(state: wireguard.HandshakeState, index: bytes, theirs: bytes, peer: bytes) -> bytes:
    ephemeral = os.urandom(wireguard.KEY_BYTES)
    public = wireguard.public_of(ephemeral)
    state = wireguard.HandshakeState(wireguard.derive(state.chain, public, 1)[0], state.hash).mixed(
        public
    )
    state = state.chained(wireguard.agree(ephemeral, theirs))
    state = state.chained(wireguard.agree(ephemeral, peer))
    chain, mixed, key = wireguard.derive(state.chain, bytes(wireguard.KEY_BYTES), 3)
    state = wireguard.HandshakeState(chain, state.hash).mixed(mixed)
    nothing = wireguard.seal(key, b"", state.hash)
    body = b"\x02\x00\x00\x00" + os.urandom(4) + index + public + nothing
    return body + wireguard.mac1(peer, body) + bytes(16)


def _open(key: bytes, sealed: bytes, beside: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key).decrypt(bytes(12), sealed, beside)
