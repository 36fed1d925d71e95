"""The result of one check of `qazprobe doctor`."""

from enum import StrEnum

from msgspec import Struct


class CheckState(StrEnum):
    """The result of one check."""

    FINE = "ok"
    NOTE = "note"
    BAD = "bad"


class Check(Struct, frozen=True):
    """One check: its name, its result, and how to fix the problem."""

    name: str
    state: CheckState
    message: str
    fix: str = ""
