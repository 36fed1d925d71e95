"""The cost of a sweep, counted and not timed: connections, bytes, memory, verdicts."""

from collections.abc import Iterator
from statistics import median

import pytest

from bench.field.collector import FieldCollector
from bench.field.plan import Spec
from bench.field.testbed import Cost, FieldTestbed
from probe.analysis import silence_place
from probe.failure import Failure
from probe.lab.testbed import unavailable_reason
from probe.model import Dns, Http, Outcome, Role, Tcp, Tls
from probe.net.further import PAGES

SITES = 50

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]


@pytest.fixture(scope="module")
def sweep() -> Iterator[tuple[FieldTestbed, Cost]]:
    with FieldTestbed(Spec(sites=SITES, blocked=0.1, round_trip=0.02)) as testbed:
        yield testbed, testbed.probe()


def test_every_verdict_is_right(sweep: tuple[FieldTestbed, Cost]) -> None:
    testbed, cost = sweep
    filtered = {site.url for site in testbed.field.sites if site.blocked}
    found = {record.input: record.verdict and record.verdict.outcome for record in cost.sites}
    assert filtered
    assert len(found) == SITES
    for url, outcome in found.items():
        assert outcome is (Outcome.BLOCKED if url in filtered else Outcome.OK), url


def test_a_working_site_costs_one_connection_per_hop(
    sweep: tuple[FieldTestbed, Cost],
) -> None:
    testbed, cost = sweep
    plain = {site.url for site in testbed.field.sites if site.secure and not site.blocked}
    for record in cost.sites:
        if record.input in plain:
            hops = {step.hop for step in record.steps if isinstance(step, Http)}
            connections = [step for step in record.steps if isinstance(step, Tcp)]
            assert len(connections) == len(hops), record.input
            questions = [step for step in record.steps if isinstance(step, Dns)]
            assert len(questions) <= 3 * len(hops)


def test_a_blocked_site_costs_nine_connections_of_which_three_are_silent(
    sweep: tuple[FieldTestbed, Cost],
) -> None:
    testbed, cost = sweep
    filtered = {site.url for site in testbed.field.sites if site.blocked}
    for record in cost.sites:
        if record.input in filtered:
            limited = silence_place.limited(record.steps)
            ordinary = [step for step in record.steps if step.id not in limited]
            assert sum(isinstance(step, Tcp) for step in ordinary) <= 9, record.input
            silent = [s for s in ordinary if isinstance(s, Tls) and s.failure is Failure.TIMEOUT]
            assert len(silent) <= 3, record.input
            # One plain and one encrypted resolver besides the system's; all of them once more.
            assert sum(isinstance(step, Dns) for step in ordinary) <= 3 + 8


def test_a_sweep_is_light(sweep: tuple[FieldTestbed, Cost]) -> None:
    _, cost = sweep
    pages = [s for r in cost.sites for s in r.steps if isinstance(s, Http) and s.proven]
    # The probe reads more of a slow page, and a busy machine makes pages slow.
    usual = [page for page in pages if page.elapsed < 0.5]
    assert len(usual) > len(pages) / 2
    # Over HTTP/1.1 at most two whole TLS records, and the data in flight by then. A few pages of a
    # run are read further on purpose: a freeze may begin later.
    largest = sorted((page.bytes_in for page in usual), reverse=True)
    assert max(largest[PAGES:]) < 60_000
    assert max(largest) < 110_000
    assert median(page.bytes_in for page in usual) < 24_000
    farther = sum(page.bytes_in for page in pages if page.elapsed >= 0.5)
    # Of this 6,000 a site are the anchors and the handshakes with resolvers.
    assert (cost.down - farther) / SITES < 48_000
    assert cost.up / SITES < 8_000
    assert cost.memory < 70_000_000


def test_follow_ups_cost_less_than_first_measurements(sweep: tuple[FieldTestbed, Cost]) -> None:
    _, cost = sweep
    pages = [s for r in cost.sites for s in r.steps if isinstance(s, Http)]
    follow_ups = [s for s in pages if s.try_ > 1 or s.role is not Role.TARGET]
    assert sum(s.bytes_in for s in follow_ups) < sum(s.bytes_in for s in pages) / 2


def test_names_are_queried_a_few_times_over_persistent_connections(
    sweep: tuple[FieldTestbed, Cost],
) -> None:
    _, cost = sweep
    steps = [step for record in cost.records for step in record.steps]
    questions = [step for record in cost.sites for step in record.steps if isinstance(step, Dns)]
    assert len(questions) < 8 * SITES
    # One handshake for each encrypted resolver; the rest is the cost of the sites.
    facts = cost.run.facts
    assert facts is not None
    exchanged = sum(s.bytes_in for s in steps if isinstance(s, Tls | Http))
    assert facts.bytes_in - exchanged < 40_000 + 1_000 * SITES


def test_a_collector_costs_little_and_knows_what_was_blocked(
    sweep: tuple[FieldTestbed, Cost],
) -> None:
    testbed, alone = sweep
    with FieldCollector(testbed) as collector:
        cost = testbed.probe(collector=collector.url)
    filtered = {site.url for site in testbed.field.sites if site.blocked}
    for record in cost.sites:
        blocked = record.verdict is not None and record.verdict.outcome is Outcome.BLOCKED
        assert blocked is (record.input in filtered), record.input
        assert record.control or record.input not in filtered, record.input
    assert cost.down - alone.down < 4_000 * SITES
    assert cost.up - alone.up < 8_000 * SITES
    assert cost.memory < 80_000_000
