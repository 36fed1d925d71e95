"""Run the catalogue through the real commands and compare each verdict with the right one.

Scenarios with the same environment share a testbed.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from probe.lab.catalogue import catalogue
from probe.lab.harness import Harness, HarnessError, LabTestbed, start_harness
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.scenario import WIRE, Environment, Expect, LineSpec, Scenario
from probe.lab.testbed import NetnsTestbed, NetnsTestbedError


@dataclass(frozen=True, slots=True)
class ActualVerdict:
    """The probe's verdict on one URL.

    Attributes:
        rules: The ids of the matching rules, in order. seconds: duration of the measurement.
    """

    outcome: str
    mechanisms: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    confidence: float = 0.0
    seconds: float = 0.0


MISSING = ActualVerdict("(no record)")


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One URL of one scenario: the right and the actual verdict."""

    scenario: Scenario
    expect: Expect
    actual: ActualVerdict
    run: int = 1

    @property
    def right(self) -> bool:
        """Whether outcome and mechanisms are right."""
        return self.expect.accepts(self.actual.outcome, self.actual.mechanisms)

    @property
    def outcome_right(self) -> bool:
        """Whether the outcome is right."""
        return self.actual.outcome in {self.expect.outcome, *self.expect.also_acceptable}

    @property
    def false_positive(self) -> bool:
        """Whether the verdict reports interference where there is none."""
        return self.expect.is_false_positive(self.actual.outcome)


def select_scenarios(
    pattern: str, scenarios: Iterable[Scenario] | None = None
) -> tuple[Scenario, ...]:
    """The scenarios whose name matches a glob."""
    every = catalogue() if scenarios is None else scenarios
    return tuple(each for each in every if fnmatch(each.name, pattern))


def move_to_line(scenarios: Iterable[Scenario], line: LineSpec) -> tuple[Scenario, ...]:
    """Scenarios with the default line, moved to this line; others are left out."""
    return tuple(replace(each, line=line) for each in scenarios if each.line == WIRE)


def group_by_environment(scenarios: Iterable[Scenario]) -> dict[Environment, list[Scenario]]:
    """Group scenarios that can share a testbed."""
    groups: dict[Environment, list[Scenario]] = {}
    for scenario in scenarios:
        groups.setdefault(scenario.environment, []).append(scenario)
    return groups


def _run_on(
    testbed: LabTestbed,
    environment: Environment,
    scenarios: Sequence[Scenario],
    runs: int,
    seed: int,
) -> Iterator[MatrixRow]:
    settings = "\n".join(each.settings for each in scenarios)
    with start_harness(
        testbed, environment.control, testbed.urls(), environment.control_experiments, settings
    ) as harness:
        for run in range(1, runs + 1):
            actual = _measure(harness, environment, scenarios, seed + run)
            for scenario in scenarios:
                for expect in scenario.expect:
                    url = testbed.url(expect.url)
                    yield MatrixRow(scenario, testbed.expect(url), actual.get(url, MISSING), run)


def _measure(
    harness: Harness, environment: Environment, scenarios: Sequence[Scenario], seed: int
) -> dict[str, ActualVerdict]:
    """The verdicts of one run for each set of experiments."""
    wanted: dict[tuple[str, ...], list[str]] = {}
    for scenario in scenarios:
        urls = wanted.setdefault(scenario.experiments, [])
        urls += [harness.testbed.url(expect.url) for expect in scenario.expect]
    found: dict[str, ActualVerdict] = {}
    control = () if environment.control != "none" else ("--control", "none")
    for experiments, urls in wanted.items():
        argv = ["-e", ",".join(experiments), "--seed", str(seed), *control]
        for record in harness.probe(urls, *argv):
            _merge(found, record)
    return found


def _merge(found: dict[str, ActualVerdict], record: dict[str, object]) -> None:
    """Merge the verdicts of several experiments: `throttled` wins, then that of `web`."""
    verdict = record.get("verdict")
    url, elapsed = str(record.get("input")), record.get("elapsed")
    if not isinstance(verdict, dict):
        return
    actual = ActualVerdict(
        str(verdict["outcome"]),
        tuple(verdict.get("mechanisms", ())),
        tuple(rule["id"] for rule in verdict.get("rules", ())),
        float(verdict.get("confidence", 0.0)),
        float(elapsed) if isinstance(elapsed, int | float) else 0.0,
    )
    if url not in found or actual.outcome == "throttled" or record.get("experiment") == "web":
        found[url] = actual if found.get(url, MISSING).outcome != "throttled" else found[url]


@dataclass(frozen=True, slots=True)
class EnvironmentResult:
    """The rows of one environment, or the problem that prevented them."""

    environment: Environment
    rows: tuple[MatrixRow, ...]
    seconds: float
    problem: str = ""


def run_matrix(
    scenarios: Iterable[Scenario], *, runs: int = 1, seed: int = 1, loopback: bool = False
) -> Iterator[EnvironmentResult]:
    """Run every environment in turn, or all scenarios that can run there on loopback."""
    groups = {Environment(): list(scenarios)} if loopback else group_by_environment(scenarios)
    for environment, group in groups.items():
        began, problem = time.monotonic(), ""
        rows: list[MatrixRow] = []
        testbed = LoopbackTestbed(group) if loopback else NetnsTestbed(group, line=environment.line)
        try:
            with testbed:
                rows.extend(_run_on(testbed, environment, testbed.scenarios, runs, seed))
        except (HarnessError, NetnsTestbedError) as error:
            problem = str(error)
        yield EnvironmentResult(environment, tuple(rows), time.monotonic() - began, problem)
