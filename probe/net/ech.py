"""A ClientHello with a GREASE Encrypted ClientHello extension, and its answer.

Neither CPython nor OpenSSL 3 supports Encrypted ClientHello. But a browser without a key for a site
sends the extension with random bytes (GREASE: RFC 9849 section 6.2), and a server that does not
support it ignores it. So this is the default ClientHello plus that extension, otherwise equal byte
for byte: if the two are treated differently, the extension is the reason. The handshake cannot be
finished, because the two sides' transcripts differ; it ends with the server's first answer.
"""

import ssl
import struct
from contextlib import suppress
from hashlib import sha256
from os import urandom

from probe.failure import Failure
from probe.model import Tcp, Tls
from probe.net.alert import in_records
from probe.net.attempt import NetworkEvent, attempt
from probe.net.dial import ServerEndpoint, TargetContext, connected
from probe.net.hello import is_offerable, server_name
from probe.net.server_hello import ja3s_string
from probe.net.stream import Stream

EXTENSION = 0xFE0D
ENTROPY = 32 + 192 + 16
_OUTER = 0
_HKDF_SHA256, _AES_128_GCM = 0x0001, 0x0001
_RECORD, _HANDSHAKE = 5, 9
_ALERT, _HANDSHAKE_RECORD = 21, 22
_SERVER_HELLO = 2
_MAX_READ = 16384


async def measure_ech(
    target: TargetContext, destination: ServerEndpoint, limit: float | None
) -> tuple[Tcp, Tls | None]:
    """Connect, send the ClientHello, wait for the first answer, close."""
    async with connected(target, destination, limit) as (tcp, stream):
        if stream is None:
            return tcp, None
        allowed = target.session.timeouts.tls_limit(tcp.elapsed) if limit is None else limit
        return tcp, await _offer(target, destination, stream, allowed)


async def _offer(
    target: TargetContext, destination: ServerEndpoint, stream: Stream, limit: float
) -> Tls:
    at, received = target.now(), bytearray()
    hello = client_hello(target.session.tls_contexts.get("default"), server_name(destination.sni))
    sent = with_ech(hello, urandom(ENTROPY)) if hello else b""
    answered = await attempt(_first_answer(stream, sent, received), limit=limit)
    alert = in_records(bytes(received)) if answered.failure is Failure.SSL_HANDSHAKE else None
    return Tls(
        address=destination.address,
        port=destination.port,
        sni=destination.sni,
        hello=destination.hello,
        bytes_out=stream.bytes_out,
        bytes_in=len(received),
        alert=alert,
        alert_by="peer" if alert is not None else None,
        server_hello=ja3s_string(bytes(received)),
        failure=answered.failure,
        detail=answered.detail,
        at=at,
        elapsed=round(answered.elapsed, 6),
        limit=limit,
    )


async def _first_answer(stream: Stream, hello: bytes, received: bytearray) -> None:
    """Send, and read until a ServerHello begins; raises `NetworkEvent` for another answer."""
    if not hello:
        raise NetworkEvent(Failure.UNKNOWN, "not_a_host_name")
    await stream.write(hello)
    while len(received) < _RECORD + 2:
        data = await stream.read()
        if not data:
            raise NetworkEvent(Failure.EOF)
        received += data[:_MAX_READ]
    if received[0] != _HANDSHAKE_RECORD or received[_RECORD] != _SERVER_HELLO:
        raise NetworkEvent(Failure.SSL_HANDSHAKE, None if received[0] == _ALERT else "no_tls")


def client_hello(context: ssl.SSLContext, name: str | None) -> bytes:
    """The record that OpenSSL begins with; empty for a name that TLS cannot carry."""
    if name is not None and not is_offerable(name):
        return b""
    out = ssl.MemoryBIO()
    begun = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        begun.do_handshake()
    return out.read()


def with_ech(hello: bytes, entropy: bytes) -> bytes:
    """The ClientHello record with a GREASE ECH extension added at its end.

    Raises `ValueError` unless `hello` is one ClientHello in one record.
    """
    at = _extensions_at(hello)
    more = extension(entropy)
    inside = hello[at + 2 :] + more
    body = hello[_HANDSHAKE:at] + struct.pack("!H", len(inside)) + inside
    message = hello[_RECORD : _RECORD + 1] + len(body).to_bytes(3, "big") + body
    return hello[:3] + struct.pack("!H", len(message)) + message


def extension(entropy: bytes) -> bytes:
    """The `encrypted_client_hello` extension of an outer ClientHello (RFC 9849 section 5)."""
    if len(entropy) != ENTROPY:
        raise ValueError(f"{ENTROPY} random bytes were expected")
    key, payload = entropy[:32], entropy[32:]
    suite = struct.pack("!BHHB", _OUTER, _HKDF_SHA256, _AES_128_GCM, sha256(key).digest()[0])
    data = suite + struct.pack("!H", len(key)) + key + struct.pack("!H", len(payload)) + payload
    return struct.pack("!HH", EXTENSION, len(data)) + data


def _extensions_at(hello: bytes) -> int:
    """The offset of the extensions' length (RFC 8446 section 4.1.2)."""
    whole = len(hello) >= _HANDSHAKE + 35 and hello[0] == _HANDSHAKE_RECORD and hello[_RECORD] == 1
    if not whole or len(hello) != _RECORD + int.from_bytes(hello[3:5], "big"):
        raise ValueError("no ClientHello in one record")
    at = _HANDSHAKE + 34
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + (hello[at] if at < len(hello) else 0)
    if at + 2 > len(hello) or at + 2 + int.from_bytes(hello[at : at + 2], "big") != len(hello):
        raise ValueError("a ClientHello whose extensions are not its end")
    return at
