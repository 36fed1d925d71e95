"""Number the steps of one measurement and link each to its parent."""

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from probe.model import Base, Dns, Role, Step, Steps

S = TypeVar("S", bound=Base)


class StepLog:
    """The steps of one record while it is being measured."""

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps: list[Step] = list(steps)

    def add(
        self,
        step: S,
        *,
        role: Role = Role.TARGET,
        hop: int = 0,
        try_: int = 1,
        parent: int | None = None,
    ) -> S:
        """Number one step, add it, and return it as added."""
        number = len(self._steps) + 1
        added = replace(step, id=number, role=role, hop=hop, try_=try_, parent=parent)
        self._steps.append(added)  # type: ignore[arg-type]
        return added

    def amend(self, number: int, whole: Dns) -> None:
        """Give a query that was added after its first reply the replies that came later."""
        query = self._steps[number - 1]
        if isinstance(query, Dns):
            self._steps[number - 1] = replace(query, replies=whole.replies)

    def chain(
        self,
        steps: Iterable[Step | None],
        *,
        role: Role = Role.TARGET,
        hop: int = 0,
        try_: int = 1,
        parent: int | None = None,
    ) -> Steps:
        """Add steps of which each is the parent of the next; None is skipped."""
        every: list[Step] = []
        for step in steps:
            if step is None:
                continue
            every.append(self.add(step, role=role, hop=hop, try_=try_, parent=parent))
            parent = every[-1].id
        return tuple(every)

    @property
    def steps(self) -> Steps:
        """Everything so far, in order."""
        return tuple(self._steps)
