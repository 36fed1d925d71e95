"""A volunteer's yes: asked in their language, recorded with its date and the version of the text.

Nothing is measured before it. The heartbeat, which tells a collector when this machine is on, has a
yes of its own. A new meaning of the text is a new `VERSION`, and an old yes does not cover it.
"""

import os
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from probe import atomic_files

VERSION = 1
FILE = "consent.json"
LANGUAGES = ("kk", "ru", "en")


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is said about consent, in one language."""

    text: str
    question: str
    heartbeat_text: str
    heartbeat_question: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    again: str
    agreed: str
    heartbeat_agreed: str
    declined: str
    withdrawn: str
    standing: str
    missing: str
    outdated: str
    allowed: str
    not_allowed: str


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded yes.

    Attributes:
        version: Of the text that was read. at: RFC 3339 in UTC. language: it was read in.
    """

    version: int
    at: str
    language: str
    heartbeat: bool = False

    @property
    def current(self) -> bool:
        """It covers the text as it is now."""
        return self.version == VERSION


def language(chosen: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """The language to ask in: the chosen one, else the first we have of the user's."""
    found = (environ.get("LANGUAGE", "").split(":"), *([environ.get(name, "")] for name in _NAMES))
    wanted = [code[:2].lower() for listed in found for code in listed if code]
    return chosen or next((code for code in wanted if code in LANGUAGES), "en")


# In the order in which POSIX lets them override each other.
_NAMES = ("LC_ALL", "LC_MESSAGES", "LANG")


def words(code: str) -> Words:
    """What is said in one language."""
    text = files("probe").joinpath("locale", f"{code}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Words)


def read(state: Path) -> Given | None:
    """The recorded yes, or None; a file that cannot be understood is no yes."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=Given)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def record(state: Path, code: str, *, heartbeat: bool) -> Given:
    """Record a yes, now."""
    moment = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    given = Given(version=VERSION, at=moment, language=code, heartbeat=heartbeat)
    atomic_files.write(state / FILE, msgspec.json.encode(given) + b"\n")
    return given


def withdraw(state: Path) -> None:
    """Take the yes back."""
    (state / FILE).unlink(missing_ok=True)
