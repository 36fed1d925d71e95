"""The recorded consent: what every part that measures or sends looks at before it does.

The texts and the questions are in `probe/admin/consent.py`. A change of the text's meaning needs a
new `VERSION`; consent to an older version does not cover it.
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from probe import atomic_files

VERSION = 2
FILE = "consent.json"


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded consent.

    Attributes:
        version: Version of the text. at: RFC 3339, UTC. language: Language of the text.
        id: Random, never sent. It tells a consent from another one that was given after it.
        risks: By name, the date on which a risk of its own was accepted.
    """

    version: int
    at: str
    language: str
    heartbeat: bool = False
    id: str = ""
    risks: dict[str, str] = {}

    @property
    def current(self) -> bool:
        """Whether it covers the current text."""
        return self.version == VERSION


def now() -> str:
    """Return the current time as it is recorded."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def new(code: str, *, heartbeat: bool = False) -> Consent:
    """Make a consent of this moment; it is not recorded yet."""
    made = secrets.token_hex(8)
    return Consent(version=VERSION, at=now(), language=code, heartbeat=heartbeat, id=made)


def read(state: Path) -> Consent | None:
    """Return the recorded consent; None if there is none or the file is unreadable."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=Consent)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def write(state: Path, given: Consent) -> None:
    """Record a consent in place of the earlier one."""
    atomic_files.write(state / FILE, msgspec.json.encode(given) + b"\n")


def record(state: Path, code: str, *, heartbeat: bool) -> Consent:
    """Record a new consent with the current time."""
    given = new(code, heartbeat=heartbeat)
    write(state, given)
    return given


def accept_risks(state: Path, given: Consent, names: tuple[str, ...]) -> None:
    """Add accepted risks to the recorded consent, unless it was withdrawn meanwhile."""
    found = read(state)
    if found is not None and found.id == given.id:
        write(state, replace(found, risks={**found.risks, **dict.fromkeys(names, now())}))


def withdraw(state: Path) -> None:
    """Delete the recorded consent."""
    (state / FILE).unlink(missing_ok=True)
