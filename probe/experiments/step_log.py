"""Number the steps of one measurement and tie each to the one it stands on."""

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from probe.model import Base, Role, Step, Steps

S = TypeVar("S", bound=Base)


class StepLog:
    """The steps of one record in the making."""

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
        """Number one step, place it, keep it, and give it back."""
        number = len(self._steps) + 1
        placed = replace(step, id=number, role=role, hop=hop, try_=try_, parent=parent)
        self._steps.append(placed)  # type: ignore[arg-type]
        return placed

    def chain(
        self,
        steps: Iterable[Step | None],
        *,
        role: Role = Role.TARGET,
        hop: int = 0,
        try_: int = 1,
        parent: int | None = None,
    ) -> Steps:
        """Add steps of which each stands on the one before; absent ones are passed over."""
        placed: list[Step] = []
        for step in steps:
            if step is None:
                continue
            placed.append(self.add(step, role=role, hop=hop, try_=try_, parent=parent))
            parent = placed[-1].id
        return tuple(placed)

    @property
    def steps(self) -> Steps:
        """Everything so far, in order."""
        return tuple(self._steps)
