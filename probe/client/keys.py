"""The probe's keys: a separate one for each collector, so that collectors cannot link probes.

Keys are derived (HKDF, RFC 5869) from one random seed on this machine: without it they cannot be
linked, and removing the seed removes them all. Enrolments are stored beside it. With a `network`,
the key is for that network only, so that a collector cannot follow a volunteer from home to work.
"""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from probe import atomic_files
from probe.codec import key_id
from probe.i18n import _

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ProbeRole = Literal["probe", "control"]
SEED_BYTES = 32
_SEED_WAIT = 5.0


class KeysError(Exception):
    """The keys on this machine cannot be used; the message is one line for the user."""


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """Our enrolment at one collector.

    Attributes:
        collector_id: The collector's own id, which every signature includes.
        addresses: Its last addresses, for days on which its name does not resolve.
    """

    collector: str
    collector_id: str
    key_id: str
    role: ProbeRole = "probe"
    network: str = ""
    addresses: tuple[str, ...] = ()


class Identity(msgspec.Struct, frozen=True):
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
        """The key's short public identifier."""
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
        """Return our identity for a collector; the same inputs always give the same key."""
        network = network or ""
        seed = _derive(self._seed(), collector, role, network)
        identity = Identity(collector, role, seed, network=network)
        found = _read(self._file(identity))
        known = found is not None and found.key_id == identity.key_id
        return replace(identity, enrolment=found if known else None)

    def enrolled(self, enrolment: Enrolment) -> Identity | None:
        """Return the identity of a stored enrolment; None if its key is lost. Makes no seed."""
        if not (self._folder / "seed").exists():
            return None
        identity = self.identity(
            enrolment.collector, role=enrolment.role, network=enrolment.network or None
        )
        same = identity.key_id == enrolment.key_id
        return replace(identity, enrolment=enrolment) if same else None

    def remember(
        self, identity: Identity, collector_id: str, *, addresses: tuple[str, ...] = ()
    ) -> Identity:
        """Store an enrolment and return the identity with it."""
        enrolment = Enrolment(
            collector=identity.collector,
            collector_id=collector_id,
            key_id=identity.key_id,
            role=identity.role,
            network=identity.network,
            addresses=addresses,
        )
        if enrolment != identity.enrolment:
            with contextlib.suppress(OSError):  # full disk: a later upload enrols the key again
                atomic_files.write(self._file(identity), msgspec.json.encode(enrolment))
        return replace(identity, enrolment=enrolment)

    def forget(self, identity: Identity) -> Identity:
        """Delete the stored enrolment of an identity."""
        self._file(identity).unlink(missing_ok=True)
        return replace(identity, enrolment=None)

    def enrolments(self) -> tuple[Enrolment, ...]:
        """Return every stored enrolment."""
        files = sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ()
        return tuple(found for file in files if (found := _read(file)))

    def _file(self, identity: Identity) -> Path:
        return self._folder / f"{identity.key_id}.json"

    def _seed(self) -> bytes:
        file = self._folder / "seed"
        try:
            seed = file.read_bytes()
        except FileNotFoundError:
            return self._new_seed(file)
        except OSError as error:
            raise KeysError(f"{file}: {_(os.strerror(error.errno or 0))}") from error
        if len(seed) != SEED_BYTES:
            raise KeysError(
                _("{file}: {size} bytes, expected {expected}; delete it to make new keys").format(
                    file=file, size=len(seed), expected=SEED_BYTES
                )
            )
        return seed

    def _new_seed(self, file: Path) -> bytes:
        """Make the seed; of two processes at once, one makes it and both use it."""
        lock = atomic_files.Lock(self._folder / "lock")
        if not lock.wait(_SEED_WAIT):
            raise KeysError(
                _("{file}: another process is creating it; try again").format(file=file)
            )
        try:
            if not file.exists():
                atomic_files.write(file, secrets.token_bytes(SEED_BYTES))
            return file.read_bytes()
        finally:
            lock.release()


def _derive(seed: bytes, collector: str, role: str, network: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    # Hashed field by field, so that no two triples have the same label.
    fields = b"".join(hashlib.sha256(text.encode()).digest() for text in (collector, role, network))
    label = b"qazprobe-identity-v1" + fields
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=label).derive(seed)


def _read(file: Path) -> Enrolment | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Enrolment)
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return None
