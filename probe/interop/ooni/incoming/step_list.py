"""Steps of a record that is being made from a measurement of OONI's: times, hops and parents.

A step keeps its parent as a step, until all are there and get their numbers in the order of their
start.
"""

from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from probe.bounds import STEPS
from probe.interop.ooni.incoming import values
from probe.model import Base, Dns, Http, Step, Steps, Tcp, Tls

# A measurement takes minutes.
_LONGEST = 3600.0
_HOPS = 32
_DEPTH = "depth="
_LAYERS: dict[type[Step], int] = {Dns: 0, Tcp: 1, Tls: 2, Http: 3}


@dataclass(slots=True, eq=False)
class Draft:
    """A step without its number, and the step that it depends on."""

    step: Step
    parent: "Draft | None" = None
    transaction: int = 0


@dataclass(slots=True)
class StepList:
    """The steps of one measurement, as they are found."""

    drafts: list[Draft] = field(default_factory=list)
    by_kind: dict[tuple[type[Base], int], list[Draft]] = field(default_factory=dict)

    def add(self, step: Step, parent: Draft | None = None, transaction: int = 0) -> Draft:
        """Keep a step."""
        draft = Draft(step, parent, transaction)
        self.drafts.append(draft)
        for tied in {0, transaction}:
            self.by_kind.setdefault((type(step), tied), []).append(draft)
        return draft

    def of(self, kind: type[Base], transaction: int = 0) -> list[Draft]:
        """The steps of one kind, of one transaction where it is given."""
        return self.by_kind.get((kind, transaction), [])

    def take(self, other: "StepList") -> None:
        """Keep the steps of another list as well."""
        self.drafts += other.drafts
        for key, drafts in other.by_kind.items():
            self.by_kind.setdefault(key, []).extend(drafts)

    def finished(self) -> Steps:
        """The steps, numbered in the order of their start; of equal times, in order of layers."""
        ordered = sorted(self.drafts, key=_order)[:STEPS]
        numbers = {id(one): number for number, one in enumerate(ordered, 1)}
        return tuple(
            replace(one.step, id=numbers[id(one)], parent=numbers.get(id(one.parent)))
            for one in ordered
        )


def _order(draft: Draft) -> tuple[int, float, int]:
    """OONI's times are of the whole measurement, hop by hop, or all zero in those of its tests."""
    step = draft.step
    return step.hop, step.at, _LAYERS.get(type(step), len(_LAYERS))


def timing(data: dict[str, Any]) -> tuple[float, float]:
    """When it began and how long it took; what old probes leave out is zero."""
    ended = min(max(values.number(data, "t") or 0.0, 0.0), _LONGEST)
    began = values.number(data, "t0")
    if began is None:
        return round(ended, 6), 0.0
    began = min(max(began, 0.0), ended)
    return round(began, 6), round(ended - began, 6)


def transaction(data: dict[str, Any]) -> int:
    """What connects the entries of one connection; 0 where it is not told."""
    return values.whole(data, "transaction_id") or 0


def depth(data: dict[str, Any]) -> int | None:
    """The number of the redirect that it belongs to; None where it is not told."""
    tags = values.member(data, "tags")
    for tag in tags[:16] if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith(_DEPTH):
            number = tag.removeprefix(_DEPTH)
            return min(int(number), _HOPS) if number.isascii() and number.isdigit() else None
    return None
