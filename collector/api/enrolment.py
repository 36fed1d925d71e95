"""POST /v1/enroll and DELETE /v1/probes/me: enrol a key, and erase one with all its data."""

import base64
import binascii

import msgspec
from aiohttp import web

from collector import conduct
from collector.api.auth import (
    SignedRequest,
    is_signed,
    mark_of,
    seconds_of,
    signed_request,
    timely,
)
from collector.api.ed25519_keys import is_weak
from collector.api.http import SMALL_BODY, Refused, answer, read_json
from collector.places import RequestOrigin
from collector.service import SERVICE, Service
from collector.store import Operation, keys, replays
from collector.store.keys import Key, NotEnrolled
from probe import codec
from probe.api_types import EnrolReply, EnrolRequest

_KEY_BYTES = 32
_INVITE_LIMIT = 200
# How long the reply to an erasure waits for readers of what is erased.
_SCRUB_SECONDS = 5.0


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
    if asked.created is not None:
        timely(asked.created, service.clock())
    key = _proven(asked)
    await _enrol(service, key, asked, service.origin(request))
    reply = EnrolReply(key_id=key.key_id, collector_id=service.store.collector_id)
    return answer(reply)


def _proven(asked: EnrolRequest) -> Key:
    """The key, after proof that the client has its private half."""
    public, proof = _bytes(asked.key), _bytes(asked.proof)
    if len(public) != _KEY_BYTES:
        raise Refused(400, "malformed", "key: base64 of a raw Ed25519 public key expected")
    if is_weak(public):
        raise Refused(
            400, "weak_key", "key: it is of small order, so every client could sign with it"
        )
    if asked.invite is not None and len(asked.invite) > _INVITE_LIMIT:
        raise Refused(400, "malformed", f"invite: at most {_INVITE_LIMIT} characters expected")
    if not is_signed(public, proof, _signed_bytes(public, asked)):
        raise Refused(401, "signature", "proof does not fit the key")
    return Key(codec.key_id(public), public, asked.role)


def _signed_bytes(public: bytes, asked: EnrolRequest) -> bytes:
    return codec.enrol_bytes(public, asked.invite, asked.role, asked.created)


async def _enrol(service: Service, key: Key, asked: EnrolRequest, origin: RequestOrigin) -> None:
    known = await service.store.read(keys.find_key(key.key_id))
    if known is None and service.settings.enrolment == "closed":
        raise Refused(403, "closed", "this collector takes no new keys")
    # All verdicts rely on controls, so a control always needs an invite.
    needed = service.settings.enrolment == "token" or key.role == "control"
    at = service.clock()
    enrolment = keys.enrol(key, asked.invite, needs_invite=needed, at=at, origin=origin)
    refused = await service.store.write(_once(key, asked, enrolment))
    if refused:
        status = 409 if refused.reason == "role" else 403
        raise Refused(status, refused.reason, refused.message)


def _once(
    key: Key, asked: EnrolRequest, operation: Operation[NotEnrolled | None]
) -> Operation[NotEnrolled | None]:
    """Part of one transaction: an enrolment whose proof was not used before.

    A proof without a time is the same in every attempt of a probe, so it may come again while the
    key is enrolled; it does not bring an erased key back.
    """
    mark = mark_of(key, _signed_bytes(key.public, asked))
    if asked.created is not None:
        yield from replays.once(mark, seconds_of(asked.created))
        return (yield from operation)
    known = yield from keys.find_key(key.key_id)
    refused = yield from operation
    if refused is None and not (yield from replays.for_ever(mark)) and known is None:
        raise replays.Replayed
    return refused


async def delete_me(request: web.Request) -> web.Response:
    """Erase a key and all its data."""
    service = request.app[SERVICE]
    signed = await signed_request(request, limit=SMALL_BODY)
    lab = service.settings.lab
    erased = await service.store.write(_erase(signed, service.clock(), lab=lab))
    service.forget_key(signed.key.key_id)
    service.monitor.forget()
    service.snapshots.touch()
    await service.scrubbing.scrub(_SCRUB_SECONDS)
    return answer(Erased(erased=erased))


def _erase(signed: SignedRequest, now: float, *, lab: bool) -> Operation[int]:
    yield from signed.accept()
    key_id = signed.key.key_id
    # A stranger who erases his key must not make events complete anew: nothing would take back a
    # false one of others any more.
    counted = yield from conduct.counts(key_id, now, lab=lab)
    return (yield from keys.erase(key_id, now, counted=counted))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
