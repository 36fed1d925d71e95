"""What end-to-end tests stand on: a country with a collector, a control and a volunteer in it.

Where namespaces are not allowed, tests that ask for a country skip and say why; those that ask for
`ground` are played on the street.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from probe.lab.harness import Ground, Harness
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.scenario import Scenario
from probe.lab.testbed import NetnsTestbed, obstacle

MakeCountry = Callable[..., NetnsTestbed]
MakeGround = Callable[[list[Scenario]], Ground]
MakeStage = Callable[[Ground], Harness]


@pytest.fixture
def make_country() -> Iterator[MakeCountry]:
    """Build countries that end with the test: `make_country(scenarios, line=…)`."""
    reason = obstacle()
    if reason is not None:
        pytest.skip(f"no namespaces: {reason}")
    with ExitStack() as stack:
        yield lambda *given, **named: stack.enter_context(NetnsTestbed(*given, **named))


@pytest.fixture
def make_ground() -> Iterator[MakeGround]:
    """Build a country, or a street where there can be none."""
    with ExitStack() as stack:
        if obstacle() is not None:
            yield lambda scenarios: stack.enter_context(LoopbackTestbed(scenarios))
        else:
            yield lambda scenarios: stack.enter_context(NetnsTestbed(scenarios))


@pytest.fixture
def make_stage() -> MakeStage:
    """Start a collector at a ground, let a control look at everything, and consent."""

    def make(ground: Ground) -> Harness:
        stage = Harness(ground)
        stage.start_collector(ground.urls())
        stage.start_control(ground.urls())
        stage.consent()
        return stage

    return make
