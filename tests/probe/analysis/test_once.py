"""What is kept of a record: each question is answered once, whatever the answer and its arity."""

from typing import Any

from probe.analysis.once import fact, once

CALLS: list[str] = []


class _Keeper:
    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    @fact
    def shape(self) -> str:
        """What it looks like."""
        CALLS.append("shape")
        return "round"

    @once
    def nothing(self) -> None:
        CALLS.append("nothing")

    @once
    def doubled(self, number: int) -> int:
        CALLS.append(f"doubled {number}")
        return 2 * number

    @once
    def added(self, number: int, more: int = 1) -> int:
        CALLS.append(f"added {number} {more}")
        return number + more


def _asked() -> list[str]:
    found = CALLS.copy()
    CALLS.clear()
    return found


def test_an_answer_is_kept_for_each_argument() -> None:
    one = _Keeper()
    assert (one.doubled(1), one.doubled(2), one.doubled(1)) == (2, 4, 2)
    assert (one.added(1), one.added(1), one.added(1, 2)) == (2, 2, 3)
    assert _asked() == ["doubled 1", "doubled 2", "added 1 1", "added 1 2"]


def test_none_is_an_answer() -> None:
    one = _Keeper()
    one.nothing()
    one.nothing()
    assert _asked() == ["nothing"]


def test_records_share_nothing() -> None:
    assert (_Keeper().shape, _Keeper().shape) == ("round", "round")
    one = _Keeper()
    assert (one.shape, one.shape) == ("round", "round")
    assert _asked() == ["shape"] * 3
    assert _Keeper.shape.__doc__ == "What it looks like."
