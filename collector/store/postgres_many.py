"""One statement of PostgreSQL for many sets of parameters, which come as arrays.

Rule: the effect is that of the statement run for each set, in their order. What has no such form
is run for each set.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_DELETE = re.compile(r"DELETE FROM (\w+) WHERE (\w+) = \$1")
_VALUES = re.compile(r"(INSERT INTO \w+ \(([^()]*)\)\s+)VALUES \(([^()]*)\)(.*)", re.DOTALL)
_SELECT = re.compile(
    r"(INSERT INTO \w+ \(([^()]*)\)\s+)SELECT ((?:(?!\bFROM\b).)*?)(\nWHERE .*)", re.DOTALL
)
_UPSERT = re.compile(r"ON CONFLICT \(([^()]*)\) DO UPDATE")
_ON_CONFLICT = re.compile(r"\bON CONFLICT\b.*", re.DOTALL)
_NUMBERED = re.compile(r"\$(\d+)")


class ManyForm(NamedTuple):
    """A statement for many sets.

    Attributes:
        text: Its parameters are one array for each parameter of the statement.
        key: The positions of the parameters of which no two sets in one statement may have the same
            values: PostgreSQL changes a row once in a statement.
    """

    text: str
    key: tuple[int, ...] = ()

    def groups(self, sets: Sequence[Sequence[object]]) -> Iterator[Sequence[Sequence[object]]]:
        """The sets that may be in one statement, in order."""
        if not self.key:
            yield sets
            return
        first, seen = 0, set[tuple[object, ...]]()
        for number, one in enumerate(sets):
            values = tuple(one[at] for at in self.key)
            if values in seen:
                yield sets[first:number]
                first, seen = number, set()
            seen.add(values)
        yield sets[first:]


def changing(text: str, types: Sequence[str]) -> ManyForm | None:
    """The form of a statement that changes rows; None when it has none."""
    text = text.strip()
    if found := _DELETE.fullmatch(text):
        return ManyForm(f"DELETE FROM {found[1]} WHERE {found[2]} = ANY($1::{types[0]}[])")  # noqa: S608 - our own statement
    found = _VALUES.fullmatch(text) or _SELECT.fullmatch(text)
    if found is None or not types or _has_parameters(_ON_CONFLICT.search(text)):
        return None
    head, columns, values, rest = found.groups()
    made = f"{head}SELECT {_named(values)}\nFROM {_sets(types)}{_named(rest)}"
    return ManyForm(made, _key(text, columns, values))


def _has_parameters(part: re.Match[str] | None) -> bool:
    return part is not None and _NUMBERED.search(part[0]) is not None


def _key(text: str, columns: str, values: str) -> tuple[int, ...]:
    """The positions of the parameters that decide which row is changed."""
    upsert = _UPSERT.search(text)
    if upsert is None:
        return ()
    of = dict(zip(_listed(columns), _listed(values), strict=True))
    numbers = (_NUMBERED.fullmatch(of[name]) for name in _listed(upsert[1]))
    return tuple(int(one[1]) - 1 for one in numbers if one)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _named(text: str) -> str:
    return _NUMBERED.sub(r"sets.p\1", text)


def _sets(types: Sequence[str], ordinality: str = "", nth: str = "") -> str:
    given = ", ".join(f"${n}::{name}[]" for n, name in enumerate(types, 1))
    names = ", ".join(f"p{n}" for n in range(1, len(types) + 1))
    return f"unnest({given}){ordinality} AS sets({names}{nth})"


def asking(text: str, types: Sequence[str]) -> str:
    """The form of a query, whose rows have the number of their set, from 1, as first column."""
    return (
        f"SELECT sets.nth, answers.* FROM {_sets(types, ' WITH ORDINALITY', ', nth')}\n"  # noqa: S608 - our own statement
        f"CROSS JOIN LATERAL (\n{_named(text)}\n) AS answers ORDER BY sets.nth"
    )


def arrays(sets: Sequence[Sequence[object]]) -> list[list[object]]:
    """The parameters of these forms."""
    return [list(values) for values in zip(*sets, strict=True)]


def by_set(rows: Sequence[Any], number: int) -> list[list[Sequence[Any]]]:
    """The rows of each set."""
    found: list[list[Sequence[Any]]] = [[] for _ in range(number)]
    for nth, *values in rows:
        found[nth - 1].append(values)
    return found
