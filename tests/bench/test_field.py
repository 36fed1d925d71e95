"""What a sweep costs, counted and not timed: connections, bytes, memory, verdicts."""

from collections.abc import Iterator
from statistics import median

import pytest

from bench.field.collector import FieldCollector
from bench.field.plan import Spec
from bench.field.testbed import Cost, FieldTestbed
from probe.lab.testbed import unavailable_reason
from probe.model import Dns, Http, Outcome, Role, Tcp, Tls

SITES = 50

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]


@pytest.fixture(scope="module")
def swept() -> Iterator[tuple[FieldTestbed, Cost]]:
    with FieldTestbed(Spec(sites=SITES, blocked=0.1, round_trip=0.02)) as testbed:
        yield testbed, testbed.probe()


def test_every_verdict_is_right(swept: tuple[FieldTestbed, Cost]) -> None:
    testbed, cost = swept
    shut = {site.url for site in testbed.field.sites if site.blocked}
    found = {record.input: record.verdict and record.verdict.outcome for record in cost.sites}
    assert shut
    assert len(found) == SITES
    for url, outcome in found.items():
        assert outcome is (Outcome.BLOCKED if url in shut else Outcome.OK), url


def test_a_site_that_simply_works_is_connected_to_once_a_hop(
    swept: tuple[FieldTestbed, Cost],
) -> None:
    testbed, cost = swept
    plain = {site.url for site in testbed.field.sites if site.secure and not site.blocked}
    for record in cost.sites:
        if record.input in plain:
            hops = {step.hop for step in record.steps if isinstance(step, Http)}
            connections = [step for step in record.steps if isinstance(step, Tcp)]
            assert len(connections) == len(hops), record.input
            questions = [step for step in record.steps if isinstance(step, Dns)]
            assert len(questions) <= 3 * len(hops)


def test_a_sweep_is_light(swept: tuple[FieldTestbed, Cost]) -> None:
    _, cost = swept
    pages = [s for r in cost.sites for s in r.steps if isinstance(s, Http) and s.proven]
    # What comes slowly is read farther, and here a busy machine may be what makes it slow.
    usual = [page for page in pages if page.elapsed < 0.5]
    assert len(usual) > len(pages) / 2
    # Over HTTP/1.1 at most two whole TLS records, and what was on its way by then.
    assert max(page.bytes_in for page in usual) < 60_000
    assert median(page.bytes_in for page in usual) < 24_000
    farther = sum(page.bytes_in for page in pages if page.elapsed >= 0.5)
    # Of this 6,000 a site are the anchors, and the resolvers' greeting.
    assert (cost.down - farther) / SITES < 48_000
    assert cost.up / SITES < 8_000
    assert cost.memory < 80_000_000


def test_second_looks_cost_less_than_first_ones(swept: tuple[FieldTestbed, Cost]) -> None:
    _, cost = swept
    pages = [s for r in cost.sites for s in r.steps if isinstance(s, Http)]
    again = [s for s in pages if s.try_ > 1 or s.role is not Role.TARGET]
    assert sum(s.bytes_in for s in again) < sum(s.bytes_in for s in pages) / 2


def test_names_are_asked_for_a_few_times_and_over_connections_that_stay(
    swept: tuple[FieldTestbed, Cost],
) -> None:
    _, cost = swept
    steps = [step for record in cost.records for step in record.steps]
    questions = [step for record in cost.sites for step in record.steps if isinstance(step, Dns)]
    assert len(questions) < 8 * SITES
    # One handshake for each encrypted resolver, and no more: the rest is what sites cost.
    facts = cost.run.facts
    assert facts is not None
    exchanged = sum(s.bytes_in for s in steps if isinstance(s, Tls | Http))
    assert facts.bytes_in - exchanged < 40_000 + 1_000 * SITES


def test_a_collector_costs_little_and_knows_what_was_blocked(
    swept: tuple[FieldTestbed, Cost],
) -> None:
    testbed, alone = swept
    with FieldCollector(testbed) as field_collector:
        cost = testbed.probe(collector=field_collector.url)
    shut = {site.url for site in testbed.field.sites if site.blocked}
    for record in cost.sites:
        blocked = record.verdict is not None and record.verdict.outcome is Outcome.BLOCKED
        assert blocked is (record.input in shut), record.input
        assert record.control or record.input not in shut, record.input
    assert cost.down - alone.down < 4_000 * SITES
    assert cost.up - alone.up < 8_000 * SITES
    assert cost.memory < 90_000_000
