"""Keys, invites, leases and the store's own id, as operations."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from collector.places import PLACE_SECONDS, UNKNOWN, NetworkKey, RequestOrigin
from collector.standing import INVITED, OPEN, OWN
from collector.store import event_places, exports
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


def hold(key_id: str) -> Operation[bool]:
    """Lock an enrolled key until the end of the transaction; False when it is not enrolled."""
    return bool((yield Query("key_hold", {"key_id": key_id})))


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


def branch_of(invite: str) -> str:
    """The short name of the keys that an invite enrols; it says nothing about the invite."""
    return _hash(invite)[:12]


def enrol(
    key: Key,
    invite: str | None,
    *,
    needs_invite: bool,
    at: float,
    origin: RequestOrigin | None = None,
) -> Operation[NotEnrolled | None]:
    """Enrol a key; an enrolled key uses up no invite, except a stranger that now has one."""
    known = yield from find_key(key.key_id)
    if known and known.role != key.role:
        return NotEnrolled("role", f"this key is enrolled as {known.role}; make another key")
    if known and not (invite and (yield from _is_stranger(key.key_id))):
        return None
    refusal = yield from _use_invite(invite, key.role, at)
    branch = branch_of(invite) if invite and refusal is None else ""
    if known:
        if branch:
            yield Execute("key_vouch", [{"key_id": key.key_id, "branch": branch}])
            yield Execute("exclusion_inherit", [{"key_id": key.key_id, "branch": branch}])
        return None
    if refusal and needs_invite:
        return refusal
    yield from _add_key(key, branch, origin or RequestOrigin(), at)
    return None


def _is_stranger(key_id: str) -> Operation[bool]:
    rows = yield Query("key_way", {"key_id": key_id})
    return bool(rows) and rows[0][0] == OPEN


def _add_key(key: Key, branch: str, origin: RequestOrigin, at: float) -> Operation[None]:
    way = INVITED if branch else OPEN
    # Its operator measures from the same machine first; others may follow behind a
    # proxy that the collector cannot see.
    if not branch and origin.own and not (yield Query("own_key")):
        way = OWN
    params = {
        "key_id": key.key_id,
        "public_key": key.public,
        "role": key.role,
        "at": int(at) // 3600 * 3600,
        "way": way,
        "branch": branch,
        "origin": origin.prefix,
    }
    yield Execute("key_add", [params])
    yield Execute("exclusion_inherit", [{"key_id": key.key_id, "branch": branch}])
    if origin.country or origin.asn:
        here = (origin.country or "ZZ", origin.asn or 0)
        yield from note_places(key.key_id, [here], origin.prefix, at)


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


def add_source(key_id: str) -> Operation[None]:
    """Note a source that the operator imports: its votes count, though it has no enrolment."""
    yield Execute("source_add", [{"key_id": key_id}])


def places_of(key_id: str, now: float) -> Operation[list[NetworkKey]]:
    """The networks on which connections showed a key within the last weeks."""
    rows = yield Query("places_of", {"key_id": key_id, "since": int(now - PLACE_SECONDS)})
    return [(row[0], row[1]) for row in rows]


def note_places(
    key_id: str, networks: Iterable[NetworkKey], origin: str, at: float
) -> Operation[None]:
    """Note that a connection from this origin showed a key on these networks, to the hour."""
    hour = int(at) // 3600 * 3600
    rows = [
        {"key_id": key_id, "country": country, "asn": asn, "origin": origin, "at": hour}
        for country, asn in sorted(networks)
        if (country, asn) != UNKNOWN
    ]
    yield Execute("place_put", rows)


def erase(key_id: str, now: float, *, counted: bool = True) -> Operation[int]:
    """Erase a key, its records and its counts; return the number of records.

    Args:
        counted: Whether its looks had a vote in events. Those of a stranger had none, so no event
            lacks them.
    """
    yield from hold(key_id)
    waiting = yield from _erase_waiting(key_id)
    rows = yield Query("count_of", {"key_id": key_id})
    yield from unroll_key(key_id)
    if counted:
        yield from event_places.note_erasure(key_id, now)
    yield from exports.note_erased(key_id, now)
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
        "erase_places",
        "erase_looks",
        "erase_conduct",
        "erase_exclusions",
        "erase_originals",
        "erase_set_aside",
        "erase_measurements",
        "key_drop",
    ):
        yield Execute(name, which)
    return int(rows[0][0]) + waiting


def _erase_waiting(key_id: str) -> Operation[int]:
    """Erase what waits to be judged; return the number of records."""
    which = {"key_id": key_id}
    # First this: it takes the batches from the workers that judge them.
    yield Execute("batch_seize", [which])
    rows = yield Query("waiting_count", which)
    for name in ("erase_bodies", "erase_waiting", "erase_batches"):
        yield Execute(name, [which])
    return int(rows[0][0])


def noted(name: str) -> Operation[str]:
    """What was noted under a name; empty when nothing was."""
    rows = yield Query("meta_get", {"name": name})
    return str(rows[0][0]) if rows else ""


def note(name: str, value: str) -> Operation[None]:
    """Note something about the store."""
    yield Execute("meta_put", [{"name": name, "value": value}])


def take_lease(name: str, holder: str, *, now: float, seconds: float) -> Operation[bool]:
    """Take or renew a lease; whether the holder has it now."""
    params = {"name": name, "holder": holder, "until": now + seconds, "now": now}
    return bool((yield Query("lease_take", params)))


def release_lease(name: str, holder: str) -> Operation[None]:
    """Release the lease."""
    yield Execute("lease_drop", [{"name": name, "holder": holder}])
