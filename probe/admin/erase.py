"""Remove what this program keeps on this machine and what collectors keep of its records.

Rule: only files that this program made are removed, by name; a user's `$QAZPROBE_HOME` may hold
other files, which are listed and kept. Of a collector that cannot be reached, exactly what is
needed to ask it again is kept: its address, and the key that proves the records ours.
"""

import asyncio
import base64
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from probe import atomic_files, paths, permission
from probe.client import endpoint
from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.endpoint import CollectorEndpoint, EndpointError
from probe.client.keys import Enrolment, Identity, Keys, KeysError
from probe.i18n import _
from probe.paths import Home

PENDING = "erasure.json"
# Every file that any module writes; a test compares this list with the modules.
FILES = (
    "bugs.log",
    "bugs.old.log",
    "bulk.json",
    "categories.json",
    "cautions.json",
    "consent.json",
    PENDING,
    "heartbeat.json",
    "heartbeat.lock",
    "held.jsonl",
    "networks.json",
    "networks.key",
    "qazprobe.toml",
    paths.LOCK,
    "published.jsonl",
    "throughput.json",
)
FOLDERS = ("keys", "results", "spool", "lists", permission.FOLDER)
# HTTP statuses of a collector that has no records of ours: unknown key, not found, already gone.
_NO_RECORDS = frozenset({401, 404, 410})


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to ask one collector to delete our records; kept until it did.

    Attributes:
        key: Our private key for this collector alone, base64; None if it is lost.
        pin, lab, ca_file: How the collector is authenticated, from the configuration.
    """

    enrolment: Enrolment
    key: str | None = None
    pin: str | None = None
    lab: bool = False
    ca_file: str | None = None

    @property
    def url(self) -> str:
        """The collector."""
        return self.enrolment.collector

    def identity(self) -> Identity | None:
        """Return our identity at the collector, or None if the key is lost."""
        known = self.enrolment
        if self.key is None:
            return None
        seed = base64.b64decode(self.key)
        return Identity(known.collector, known.role, seed, known, known.network)

    def endpoint(self) -> CollectorEndpoint:
        """Return the collector's endpoint; `EndpointError` if its address is not usable."""
        ca_file = Path(self.ca_file) if self.ca_file else None
        return endpoint.parse(self.url, pin=self.pin, ca_file=ca_file, lab=self.lab)


class Answer(msgspec.Struct, frozen=True):
    """What came of asking one collector; `problem` is None if it deleted our records."""

    asking: Asking
    problem: str | None = None

    @property
    def retry(self) -> bool:
        """Whether asking again can help."""
        return self.problem is not None and self.asking.key is not None


def collectors_to_ask(
    state: Path, *, pins: Collection[str] = (), lab: bool = False, ca_file: str | None = None
) -> tuple[Asking, ...]:
    """Return every collector that may have records of ours, those of an earlier erasure first.

    Args:
        pins: URLs of configured collectors, which may have a pin.
    """
    found = {one.enrolment.key_id: one for one in _pending(state)}
    if lab:
        found = {key: replace(one, lab=True, ca_file=ca_file) for key, one in found.items()}
    keys = Keys(state)
    pinned = _pins(pins)
    for enrolment in keys.enrolments():
        found.setdefault(
            enrolment.key_id,
            Asking(
                enrolment=enrolment,
                key=_key(keys, enrolment),
                pin=pinned.get(enrolment.collector),
                lab=lab,
                ca_file=ca_file,
            ),
        )
    return tuple(found.values())


def _pins(urls: Collection[str]) -> dict[str, str | None]:
    """Return the pin of each configured collector that has one; unusable URLs are left out."""
    found: dict[str, str | None] = {}
    for url in urls:
        try:
            parsed = endpoint.parse(url, lab=True)
        except EndpointError:
            continue
        found[parsed.url] = parsed.pin
    return found


def _key(keys: Keys, enrolment: Enrolment) -> str | None:
    try:
        identity = keys.enrolled(enrolment)
    except KeysError:
        return None
    return base64.b64encode(identity.seed).decode() if identity is not None else None


def _pending(state: Path) -> tuple[Asking, ...]:
    try:
        return msgspec.json.decode((state / PENDING).read_bytes(), type=tuple[Asking, ...])
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return ()


def keep(state: Path, asked: Sequence[Asking]) -> None:
    """Keep what is needed to ask these collectors again; nothing if there are none."""
    if asked:
        atomic_files.write(state / PENDING, msgspec.json.encode(asked) + b"\n")
    else:
        (state / PENDING).unlink(missing_ok=True)


def ask(asked: Sequence[Asking]) -> tuple[Answer, ...]:
    """Ask all collectors at once to delete our records."""

    async def all_of_them() -> list[Answer]:
        return await asyncio.gather(*(_ask(one) for one in asked))

    return tuple(asyncio.run(all_of_them()))


async def _ask(asking: Asking) -> Answer:
    try:
        identity, there = asking.identity(), asking.endpoint()
        if identity is None:
            return Answer(
                asking,
                _("{url}: the key that proves the records yours is lost").format(url=asking.url),
            )
        async with CollectorClient(there, identity) as client:
            await client.erase()
    except CollectorRefused as error:
        if error.status not in _NO_RECORDS:
            return Answer(asking, str(error))
    except (CollectorError, EndpointError, OSError, ValueError) as error:
        return Answer(asking, str(error))
    return Answer(asking)


def found(home: Home) -> list[Path]:
    """Return the files and folders to remove that exist."""
    roots = dict.fromkeys((home.state, home.config))
    named = (root / name for root in roots for name in (*FOLDERS, *FILES))
    return [path for path in named if path.is_symlink() or path.exists()]


def erase(paths: Sequence[Path], home: Home) -> list[Path]:
    """Remove these, then each folder if it is empty; return what is left in them."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    left: list[Path] = []
    for root in dict.fromkeys((home.state, home.config)):
        rest = sorted(root.iterdir()) if root.is_dir() else []
        left += rest
        if root.is_dir() and not rest:
            root.rmdir()
    return left
