"""Which transfers show how fast a name is: later ones only where the names differ there alone."""

from typing import Literal

import pytest

from probe.analysis.shown_arms import FIRST, LATER, shown_arms
from probe.model import Transfer

Arm = Literal["A", "B", "E", "F"]


def moved(arm: Arm, rate: float | None) -> Transfer:
    return Transfer(address="192.0.2.1", port=443, arm=arm, pair=1, rate=rate)


@pytest.mark.parametrize(
    ("late", "shown"),
    [
        ((), FIRST),
        ((("E", 900.0), ("F", 1000.0)), FIRST),
        ((("E", 100.0), ("F", 1000.0)), LATER),
        ((("E", None), ("F", 1000.0)), FIRST),
    ],
)
def test_later_transfers_are_shown_where_the_names_differ_only_there(
    late: tuple[tuple[Arm, float | None], ...], shown: object
) -> None:
    early = [moved("A", 1000.0), moved("B", 1000.0)]
    assert shown_arms([*early, *(moved(arm, rate) for arm, rate in late)]) == shown
