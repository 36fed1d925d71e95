"""The values that an experiment's own settings may have, each with its description for an error.

A run does not start with an invalid option: the user would rely on a limit that is not there.
Values are never repeated in an error: some of them are keys.
"""

from collections.abc import Callable

from msgspec import Struct

from probe.compare import is_address
from probe.urls import TargetError, ascii_host


class Option(Struct, frozen=True):
    """One key of `[options.NAME]`.

    Attributes:
        expected: A description of the valid values.
        fits: Whether a value is valid.
    """

    expected: str
    fits: Callable[[object], bool]


def whole(least: int, most: int = 2**53) -> Option:
    """A whole number between two others."""
    limits = f"{least} to {most}" if most < 2**53 else f"{least} or more"
    return Option(
        f"a whole number, {limits}", lambda one: type(one) is int and least <= one <= most
    )


def lasting(most: int) -> Option:
    """A time in seconds."""
    expected = f"a number of seconds, 0 to {most}"
    return Option(expected, lambda one: type(one) in {int, float} and _within(one, most))


def one_of(*words: str) -> Option:
    """One of a few words."""
    return Option(f"one of: {', '.join(words)}", lambda one: one in words)


def _within(value: object, most: int) -> bool:
    return isinstance(value, int | float) and 0 <= value <= most


def _is_name(value: object) -> bool:
    try:
        return isinstance(value, str) and not is_address(ascii_host(value))
    except TargetError:
        return False


FLAG = Option("true or false", lambda one: isinstance(one, bool))
TEXT = Option("text", lambda one: isinstance(one, str) and bool(one))
NAME = Option("the name of a host", _is_name)
LIST = Option("a list", lambda one: isinstance(one, list))
ADDRESS = Option("an IP address", lambda one: isinstance(one, str) and is_address(one))
