"""Keys, invites, leases and the store's own id, as operations."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal, cast

from collector.store.interface import Execute, Operation, Query
from collector.store.rollup import unroll_key

KeyRole = Literal["probe", "control"]

_INVITE_PREFIX = "qaz1-"


@dataclass(frozen=True, slots=True)
class Key:
    """An enrolled key."""

    key_id: str
    public: bytes
    role: KeyRole


@dataclass(frozen=True, slots=True)
class NotEnrolled:
    """Why a key was not enrolled: a word for the counters and a message for the user."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ProbeNetwork:
    """The network on which a probe was last seen, as coarsely as it is stored."""

    country: str = "ZZ"
    asn: int = 0
    region: str = ""


def collector_id() -> Operation[str]:
    """The store's own random id, made on first use."""
    yield Execute("meta_add", [{"name": "collector_id", "value": secrets.token_hex(8)}])
    rows = yield Query("meta_get", {"name": "collector_id"})
    return str(rows[0][0])


def find_key(key_id: str) -> Operation[Key | None]:
    """An enrolled key by its id."""
    rows = yield Query("key_get", {"key_id": key_id})
    if not rows:
        return None
    return Key(rows[0][0], bytes(rows[0][1]), cast("KeyRole", rows[0][2]))


def new_invite() -> str:
    """The text of a fresh invite: 160 random bits."""
    return _INVITE_PREFIX + secrets.token_urlsafe(20)


def _hash(invite: str) -> str:
    return hashlib.sha256(invite.encode("utf-8", "surrogatepass")).hexdigest()


def add_invite(
    invite: str, role: KeyRole, *, uses: int, at: float, expires_at: float
) -> Operation[None]:
    """Store an invite by its hash."""
    params = {
        "hash": _hash(invite),
        "role": role,
        "uses": uses,
        "at": int(at),
        "expires_at": int(expires_at),
    }
    yield Execute("invite_add", [params])


def enrol(
    key: Key, invite: str | None, *, needs_invite: bool, at: float
) -> Operation[NotEnrolled | None]:
    """Enrol a key; an enrolled key changes nothing and uses up no invite."""
    known = yield from find_key(key.key_id)
    if known:
        if known.role == key.role:
            return None
        return NotEnrolled("role", f"this key is enrolled as {known.role}; make another key")
    if needs_invite:
        refusal = yield from _use_invite(invite, key.role, at)
        if refusal:
            return refusal
    params = {
        "key_id": key.key_id,
        "public_key": key.public,
        "role": key.role,
        "at": int(at) // 3600 * 3600,
    }
    yield Execute("key_add", [params])
    return None


def _use_invite(invite: str | None, role: KeyRole, at: float) -> Operation[NotEnrolled | None]:
    if not invite:
        return NotEnrolled("invite_missing", f"an invite for role {role} is needed")
    asked = {"hash": _hash(invite), "role": role, "at": int(at)}
    if (yield Query("invite_use", asked)):
        return None
    rows = yield Query("invite_get", {"hash": asked["hash"]})
    if not rows:
        return NotEnrolled("invite_unknown", "this invite is not known here")
    if rows[0][0] != role:
        return NotEnrolled("invite_role", f"this invite is for role {rows[0][0]}, not {role}")
    why = "used up" if rows[0][1] <= 0 else "expired"
    return NotEnrolled("invite_spent", f"this invite is {why}; ask for another")


def mark_seen(key_id: str, at: float, network: ProbeNetwork | None) -> Operation[None]:
    """Note to the hour that a key is alive, and on which network if that is known."""
    hour = int(at) // 3600 * 3600
    if network is None:
        yield Execute("key_alive", [{"key_id": key_id, "at": hour}])
        return
    yield Execute(
        "key_seen",
        [
            {
                "key_id": key_id,
                "at": hour,
                "country": network.country,
                "asn": network.asn,
                "region": network.region,
            }
        ],
    )


def erase(key_id: str) -> Operation[int]:
    """Erase a key, its records and its counts; return the number of records."""
    rows = yield Query("count_of", {"key_id": key_id})
    yield from unroll_key(key_id)
    which = [{"key_id": key_id}]
    for name in (
        "erase_certificates",
        "erase_forged",
        "erase_served",
        "erase_raw",
        "erase_observations",
        "erase_newest",
        "erase_votes",
        "erase_beats",
        "erase_series",
        "erase_measurements",
        "key_drop",
    ):
        yield Execute(name, which)
    return int(rows[0][0])


def take_lease(name: str, holder: str, *, now: float, seconds: float) -> Operation[bool]:
    """Take or renew a lease; whether the holder has it now."""
    params = {"name": name, "holder": holder, "until": now + seconds, "now": now}
    return bool((yield Query("lease_take", params)))


def release_lease(name: str, holder: str) -> Operation[None]:
    """Release the lease."""
    yield Execute("lease_drop", [{"name": name, "holder": holder}])
