"""Authentication: an enrolled key's signature over the bytes as they were sent.

Rule: a body is read only when its key is known, and inflated and parsed only when its signature has
been verified.
"""

import base64
import binascii
import re

from aiohttp import web

from collector.api.http import Refused, read_body
from collector.service import SERVICE, Service
from collector.store import keys
from collector.store.keys import Key, KeyRole
from probe import codec

CLOCK_SECONDS = 14 * 86400.0
# From this size on a signature is verified in the worker thread.
_LARGE = 128 * 1024
_KEY_ID = re.compile(r"[0-9a-f]{32}")
_CREATED = re.compile(r"[0-9]{1,12}")


async def signed_body(
    request: web.Request, *, limit: int, role: KeyRole | None = None
) -> tuple[Key, bytes]:
    """The key that signed a request, and its body.

    Raises:
        Refused: It is not signed, by no enrolled key, or by a key in another role.
    """
    service = request.app[SERVICE]
    created = _created(request, service.clock())
    key = await _key(request, service)
    if role is not None and key.role != role:
        raise Refused(403, "role", f"only a {role} may ask this; this key is a {key.role}'s")
    wait = service.by_key.take(key.key_id)
    if wait:
        raise Refused(429, "rate_key", "too many requests; try again later", retry_after=wait)
    body = await read_body(request, limit)
    await _verify(request, service, key, created, body)
    return key, body


def _created(request: web.Request, now: float) -> str:
    text = request.headers.get("Qaz-Created", "")
    if not _CREATED.fullmatch(text):
        raise Refused(401, "unsigned", "Qaz-Created: Unix time in whole seconds expected")
    if abs(int(text) - now) > CLOCK_SECONDS:
        raise Refused(401, "clock", f"Qaz-Created is too far from the collector's time, {int(now)}")
    return text


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


async def _verify(
    request: web.Request, service: Service, key: Key, created: str, body: bytes
) -> None:
    try:
        signature = base64.b64decode(request.headers.get("Qaz-Signature", ""), validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    collector_id = service.store.collector_id
    path = request.raw_path

    def check() -> bool:
        message = codec.signed_bytes(collector_id, request.method, path, created, body)
        return is_signed(key.public, signature, message)

    fits = await service.run_in_worker(check) if len(body) > _LARGE else check()
    if not fits:
        raise Refused(401, "signature", "signature does not fit the key and these bytes")


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether this Ed25519 key signed this message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
