"""Authentication: an enrolled key's signature over the bytes as they were sent.

Rule: a body is read only when its key is known, and inflated and parsed only when its signature has
been verified. A request is carried out at most once, within minutes of its signing.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from aiohttp import web

from collector.api.ed25519_keys import is_weak
from collector.api.http import Refused, read_body
from collector.service import SERVICE, Service
from collector.store import Operation, keys, replays
from collector.store.keys import Key, KeyRole
from probe import codec

# From this size on a signature is verified in the worker thread.
_LARGE = 128 * 1024
_KEY_ID = re.compile(r"[0-9a-f]{32}")
_CREATED = re.compile(r"([0-9]{1,12})(\.[0-9]{1,9})?")
_MARK_BYTES = 16


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request with a valid signature.

    Attributes:
        created: When it was signed. mark: A hash of what was signed, different for each request.
    """

    key: Key
    body: bytes
    created: int
    mark: bytes

    def accept(self) -> Operation[None]:
        """Part of the transaction that carries the request out: not before, and for no erased key.

        Raises:
            Replayed: It was carried out before.
            Refused: The key was erased meanwhile.
        """
        if not (yield from keys.hold(self.key.key_id)):
            raise Refused(401, "unknown_key", "this key is not enrolled here any more")
        yield from replays.once(self.mark, self.created)


async def signed_body(
    request: web.Request, *, limit: int, role: KeyRole | None = None
) -> tuple[Key, bytes]:
    """The key that signed a request, and its body, for requests that write nothing themselves.

    Raises:
        Replayed, Refused: As `signed_request` and `accept` do.
    """
    signed = await signed_request(request, limit=limit, role=role)
    await request.app[SERVICE].store.write(signed.accept())
    return signed.key, signed.body


async def signed_request(
    request: web.Request, *, limit: int, role: KeyRole | None = None
) -> SignedRequest:
    """A request whose signature is valid; its `accept` is still to be run.

    Raises:
        Refused: It is not signed, by no enrolled key, or by a key in another role.
    """
    service = request.app[SERVICE]
    created = timely(request.headers.get("Qaz-Created", ""), service.clock())
    key = await _key(request, service)
    if role is not None and key.role != role:
        raise Refused(403, "role", f"only a {role} may ask this; this key is a {key.role}'s")
    wait = service.by_key.take(key.key_id)
    if wait:
        raise Refused(429, "rate_key", "too many requests; try again later", retry_after=wait)
    body = await read_body(request, limit)
    mark = await _verify(request, key, created, body)
    return SignedRequest(key, body, seconds_of(created), mark)


def timely(text: str, now: float) -> str:
    """A time of signing; `Refused` unless it is about now."""
    found = _CREATED.fullmatch(text)
    if found is None:
        raise Refused(401, "unsigned", "time of signing: Unix time in seconds expected")
    if abs(int(found[1]) - now) > replays.WINDOW:
        # A proxy may replace the header Date by its own.
        message = f"the time of signing is too far from the collector's time, {int(now)}"
        raise Refused(401, "clock", message, headers={"Qaz-Time": str(int(now))})
    return text


def seconds_of(created: str) -> int:
    """A time of signing without its fraction."""
    return int(created.partition(".")[0])


def mark_of(key: Key, message: bytes) -> bytes:
    """A hash of what a key signed."""
    return hashlib.sha256(key.key_id.encode() + message).digest()[:_MARK_BYTES]


async def _key(request: web.Request, service: Service) -> Key:
    key_id = request.headers.get("Qaz-Key", "")
    if not _KEY_ID.fullmatch(key_id):
        raise Refused(401, "unsigned", "Qaz-Key: an enrolled key's id expected")
    key = service.known_key(key_id)
    if key is None:
        key = await service.store.read(keys.find_key(key_id))
        if key is None:
            raise Refused(401, "unknown_key", "this key is not enrolled here; enrol it again")
        service.remember_key(key)
    return key


async def _verify(request: web.Request, key: Key, created: str, body: bytes) -> bytes:
    """The mark of a request whose signature is valid."""
    service = request.app[SERVICE]
    try:
        signature = base64.b64decode(request.headers.get("Qaz-Signature", ""), validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    collector_id, path = service.store.collector_id, request.raw_path

    def check() -> bytes | None:
        message = codec.signed_bytes(collector_id, request.method, path, created, body)
        if not is_signed(key.public, signature, message):
            return None
        return mark_of(key, message)

    mark = await service.run_in_worker(check) if len(body) > _LARGE else check()
    if mark is None:
        raise Refused(401, "signature", "signature does not fit the key and these bytes")
    return mark


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether this Ed25519 key signed this message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if is_weak(public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
