"""Who we are to each collector: a key of its own for each, so that no two can compare notes.

Keys are derived (HKDF, RFC 5869) from one random seed on this machine: nothing links them without
it, and removing the seed removes them all. What a collector said when it enrolled a key is kept
beside it. With a `network` given, the key is for that network only, so that a collector cannot
follow a volunteer from home to work.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from probe import atomic_files
from probe.codec import key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ProbeRole = Literal["probe", "control"]
SEED_BYTES = 32
_SEED_WAIT = 5.0


class KeysError(Exception):
    """The keys on this machine cannot be used; one line a person can act on."""


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What one collector knows of us.

    Attributes:
        collector_id: The name it gave itself, which every signature repeats.
        addresses: Where it was last reached, for days on which names do not resolve.
    """

    collector: str
    collector_id: str
    key_id: str
    role: ProbeRole = "probe"
    network: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Our key for one collector; `enrolment` is None until that collector knows it."""

    collector: str
    role: ProbeRole
    seed: bytes
    enrolment: Enrolment | None = None
    network: str = ""

    @property
    def public(self) -> bytes:
        """The raw public key."""
        return self._key().public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """The key's short public name."""
        return key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519."""
        return self._key().sign(message)

    def _key(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


class Keys:
    """The keys of this machine, in `home/keys`."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "keys"

    def identity(
        self, collector: str, *, role: ProbeRole = "probe", network: str | None = None
    ) -> Identity:
        """Our identity for a collector: made on first use, the same ever after."""
        where = network or ""
        seed = _derive(self._seed(), collector, role, where)
        blank = Identity(collector, role, seed, network=where)
        return replace(blank, enrolment=self._enrolment(blank))

    def remember(
        self, identity: Identity, collector_id: str, *, addresses: tuple[str, ...] = ()
    ) -> Identity:
        """Keep what a collector said when it enrolled us."""
        enrolment = Enrolment(
            collector=identity.collector,
            collector_id=collector_id,
            key_id=identity.key_id,
            role=identity.role,
            network=identity.network,
            addresses=addresses,
        )
        if enrolment != identity.enrolment:
            atomic_files.write(self._file(identity), msgspec.json.encode(enrolment))
        return replace(identity, enrolment=enrolment)

    def forget(self, identity: Identity) -> Identity:
        """Drop an enrolment that its collector no longer knows."""
        self._file(identity).unlink(missing_ok=True)
        return replace(identity, enrolment=None)

    def enrolments(self) -> tuple[Enrolment, ...]:
        """Every collector that knows a key of ours."""
        files = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ()
        return tuple(found for file in files if (found := _read(file)))

    def _enrolment(self, identity: Identity) -> Enrolment | None:
        found = _read(self._file(identity))
        return found if found and found.key_id == identity.key_id else None

    def _file(self, identity: Identity) -> Path:
        return self._folder / f"{identity.key_id}.json"

    def _seed(self) -> bytes:
        file = self._folder / "seed"
        try:
            seed = file.read_bytes()
        except FileNotFoundError:
            return self._new_seed(file)
        except OSError as error:
            raise KeysError(f"{file}: {os.strerror(error.errno or 0)}") from error
        if len(seed) != SEED_BYTES:
            raise KeysError(f"{file}: {len(seed)} bytes, expected {SEED_BYTES}; remove it to renew")
        return seed

    def _new_seed(self, file: Path) -> bytes:
        """Make the seed; of two processes that do so at once, one wins and both use its seed."""
        lock = atomic_files.Lock(self._folder / "lock")
        if not lock.wait(_SEED_WAIT):
            raise KeysError(f"{file}: is being made by another process; try again")
        try:
            if not file.exists():
                atomic_files.write(file, secrets.token_bytes(SEED_BYTES))
            return file.read_bytes()
        finally:
            lock.release()


def _derive(seed: bytes, collector: str, role: str, network: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # Hashed field by field, so that no two triples can spell the same label.
    fields = b"".join(hashlib.sha256(text.encode()).digest() for text in (collector, role, network))
    label = b"qazprobe-identity-v1" + fields
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=label).derive(seed)


def _read(file: Path) -> Enrolment | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Enrolment)
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return None
