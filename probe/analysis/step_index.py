"""The steps of a record by kind, purpose and hop, so that rules need not search all of them."""

from collections.abc import Iterable
from typing import Any, TypeVar

from probe.model import Base, Role

S = TypeVar("S", bound=Base)

# Several times as many as a probe takes. Rules may compare each of these with each.
MOST, MOST_OF_HOP = 512, 128


class StepIndex:
    """Steps by kind, purpose and hop, in order; of each the first `MOST`.

    What it returns is shared, and not to be changed.

    Args:
        steps: The steps.
        by_role: Whether they are asked for by purpose.
    """

    def __init__(self, steps: Iterable[Base], *, by_role: bool) -> None:
        self._lists: dict[tuple[type[Base], Role | None, int | None], list[Base]] = {}
        lists = self._lists
        for step in steps:
            kind, role = type(step), step.role if by_role else None
            for key, most in (((kind, role, None), MOST), ((kind, role, step.hop), MOST_OF_HOP)):
                found = lists.get(key)
                if found is None:
                    lists[key] = [step]
                elif len(found) < most:
                    found.append(step)

    def of(self, kind: type[S], role: Role | None, hop: int | None) -> list[S]:
        """The steps of one kind and role, of one hop or of all."""
        found: Any = self._lists.get((kind, role, hop))
        return [] if found is None else found
