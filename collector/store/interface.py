"""What the collector asks of a store, whichever engine is behind it.

An *operation* is a generator that yields statements and is sent their rows: what is done, and in
which order, is written once, and each engine only knows how to run one statement and how to make
a whole operation atomic. A write is durable when `write` returns; that is what an
acknowledgement rests on.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")

Params: TypeAlias = Mapping[str, object]
Rows: TypeAlias = Sequence[Sequence[Any]]

_FOLDER = "sql"
_FILES = ("keys", "measurements", "rollups", "controls", "read", "alarms")
_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


class StoreError(Exception):
    """The store cannot be used; one line a person can act on."""


class StoreUnavailable(StoreError):  # noqa: N818 - what it says, not what went wrong
    """Nothing was written, and trying again later may work (disk full, server away)."""


@dataclass(frozen=True, slots=True)
class Query:
    """Run one named statement and give back its rows."""

    name: str
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Execute:
    """Run one named statement for each set of parameters; no rows come back."""

    name: str
    many: Sequence[Params]


Statement: TypeAlias = Query | Execute
Operation: TypeAlias = Generator[Statement, Rows, T]


class Store(Protocol):
    """Durable storage shared by everything in one collector.

    Attributes:
        collector_id: This store's own random name, which every signature repeats.
        shared: Other collectors may use it too.
    """

    collector_id: str
    shared: bool

    async def read(self, operation: Operation[T], *, slow: bool = False) -> T:
        """Run an operation that changes nothing; a slow one keeps no quick one waiting."""

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation whole or not at all; when this returns, it is durable."""

    async def close(self) -> None:
        """Finish what was begun and let go of everything."""


@cache
def statements() -> Mapping[str, str]:
    """Every named statement, as it is written in the .sql files."""
    found: dict[str, str] = {}
    for file in _FILES:
        for name, text in _NAMED.findall(_text(file)):
            if name in found:
                raise StoreError(f"statement {name} is there twice")
            found[name] = text.strip()
    return found


@cache
def schema() -> tuple[str, ...]:
    """The statements that make the tables, each by itself."""
    text = re.sub(r"^--.*\n", "", _text("schema"), flags=re.MULTILINE)
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _text(file: str) -> str:
    folder = resources.files("collector.store") / _FOLDER
    return (folder / f"{file}.sql").read_text(encoding="utf-8")
