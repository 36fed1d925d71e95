"""Judging takes time in proportion to a record, whatever an attacker puts into it."""

from functools import partial
from pathlib import Path

import pytest

from probe import bounds, codec
from probe.judge import judge
from probe.lab.cases import Case, load
from probe.model import Record
from tests.probe.growth import WAYS, grown, seconds, wide

CASES = load(Path(__file__).parents[1] / "cases")
SMALL, LARGE = 400, bounds.STEPS
# Judging five times the steps takes five times as long, and 25 times if it were quadratic. The
# least time counts as this many seconds, below which caches and clocks decide.
FACTOR, LEAST = 12, 0.02
AT_MOST = 5.0


def largest() -> dict[str, Case]:
    """The two cases of each experiment with the most rules in their verdicts."""
    chosen: dict[str, Case] = {}
    for experiment in sorted({case.record.experiment for case in CASES.values()}):
        own = [(n, c) for n, c in CASES.items() if c.record.experiment == experiment]
        own = [(n, c) for n, c in own if c.record.steps]
        chosen.update(sorted(own, key=lambda one: -len(one[1].expect.others))[:2])
    return chosen


# Records that took minutes when rules compared every step with every other one.
SLOW_ONCE = (
    "web/resolver_over_tcp_only",
    "web/resolver_says_blocked",
    "web/mitm_avoided_by_cutting_the_name",
    "web/host_dropped_before_the_server",
    "web/innocent_host_reset_by_its_server",
    "web/innocent_loop",
    "mitm/ways_2019",
    "signal/all_endpoints_silent",
    "telegram/data_centres_down",
    "throttle/slow_plan",
)
CHOSEN = {**largest(), **{name: CASES[name] for name in SLOW_ONCE}}


def is_linear(small: Record, large: Record) -> bool:
    least = max(seconds(partial(judge, small)), LEAST)
    return any(
        seconds(partial(judge, large), times=1) <= min(FACTOR * least, AT_MOST) for _ in range(3)
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CHOSEN)
def test_judging_grows_with_the_number_of_steps(name: str, way: str) -> None:
    record = CHOSEN[name].record
    assert is_linear(grown(record, SMALL, way), grown(record, LARGE, way))


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_judging_grows_with_the_answers_packets_and_samples(name: str) -> None:
    record = CHOSEN[name].record
    assert is_linear(wide(record, SMALL), wide(record, LARGE))


def test_a_record_with_too_many_steps_is_refused() -> None:
    record = CASES["web/innocent_loop"].record
    with pytest.raises(codec.CodecError):
        codec.check(codec.encode(grown(record, bounds.STEPS + 1, "same")))
