"""Time is reserved for every later phase of a run."""

import pytest

from probe.runner.deadlines import Deadlines


def deadlines(seconds: float, *, now: float = 0.0, uploads: bool = True) -> Deadlines:
    return Deadlines(0.0, seconds, uploads, clock=lambda: now)


@pytest.mark.parametrize("seconds", [0.5, 1, 2, 10, 60, 600, 3600])
def test_reserves_leave_half_of_the_time_for_measuring(seconds: float) -> None:
    found = deadlines(seconds)
    assert seconds / 2 <= found.measuring_left < seconds
    assert found.sweep_left(0, concurrency=8, each=1.0) == found.measuring_left


def test_held_measurements_shorten_the_sweep() -> None:
    found = deadlines(600)
    few = found.sweep_left(8, concurrency=8, each=4.0)
    many = found.sweep_left(80, concurrency=8, each=4.0)
    assert many < few < found.measuring_left


def test_without_an_upload_no_time_is_reserved_for_one() -> None:
    assert deadlines(60, uploads=False).measuring_left > deadlines(60).measuring_left


def test_time_passes() -> None:
    assert deadlines(60, now=59.0).measuring_left < 0 < deadlines(60, now=59.0).left
