"""The bars of the benchmark of poisoning, on a small slice of it."""

import asyncio

import pytest

from bench.poisoning import GOALS, Attack, succeeds

BY_NAME = {goal.name: goal for goal in GOALS}


def reached(name: str, attack: Attack) -> bool:
    return asyncio.run(succeeds(BY_NAME[name], attack))


@pytest.mark.parametrize("name", ["false block", "false interception", "skewed throughput"])
def test_one_origin_reaches_nothing(name: str) -> None:
    assert not reached(name, Attack(honest=0, origins=1, keys=8, days=15))


def test_a_false_event_against_four_honest_probes_takes_more_than_four_origins_and_a_week() -> None:
    assert not reached("false block", Attack(honest=4, origins=4, days=15))
    assert not reached("false block", Attack(honest=4, origins=8, days=6))
    assert not reached("false block", Attack(honest=4, origins=8, days=6, invited=True))
    # The attack itself works, or else the others would prove nothing.
    assert reached("false block", Attack(honest=4, origins=5, days=7))


def test_three_origins_hide_nothing_from_four_honest_probes() -> None:
    assert not reached("hidden block", Attack(honest=4, origins=3, keys=3, days=15))


def test_a_false_shutdown_takes_most_of_a_network() -> None:
    assert not reached("false shutdown", Attack(honest=4, origins=4, keys=2, days=8))
    assert reached("false shutdown", Attack(honest=0, origins=3, days=15))
