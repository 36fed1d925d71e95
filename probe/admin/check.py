"""The result of one check of `qazprobe doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """The result of one check."""

    FINE = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, its result, and how to fix the problem."""

    name: str
    state: CheckState
    message: str
    fix: str = ""
