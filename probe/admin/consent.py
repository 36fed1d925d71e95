"""The texts of consent: asked in the volunteer's language, with the real costs filled in.

Nothing is measured without consent. The heartbeat, which tells a collector when this machine is on,
needs a separate one. The record of it is in `probe/consent_record.py`.
"""

import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files

import msgspec

from probe import i18n
from probe.admin.timers import DAY, DEFAULT_PERIOD
from probe.consent_record import FILE, VERSION, Consent, read, record, withdraw
from probe.i18n import LANGUAGES
from probe.ordering import LIMITS
from probe.runner.daily_quota import DAILY_BYTES

__all__ = ["FILE", "LANGUAGES", "VERSION", "Consent", "read", "record", "withdraw"]


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
    waiting: str
    timers_question: str
    timers_removed: str
    timers_left: str
    ended: str
    discarded: str
    unsent: str
    risk_question: str
    risk_declined: str
    risk_script: str
    risks: dict[str, str]


def language(chosen: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the language to ask in: the chosen one, else the user's first that is available."""
    return i18n.language(chosen, environ)


def text(code: str) -> ConsentText:
    """Read the texts of one language."""
    toml = files("probe").joinpath("locale", f"{code}.toml").read_text(encoding="utf-8")
    found = msgspec.convert(tomllib.loads(toml), ConsentText)
    return msgspec.structs.replace(found, text=found.text.format(**costs()))


def refusal(given: Consent | None, text: ConsentText) -> str:
    """Return the message for a user without valid consent."""
    return text.missing if given is None else text.outdated.format(date=given.at[:10])


def costs() -> dict[str, int]:
    """Return the numbers of the text, from the limits that the program keeps to."""
    full = LIMITS["full"]
    return {
        "run_megabytes": full.bytes // 1_000_000,
        "run_minutes": int(full.seconds) // 60,
        "timer_hours": DEFAULT_PERIOD // 3600,
        "day_megabytes": DAY // DEFAULT_PERIOD * full.bytes // 1_000_000,
        "speed_megabytes": DAILY_BYTES // 1_000_000,
    }
