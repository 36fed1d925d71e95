"""The volunteer's consent: asked in their language, recorded with date and version of the text.

Nothing is measured without it. The heartbeat, which tells a collector when this machine is on,
needs a separate consent. A change of the text's meaning needs a new `VERSION`; consent to an older
version does not cover it.
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


class ConsentText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All texts about consent, in one language."""

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


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded consent.

    Attributes:
        version: Version of the text. at: RFC 3339, UTC. language: Language of the text.
    """

    version: int
    at: str
    language: str
    heartbeat: bool = False

    @property
    def current(self) -> bool:
        """Whether it covers the current text."""
        return self.version == VERSION


def language(chosen: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the language to ask in: the chosen one, else the user's first that is available."""
    # In the order in which POSIX lets them override each other.
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    found = (*environ.get("LANGUAGE", "").split(":"), *(environ.get(name, "") for name in names))
    wanted = [code[:2].lower() for code in found if code]
    return chosen or next((code for code in wanted if code in LANGUAGES), "en")


def text(code: str) -> ConsentText:
    """Read the texts of one language."""
    toml = files("probe").joinpath("locale", f"{code}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(toml), ConsentText)


def refusal(given: Consent | None, text: ConsentText) -> str:
    """Return the message for a user without valid consent."""
    return text.missing if given is None else text.outdated.format(date=given.at[:10])


def read(state: Path) -> Consent | None:
    """Return the recorded consent; None if there is none or the file is unreadable."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=Consent)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def record(state: Path, code: str, *, heartbeat: bool) -> Consent:
    """Record consent with the current time."""
    moment = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    given = Consent(version=VERSION, at=moment, language=code, heartbeat=heartbeat)
    atomic_files.write(state / FILE, msgspec.json.encode(given) + b"\n")
    return given


def withdraw(state: Path) -> None:
    """Delete the recorded consent."""
    (state / FILE).unlink(missing_ok=True)
