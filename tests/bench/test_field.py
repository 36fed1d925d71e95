"""What a sweep costs, counted and not timed: connections, bytes, memory, verdicts."""

from collections.abc import Iterator

import pytest

from bench.field.ground import Cost, Ground
from bench.field.plan import Spec
from probe.lab.country import obstacle
from probe.model import Dns, Http, Outcome, Role, Tcp

SITES = 50

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(obstacle() is not None, reason=f"no namespaces: {obstacle()}"),
]


@pytest.fixture(scope="module")
def swept() -> Iterator[tuple[Ground, Cost]]:
    with Ground(Spec(sites=SITES, blocked=0.1, round_trip=0.02)) as ground:
        yield ground, ground.probe()


def test_every_verdict_is_right(swept: tuple[Ground, Cost]) -> None:
    ground, cost = swept
    shut = {site.url for site in ground.field.sites if site.blocked}
    found = {record.input: record.verdict and record.verdict.outcome for record in cost.sites}
    assert shut
    assert len(found) == SITES
    for url, outcome in found.items():
        assert outcome is (Outcome.BLOCKED if url in shut else Outcome.OK), url


def test_a_site_that_simply_works_is_connected_to_once_a_hop(swept: tuple[Ground, Cost]) -> None:
    ground, cost = swept
    plain = {site.url for site in ground.field.sites if site.secure and not site.blocked}
    for record in cost.sites:
        if record.input in plain:
            hops = {step.hop for step in record.steps if isinstance(step, Http)}
            connections = [step for step in record.steps if isinstance(step, Tcp)]
            assert len(connections) == len(hops), record.input
            questions = [step for step in record.steps if isinstance(step, Dns)]
            assert len(questions) <= 3 * len(hops)


def test_a_sweep_is_light(swept: tuple[Ground, Cost]) -> None:
    _, cost = swept
    assert cost.down / SITES < 36_000
    assert cost.up / SITES < 8_000
    assert cost.memory < 80_000_000
    pages = [s for r in cost.sites for s in r.steps if isinstance(s, Http) and s.proven]
    assert max(page.bytes_in for page in pages) < 40_000


def test_second_looks_cost_less_than_first_ones(swept: tuple[Ground, Cost]) -> None:
    _, cost = swept
    pages = [s for r in cost.sites for s in r.steps if isinstance(s, Http)]
    again = [s for s in pages if s.try_ > 1 or s.role is not Role.TARGET]
    assert sum(s.bytes_in for s in again) < sum(s.bytes_in for s in pages) / 2
