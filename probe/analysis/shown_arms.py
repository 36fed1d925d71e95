"""Which transfers of a comparison show how fast a name is, beside another."""

from collections.abc import Iterable
from statistics import median

from probe.analysis.paired_test import SUSPECTED
from probe.model import Step, Transfer

FIRST = (("A", "C"), ("B", "D"))
LATER = (("E",), ("F",))


def shown_arms(steps: Iterable[Step]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The target's arms and the reference's: later in a connection if they differ only there."""
    transfers = [step for step in steps if isinstance(step, Transfer)]
    tested, reference = (_rates(transfers, arms) for arms in LATER)
    if tested and reference and median(tested) < SUSPECTED * median(reference):
        return LATER
    return FIRST


def _rates(transfers: Iterable[Transfer], arms: tuple[str, ...]) -> list[float]:
    return [t.rate for t in transfers if t.arm in arms and t.rate is not None]
