"""Every later part of a run has its time kept for it."""

import pytest

from probe.runner.deadlines import Deadlines


def table(seconds: float, *, now: float = 0.0, uploads: bool = True) -> Deadlines:
    return Deadlines(0.0, seconds, uploads, clock=lambda: now)


@pytest.mark.parametrize("seconds", [0.5, 1, 2, 10, 60, 600, 3600])
def test_parts_leave_half_of_the_whole_for_measuring(seconds: float) -> None:
    made = table(seconds)
    assert seconds / 2 <= made.measuring_left < seconds
    assert made.sweep_left(0, abreast=8, each=1.0) == made.measuring_left


def test_what_is_held_back_shortens_the_sweep() -> None:
    made = table(600)
    few = made.sweep_left(8, abreast=8, each=4.0)
    many = made.sweep_left(80, abreast=8, each=4.0)
    assert many < few < made.measuring_left


def test_without_an_upload_no_time_is_kept_for_one() -> None:
    assert table(60, uploads=False).measuring_left > table(60).measuring_left


def test_time_passes() -> None:
    assert table(60, now=59.0).measuring_left < 0 < table(60, now=59.0).left
