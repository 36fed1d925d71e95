"""Make golden cases: `python -m probe.lab.capture FOLDER [GLOB] [-e EXPERIMENT] [--records FILE]`.

There are three sources. By default the scenarios whose name matches GLOB are played, and a record
with the verdict that its scenario expects becomes a case with the scenario's sentence. `-e` runs
these experiments as well, once in each simulated network. `--records` plays nothing and takes the
records of a file that the probe wrote. In the last two nothing defines the right verdict, as on
`connectivity` or `speed`, so these cases have no sentence, and `probe.lab.cases.load` rejects them
until the sentence is written.

`condense` cuts a record down to what a rule can read, and keeps the verdict as it was.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
import msgspec
from msgspec.structs import replace

from probe import codec
from probe.judge import judge
from probe.lab.cases import Case, expected, read, text
from probe.lab.harness import start_harness
from probe.lab.matrix import group_by_environment, select_scenarios
from probe.lab.scenario import Environment, Scenario
from probe.lab.testbed import NetnsTestbed
from probe.model import Record

# What no rule reads.
_UNREAD = {
    *("bytes_out", "category", "cipher", "cnames", "datagrams_in", "datagrams_out"),
    *("declared_bytes", "errno", "extensions", "facts", "first_byte_seconds", "limit"),
    *("logged", "verdict", "version", "versions"),
}
# What few rules read and what takes much room: kept only where the verdict needs it.
_BULKY = (
    *("certs", "body", "headers", "links", "chain", "server_hello", "ttl"),
    *("serial", "not_before", "not_after", "issuer", "subject", "local"),
)
_BODY = 1024  # characters of base64 (whole groups of four): enough to know a block page by
_HASH = re.compile(r"((?:aki:|name:)?[0-9a-f]{12})[0-9a-f]{28,}")

_Tree: TypeAlias = dict[str, Any]


def play(pattern: str, experiments: Sequence[str] = ()) -> Iterator[tuple[str, Case]]:
    """Play the scenarios of that name; give back the name and the case of each right record.

    Of several targets of one scenario with the same verdict, one is enough.
    """
    for environment, scenarios in group_by_environment(select_scenarios(pattern)).items():
        played = _play(environment, scenarios, experiments)
        distinct = {(name_of(case), case.expect): case for case in reversed(list(played))}
        names = [name for name, _ in distinct]
        for (name, _), case in reversed(distinct.items()):
            scheme, _, rest = case.record.input.partition("://")
            target = f"_{_words(rest)}_{scheme}" if names.count(name) > 1 else ""
            yield name + target, case


def name_of(case: Case) -> str:
    """`<experiment>/<scenario>`, without saying twice what the folder says."""
    experiment = case.record.experiment
    words = _words(case.scenario or "").split("_")
    for said in ("services", experiment):
        words = words[words[0] == said and len(words) > 1 :]
    return f"{experiment}/{'_'.join(words)}"


def _words(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _play(
    environment: Environment, scenarios: list[Scenario], experiments: Sequence[str]
) -> Iterator[Case]:
    settings = "\n".join(each.settings for each in scenarios)
    owners = {expect.url: scenario for scenario in scenarios for expect in scenario.expect}
    with (
        NetnsTestbed(scenarios, line=environment.line) as testbed,
        start_harness(
            testbed, environment.control, testbed.urls(), environment.control_experiments, settings
        ) as harness,
    ):
        control = () if environment.control != "none" else ("--control", "none")

        def measured(urls: Sequence[str], wanted: Sequence[str]) -> Iterator[Record]:
            for found in harness.probe(urls, "-e", ",".join(wanted), *control):
                yield msgspec.convert(found, Record)

        for wanted in {scenario.experiments for scenario in scenarios}:
            urls = [url for url, owner in owners.items() if owner.experiments == wanted]
            for record in measured(urls, wanted):
                if record.input in owners and _is_right(testbed, record):
                    shows = testbed.expect(record.input).why
                    yield make(record, shows=shows, scenario=owners[record.input].name)
        for record in measured(list(owners)[:1], experiments) if experiments else ():
            if record.experiment in experiments:
                yield make(record, scenario=scenarios[0].name)


def _is_right(testbed: NetnsTestbed, record: Record) -> bool:
    """Whether the verdict is the one that the scenario expects."""
    found = record.verdict
    expect = testbed.expect(record.input)
    return found is not None and expect.accepts(found.outcome, found.mechanisms)


def from_records(path: Path, experiments: Sequence[str] = ()) -> Iterator[tuple[str, Case]]:
    """A case without a sentence for each judged record of a file (of these experiments, if any)."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        record = codec.decode(line)
        if record.verdict is not None and (not experiments or record.experiment in experiments):
            yield f"{record.experiment}/{_words(path.stem)}_{number}", make(record)


def make(record: Record, *, shows: str = "", scenario: str | None = None) -> Case:
    """A case of a record, cut down to what judging it needs."""
    expect = expected(judge(record))
    return Case(shows=shows, scenario=scenario, expect=expect, record=condense(record))


def condense(record: Record) -> Record:
    """The record without what no rule reads, and without bulk that its verdict does not need."""
    expect = expected(judge(record))
    tree: _Tree = msgspec.to_builtins(record)
    least = {key: tree["vantage"][key] for key in ("role", "country")}
    trials: list[Callable[[_Tree], _Tree]] = [
        lambda tree: {**_mapped(tree, _without_unread), "vantage": least},
        lambda tree: _mapped(tree, _shorter),
    ]
    trials += [partial(_mapped, change=partial(_without, field)) for field in _BULKY]
    for trial in trials:
        smaller = trial(tree)
        if expected(judge(msgspec.convert(smaller, Record))) == expect:
            tree = smaller
    return msgspec.convert(tree, Record)


def _mapped(value: Any, change: Callable[[str, Any], Any], key: str = "") -> Any:
    """Apply a change to each value of a tree, with the key it stands under; None leaves it out."""
    if isinstance(value, dict):
        items = ((name, _mapped(item, change, name)) for name, item in value.items())
        return change(key, {name: item for name, item in items if item is not None})
    if isinstance(value, list | tuple):
        return change(key, [_mapped(item, change) for item in value])
    return change(key, value)


def _without_unread(key: str, value: Any) -> Any:
    return None if key in _UNREAD else value


def _without(field: str, key: str, value: Any) -> Any:
    # `ttl` is read where it is a number (of `Travel`), and not where it is a list (of `Reply`).
    return None if key == field and not isinstance(value, int) else value


def _shorter(key: str, value: Any) -> Any:
    """Milliseconds, the beginning of a hash, the beginning of a page."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, str):
        return _HASH.sub(r"\1", value[:_BODY] if key == "body" else value)
    return value


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("pattern", default="*", metavar="[GLOB]")
@click.option("-e", "experiments", multiple=True, metavar="NAME", help="Run these as well.")
@click.option(
    "--records",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play nothing: take these records.",
)
def main(folder: Path, pattern: str, experiments: tuple[str, ...], records: Path | None) -> None:
    """Write golden cases into FOLDER: of the lab's scenarios, or of a file of records."""
    found = play(pattern, experiments) if records is None else from_records(records, experiments)
    for name, case in found:
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        shows = read(path).shows if path.exists() else case.shows  # a person wrote that one
        path.write_text(text(replace(case, shows=shows)), encoding="utf-8")
        click.echo(f"{path}: {case.expect.outcome} by {case.expect.rule}")
        if not shows:
            click.echo("    check the verdict, then say in `shows` what the case shows")


if __name__ == "__main__":
    main()
