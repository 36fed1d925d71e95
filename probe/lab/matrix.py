"""Play the catalogue through the real commands and set what came out beside what is right.

One country for each climate: scenarios with the usual line and control share one.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from probe.lab.catalogue import catalogue
from probe.lab.harness import Ground, Harness, StageError, stage
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.scenario import WIRE, Environment, Expect, LineSpec, Scenario
from probe.lab.testbed import CountryError, NetnsTestbed


@dataclass(frozen=True, slots=True)
class Got:
    """What the probe said of one URL.

    Attributes:
        rules: The rules that held, in order. seconds: how long the record took.
    """

    outcome: str
    mechanisms: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    confidence: float = 0.0
    seconds: float = 0.0


MISSING = Got("(no record)")


@dataclass(frozen=True, slots=True)
class Row:
    """One URL of one scenario: what is right, and what came out."""

    scenario: Scenario
    expect: Expect
    got: Got
    run: int = 1

    @property
    def right(self) -> bool:
        """The outcome and the mechanisms are right."""
        return self.expect.accepts(self.got.outcome, self.got.mechanisms)

    @property
    def outcome_right(self) -> bool:
        """The outcome is, whatever the mechanisms."""
        return self.got.outcome in {self.expect.outcome, *self.expect.also_acceptable}

    @property
    def false_accusation(self) -> bool:
        """The network is accused of what it did not do."""
        return self.expect.accuses_falsely(self.got.outcome)


def chosen(pattern: str, scenarios: Iterable[Scenario] | None = None) -> tuple[Scenario, ...]:
    """The scenarios whose name matches a glob."""
    every = catalogue() if scenarios is None else scenarios
    return tuple(each for each in every if fnmatch(each.name, pattern))


def on_line(scenarios: Iterable[Scenario], line: LineSpec) -> tuple[Scenario, ...]:
    """Scenarios with the usual line, moved to another one; those with their own are left out."""
    return tuple(replace(each, line=line) for each in scenarios if each.line == WIRE)


def by_climate(scenarios: Iterable[Scenario]) -> dict[Environment, list[Scenario]]:
    """Scenarios that can share a country, together."""
    groups: dict[Environment, list[Scenario]] = {}
    for scenario in scenarios:
        groups.setdefault(scenario.climate, []).append(scenario)
    return groups


def play(
    climate: Environment, scenarios: Sequence[Scenario], *, runs: int = 1, seed: int = 1
) -> Iterator[Row]:
    """Build one country, run everything in it, and compare."""
    with NetnsTestbed(scenarios, line=climate.line, seed=seed) as country:
        yield from _play_on(country, climate, scenarios, runs, seed)


def play_street(scenarios: Sequence[Scenario], *, runs: int = 1, seed: int = 1) -> Iterator[Row]:
    """The same on loopback, with the scenarios that can be played there."""
    with LoopbackTestbed(scenarios) as street:
        yield from _play_on(street, Environment(), street.scenarios, runs, seed)


def _play_on(
    ground: Ground, climate: Environment, scenarios: Sequence[Scenario], runs: int, seed: int
) -> Iterator[Row]:
    settings = "\n".join(each.settings for each in scenarios)
    with stage(ground, climate.control, ground.urls(), climate.looks, settings) as ready:
        for run in range(1, runs + 1):
            got = _measure(ready, climate, scenarios, seed + run)
            for scenario in scenarios:
                for expect in scenario.expect:
                    url = ground.url(expect.url)
                    yield Row(scenario, ground.expect(url), got.get(url, MISSING), run)


def _measure(
    ready: Harness, climate: Environment, scenarios: Sequence[Scenario], seed: int
) -> dict[str, Got]:
    """One run for each set of experiments that scenarios ask for."""
    wanted: dict[tuple[str, ...], list[str]] = {}
    for scenario in scenarios:
        urls = wanted.setdefault(scenario.experiments, [])
        urls += [ready.ground.url(expect.url) for expect in scenario.expect]
    found: dict[str, Got] = {}
    control = () if climate.control != "none" else ("--control", "none")
    for experiments, urls in wanted.items():
        argv = ["-e", ",".join(experiments), "--seed", str(seed), *control]
        for record in ready.probe(urls, *argv):
            _merge(found, record)
    return found


def _merge(found: dict[str, Got], record: dict[str, object]) -> None:
    """Keep the stronger of two experiments' words: throttling is what `web` can not see."""
    verdict = record.get("verdict")
    url = str(record.get("input"))
    if not isinstance(verdict, dict):
        return
    got = Got(
        str(verdict["outcome"]),
        tuple(verdict.get("mechanisms", ())),
        tuple(rule["id"] for rule in verdict.get("rules", ())),
        float(verdict.get("confidence", 0.0)),
        _seconds(record.get("elapsed")),
    )
    if url not in found or got.outcome == "throttled" or record.get("experiment") == "web":
        found[url] = got if found.get(url, MISSING).outcome != "throttled" else found[url]


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of one climate, or the problem that stopped it."""

    climate: Environment
    rows: tuple[Row, ...]
    seconds: float
    problem: str = ""


def play_all(
    scenarios: Iterable[Scenario], *, runs: int = 1, seed: int = 1, street: bool = False
) -> Iterator[Played]:
    """Every climate in turn, or the one street."""
    groups = {Environment(): list(scenarios)} if street else by_climate(scenarios)
    for climate, group in groups.items():
        began, problem = time.monotonic(), ""
        rows: list[Row] = []
        found = (
            play_street(group, runs=runs, seed=seed)
            if street
            else play(climate, group, runs=runs, seed=seed)
        )
        try:
            rows.extend(found)
        except (StageError, CountryError) as error:
            problem = str(error)
        yield Played(climate, tuple(rows), time.monotonic() - began, problem)
