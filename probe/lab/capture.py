"""Keep what the probe saw in the lab as golden cases: `python -m probe.lab.capture FOLDER [GLOB]`.

One line a record, in `FOLDER/<experiment>/<layer>.jsonl`: the scenario, what is right, and the
record without its certificates and its verdict, so that judging it again is the test. Only records
whose verdict was right are kept: a case is an example of the rules, not of their gaps.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from probe.lab.harness import stage
from probe.lab.matrix import by_climate, chosen
from probe.lab.scenario import Environment, Expect, Scenario
from probe.lab.testbed import NetnsTestbed
from probe.model import Data, Http, Record, Step

_BODY = 1024  # characters of base64: whole groups of four


class Case(Data, frozen=True, kw_only=True):
    """One captured record and the right verdict on it."""

    scenario: str
    outcome: str
    mechanisms: tuple[str, ...] = ()
    record: Record


def capture(folder: Path, pattern: str = "*") -> Iterator[str]:
    """Play the scenarios of that name and write their cases; say what was kept, file by file."""
    lines: dict[Path, list[bytes]] = {}
    for climate, scenarios in by_climate(chosen(pattern)).items():
        for case in _play(climate, scenarios):
            layer = case.scenario.partition(".")[0]
            path = folder / case.record.experiment / f"{layer}.jsonl"
            lines.setdefault(path, []).append(_small(case))
        _write(lines)
        yield f"{climate}: {sum(map(len, lines.values()))} cases so far"


def _write(lines: dict[Path, list[bytes]]) -> None:
    for path, cases in lines.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\n".join(cases) + b"\n")


def _play(climate: Environment, scenarios: list[Scenario]) -> Iterator[Case]:
    settings = "\n".join(each.settings for each in scenarios)
    owners = {expect.url: scenario for scenario in scenarios for expect in scenario.expect}
    with (
        NetnsTestbed(scenarios, line=climate.line) as country,
        stage(country, climate.control, country.urls(), climate.looks, settings) as ready,
    ):
        control = () if climate.control != "none" else ("--control", "none")
        for experiments in {scenario.experiments for scenario in scenarios}:
            urls = [url for url, owner in owners.items() if owner.experiments == experiments]
            for found in ready.probe(urls, "-e", ",".join(experiments), *control):
                record = msgspec.convert(found, Record)
                owner = owners.get(record.input)
                if owner is not None:
                    yield from _right(owner, country.expect(record.input), record)


def _right(scenario: Scenario, expect: Expect, record: Record) -> Iterator[Case]:
    verdict = record.verdict
    if verdict is None or not expect.accepts(verdict.outcome, verdict.mechanisms):
        return
    steps = tuple(map(_shorter, record.steps))
    bare = msgspec.structs.replace(record, steps=steps, certs={}, verdict=None)
    yield Case(
        scenario=scenario.name,
        outcome=verdict.outcome,
        mechanisms=tuple(verdict.mechanisms),
        record=bare,
    )


def _shorter(step: Step) -> Step:
    """The beginning of a page is enough to know a block page by."""
    if isinstance(step, Http) and step.body:
        return msgspec.structs.replace(step, body=step.body[:_BODY])
    return step


def _small(case: Case) -> bytes:
    return msgspec.json.encode(_without_nothing(msgspec.to_builtins(case)))


def _without_nothing(value: Any) -> Any:
    """The same without what was not known: reading it gives that back.

    That no name was offered is something that must be said.
    """
    if isinstance(value, dict):
        kept = ((key, _without_nothing(item)) for key, item in value.items())
        return {key: item for key, item in kept if key == "sni" or item not in (None, [], {})}
    if isinstance(value, list | tuple):
        return [_without_nothing(item) for item in value]
    return value


if __name__ == "__main__":
    for said in capture(Path(sys.argv[1]), *sys.argv[2:3]):
        print(said, flush=True)  # noqa: T201 - its output
