"""Fixtures of the end-to-end tests: testbeds, and a collector, a control and a probe in them.

Without network namespaces, tests with `make_netns_testbed` skip, and those with `make_testbed` run
on loopback.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from probe.lab.harness import Harness, LabTestbed
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.scenario import Scenario
from probe.lab.testbed import NetnsTestbed, unavailable_reason

MakeNetnsTestbed = Callable[..., NetnsTestbed]
MakeTestbed = Callable[[list[Scenario]], LabTestbed]
MakeHarness = Callable[[LabTestbed], Harness]


@pytest.fixture
def make_netns_testbed() -> Iterator[MakeNetnsTestbed]:
    """Build testbeds that end with the test: `make_netns_testbed(scenarios, line=…)`."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(f"no namespaces: {reason}")
    with ExitStack() as stack:
        yield lambda *given, **named: stack.enter_context(NetnsTestbed(*given, **named))


@pytest.fixture
def make_testbed() -> Iterator[MakeTestbed]:
    """Build a testbed in namespaces if possible, else on loopback."""
    with ExitStack() as stack:
        if unavailable_reason() is not None:
            yield lambda scenarios: stack.enter_context(LoopbackTestbed(scenarios))
        else:
            yield lambda scenarios: stack.enter_context(NetnsTestbed(scenarios))


@pytest.fixture
def make_harness() -> MakeHarness:
    """Start a collector, let a control measure everything, and give consent."""

    def make(testbed: LabTestbed) -> Harness:
        harness = Harness(testbed)
        harness.start_collector(testbed.urls())
        harness.start_control(testbed.urls())
        harness.consent()
        return harness

    return make
