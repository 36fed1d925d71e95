"""The seeded simulations behind the thresholds reach the design goals."""

import random

from bench.outage_alarm import Fleet, measured
from bench.throttle_simulated import KINDS, many, one_run, rates
from probe.analysis.paired_test import PairState


def test_false_positives_are_below_three_in_a_thousand() -> None:
    for noise in KINDS[:3]:  # mobile lines are near the limit and need more runs: see the table
        states, used = many(noise, 1.0, 4000, 7)
        suspected, strong = rates(states)
        assert suspected <= 0.003
        assert strong <= 0.001
        assert used <= 3.0


def test_strong_throttling_is_found_on_all_lines_but_the_worst() -> None:
    for noise in KINDS[:4]:
        states, _ = many(noise, 1 / 33, 200, 7)
        assert rates(states)[0] >= 0.97


def test_further_pairs_remove_false_suspicions_and_keep_true_ones() -> None:
    worst = KINDS[4]
    five, seven = (many(worst, 1.0, 8000, 3, checked=checked)[0] for checked in (False, True))
    assert rates(seven)[0] < rates(five)[0]
    slowed = [many(worst, 1 / 33, 400, 3, checked=checked)[0] for checked in (False, True)]
    assert rates(slowed[1])[0] >= rates(slowed[0])[0] - 0.01


def test_a_simulation_is_repeated_exactly_by_its_seed() -> None:
    assert one_run(KINDS[2], 0.2, random.Random(3)) == one_run(KINDS[2], 0.2, random.Random(3))
    assert one_run(KINDS[0], 0.1, random.Random(3))[0] in {PairState.EXTREME, PairState.STRONG}


def test_outages_of_mostly_fixed_probes_raise_alarms_in_time_and_quiet_months_none() -> None:
    for fleet in (Fleet(boxes=3), Fleet(boxes=3, laptops=2)):
        found = measured(fleet, 30, 1, 3)
        assert found.wrong == 0
        assert found.recall >= 0.8
        assert found.delay <= found.worst <= 15
