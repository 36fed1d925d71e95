"""POST /v1/enroll and DELETE /v1/probes/me: enrol a key, and erase one with all its data."""

import base64
import binascii

import msgspec
from aiohttp import web

from collector.api.auth import SignedRequest, is_signed, signed_request
from collector.api.http import SMALL_BODY, Refused, answer, read_json
from collector.places import RequestOrigin
from collector.service import SERVICE, Service
from collector.store import Operation, keys
from collector.store.keys import Key
from probe import codec
from probe.api_types import EnrolReply, EnrolRequest

_KEY_BYTES = 32
_INVITE_LIMIT = 200


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """The number of erased records."""

    erased: int


async def post_enroll(request: web.Request) -> web.Response:
    """Enrol a key, if the settings of this collector allow it."""
    service = request.app[SERVICE]
    wait = service.must_wait(request, service.by_enrolment)
    if wait:
        raise Refused(429, "rate_enrol", "too many new keys; try again later", retry_after=wait)
    asked = await read_json(request, EnrolRequest)
    key = _proven(asked)
    await _enrol(service, key, asked.invite, service.origin(request))
    reply = EnrolReply(key_id=key.key_id, collector_id=service.store.collector_id)
    return answer(reply)


def _proven(asked: EnrolRequest) -> Key:
    """The key, after proof that the client has its private half."""
    public, proof = _bytes(asked.key), _bytes(asked.proof)
    if len(public) != _KEY_BYTES:
        raise Refused(400, "malformed", "key: base64 of a raw Ed25519 public key expected")
    if asked.invite is not None and len(asked.invite) > _INVITE_LIMIT:
        raise Refused(400, "malformed", f"invite: at most {_INVITE_LIMIT} characters expected")
    if not is_signed(public, proof, codec.enrol_bytes(public, asked.invite, asked.role)):
        raise Refused(401, "signature", "proof does not fit the key")
    return Key(codec.key_id(public), public, asked.role)


async def _enrol(service: Service, key: Key, invite: str | None, origin: RequestOrigin) -> None:
    known = await service.store.read(keys.find_key(key.key_id))
    if known is None and service.settings.enrolment == "closed":
        raise Refused(403, "closed", "this collector takes no new keys")
    # All verdicts rely on controls, so a control always needs an invite.
    needed = service.settings.enrolment == "token" or key.role == "control"
    at = service.clock()
    enrolment = keys.enrol(key, invite, needs_invite=needed, at=at, origin=origin)
    refused = await service.store.write(enrolment)
    if refused:
        status = 409 if refused.reason == "role" else 403
        raise Refused(status, refused.reason, refused.message)


async def delete_me(request: web.Request) -> web.Response:
    """Erase a key and all its data."""
    service = request.app[SERVICE]
    signed = await signed_request(request, limit=SMALL_BODY)
    erased = await service.store.write(_erase(signed))
    service.forget_key(signed.key.key_id)
    service.monitor.forget()
    service.snapshots.touch()
    return answer(Erased(erased=erased))


def _erase(signed: SignedRequest) -> Operation[int]:
    yield from signed.accept()
    return (yield from keys.erase(signed.key.key_id))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
