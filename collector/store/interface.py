"""The interface of a store, the same for every engine.

An *operation* is a generator that yields statements and is sent their rows. So the statements and
their order are written once, and an engine only runs one statement and makes a whole operation
atomic. A write is durable when `write` returns; acknowledgements rely on that.
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
_FILES = (
    "keys",
    "backlog",
    "measurements",
    "rollups",
    "controls",
    "read",
    "detection",
    "standing",
    "export",
    "events",
    "pages",
    "ooni",
    "outside",
)
_NAMED = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


class StoreError(Exception):
    """The store cannot be used; the message is one line for the operator."""


class StoreUnavailable(StoreError):  # noqa: N818 - a state of the store
    """Nothing was written, and a later attempt may work (disk full, server unreachable)."""


@dataclass(frozen=True, slots=True)
class Query:
    """Run one named statement and return its rows."""

    name: str
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueryEach:
    """Run one named statement for each set of parameters and return the rows of each."""

    name: str
    many: Sequence[Params]


@dataclass(frozen=True, slots=True)
class Execute:
    """Run one named statement for each set of parameters; no rows are returned."""

    name: str
    many: Sequence[Params]


@dataclass(frozen=True, slots=True)
class Define:
    """Run the text of a migration's statement, which changes tables."""

    text: str


Statement: TypeAlias = Query | QueryEach | Execute | Define
Operation: TypeAlias = Generator[Statement, Rows, T]


@dataclass(frozen=True, slots=True)
class DayLimits:
    """What is due, as the first number of a record that is not.

    Attributes:
        evidence: Of records' evidence. records: of records themselves.
        upto: The last number that may go; None when all may.
        now: The time.
    """

    evidence: int
    records: int
    upto: int | None
    now: float


class Store(Protocol):
    """Durable storage of one collector.

    Attributes:
        collector_id: This store's random id, which every signature includes.
        shared: Whether other collectors may use it too.
    """

    collector_id: str
    shared: bool

    async def read(self, operation: Operation[T], *, slow: bool = False) -> T:
        """Run an operation that changes nothing; `slow` ones do not delay the others."""

    async def write(self, operation: Operation[T], *, alone: bool = False) -> T:
        """Run an operation atomically; when this returns, it is durable.

        With `alone` no other write of any collector of the store overlaps it.
        """

    async def scrub(self) -> bool:
        """Overwrite what the engine keeps of deleted rows; False when readers prevent it now."""

    async def shrink(self) -> bool:
        """Give some of the freed space back to the file system; False when no more can be."""

    async def drop_days(self, limits: DayLimits) -> int:
        """Drop the days that are due as a whole, where a store has such, and make the coming ones.

        Returns how many records that are not due themselves lost their evidence. What is not
        dropped so is left to be deleted row by row.
        """

    async def compact(self) -> None:
        """Give all freed space back, even if other writes wait."""

    async def close(self) -> None:
        """Finish the operations begun and close all connections."""


@cache
def statements() -> Mapping[str, str]:
    """Every named statement, as written in the .sql files."""
    found: dict[str, str] = {}
    for file in _FILES:
        for name, text in _NAMED.findall(_text(file)):
            if name in found:
                raise StoreError(f"statement {name} is defined twice")
            found[name] = text.strip()
    return found


def _text(file: str) -> str:
    folder = resources.files("collector.store") / _FOLDER
    return (folder / f"{file}.sql").read_text(encoding="utf-8")
