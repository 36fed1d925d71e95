"""What a run waits for, on a virtual clock: its seconds are counted by timers, not measured."""

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

import pytest

# The clock is put in place of the real one before the program is imported: a process of its own.
_RUN = """
import json, sys
from bench.waiting import LINES, measure
for line, kinds in json.loads(sys.argv[1]):
    one = measure(LINES[line], kinds, 70, 16)
    print(json.dumps([one.seconds, dict(one.outcomes), dict(one.asked)]))
"""
Simulated = tuple[float, Mapping[str, int], Mapping[str, int]]
USUAL = {"ok": 25, "blocked": 30, "inconclusive": 15}
RUNS = (
    *((line, "none") for line in ("works", "closing", "slow", "refusing", "missing", "silent")),
    *((line, "usual") for line in ("works", "anchors", "slow", "one", "refusing")),
    ("anchors", "none"),
    ("works", "every"),
    ("works", "shut"),
)


@cache
def _simulations() -> Mapping[tuple[str, str], Simulated]:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(RUNS)], check=True, capture_output=True, text=True
    )
    return dict(zip(RUNS, map(json.loads, done.stdout.splitlines()), strict=True))


def simulated(line: str, kinds: str = "none") -> Simulated:
    return _simulations()[line, kinds]


@pytest.mark.parametrize("line", ["closing", "slow", "refusing", "missing"])
def test_no_working_site_waits_for_what_it_is_only_compared_with(line: str) -> None:
    alone, outcomes, _ = simulated("works")
    seconds, same, _ = simulated(line)
    assert outcomes == same == {"ok": 70}
    # The last comparison is awaited, no site's own one after the other.
    assert seconds < alone + 2.5


def test_silent_resolvers_and_anchors_cost_one_silence_each() -> None:
    alone, _, _ = simulated("works")
    assert simulated("silent")[0] < alone + 4.1
    assert simulated("anchors")[0] < alone + 2.1


@pytest.mark.parametrize("line", ["works", "anchors", "slow", "one"])
def test_sites_that_misbehave_are_measured_beside_each_other(line: str) -> None:
    seconds, outcomes, _ = simulated(line, "usual")
    # A site that hangs takes 6 seconds, the pause before its second look 3, and that look 15.
    assert seconds < 32
    assert outcomes == USUAL


def test_slow_and_endless_answers_cost_their_own_time_alone() -> None:
    seconds, outcomes, _ = simulated("works", "every")
    # Two looks at a page of a byte a second take 20 seconds each.
    assert seconds < 52
    assert outcomes["ok"] == 25


def test_a_resolver_that_refuses_is_learnt_once() -> None:
    _, _, asked = simulated("refusing", "usual")
    # Sixteen looks had begun before three failures were known; the rest is retries.
    assert asked["to doh"] < 40
    _, _, others = simulated("works", "usual")
    assert others["to doh"] > 150
    assert asked["to udp"] == others["to udp"]


def test_a_blocked_site_is_offered_here_and_elsewhere_at_the_same_time() -> None:
    seconds, outcomes, asked = simulated("works", "shut")
    assert outcomes == {"ok": 49, "blocked": 21}
    # A silence of 2.15 seconds in each look and at an unrelated server; one after another 16.2.
    assert seconds < 15
    # The own name twice more, one of it elsewhere; a harmless one twice at both; a reference twice.
    first = simulated("works")[2]["connections"]
    assert asked["connections"] - first <= 8 * 21
