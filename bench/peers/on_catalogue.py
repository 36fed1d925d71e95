"""The laboratory's usual country: every way to block that its catalogue has, and innocent trouble.

The catalogue's truths were written by the authors of the probe. Each program gets a country of its
own that nobody has been in, so that nothing lingers of another's visits.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers import adapter, fakes
from bench.peers.adapter import Ends, Peer
from bench.peers.on_field import OURS, PEERS
from bench.peers.tally import Run, Verdict
from probe.lab import addresses as plan, harness, matrix
from probe.lab.catalogue import catalogue
from probe.lab.scenario import ControlState, Environment, LineSpec, Scenario
from probe.lab.testbed import NetnsTestbed, NodeName

LINE = LineSpec("bench", delay=0.05, rate=20_000_000, queue=256 * 1024)
_WEB = ("web",)
_DIES = "innocent.server_dies_after_control"


def is_default(part: int, parts: int) -> tuple[Scenario, ...]:
    """The scenarios of the one big country, every so many of them, behind our line.

    A site that dies after a control's visit is left out: the peer's control comes with the peer.
    """
    every = [
        each for each in catalogue() if each.environment.is_default and each.experiments == _WEB
    ]
    select_scenarios = (each for each in every[part - 1 :: parts] if each.name != _DIES)
    return matrix.move_to_line(select_scenarios, LINE)


def slowed() -> tuple[Scenario, ...]:
    """Those in which somebody is slow, on purpose or not."""
    every = [each for each in catalogue() if "throttle" in each.experiments]
    lines = {each.line for each in every if each.control is ControlState.FRESH}
    return tuple(each for each in every if each.line == min(lines, key=lambda one: one.name))


def alone() -> tuple[Scenario, ...]:
    """Those that have to be judged with no control."""
    environment = Environment(control=ControlState.NONE)
    every = [
        each for each in catalogue() if each.environment == environment and each.experiments == _WEB
    ]
    return matrix.move_to_line(every, LINE)


def ends(testbed: NetnsTestbed) -> Ends:
    """A country's places; the helper is abroad."""
    places: dict[str, NodeName] = {"client": "client", "internet": "internet", "abroad": "abroad"}
    missing = tuple(one for one in fakes.RESOLVERS if one not in plan.PUBLIC_RESOLVERS)
    return Ends(
        testbed.folder,
        testbed.ca_file,
        lambda place, argv: testbed.wrap(places[place], argv),
        home="client",
        world="internet",
        field_collector="abroad",
        address=plan.ABROAD,
        resolvers=missing,
    )


def run_netns(name: str, scenarios: Sequence[Scenario], limit: int, wanted: str) -> Iterator[Run]:
    """Every program whose name has `wanted` in it, each over a fresh country."""
    for program, concurrency in OURS.items():
        if wanted in program:
            yield _ours(name, program, scenarios, concurrency)
    for program, kind in PEERS.items():
        if wanted in program:
            helped = scenarios[0].control is ControlState.FRESH
            with NetnsTestbed(scenarios) as testbed, Peer(ends(testbed), helped=helped) as peer:
                bill, starting, said = peer.run(testbed.urls(), kind, limit)
                words = {url: one.word for url, one in said.items()}
                asked = len(testbed.urls())
                yield Run(name, program, asked, bill, starting, _verdicts(testbed, words))


def _ours(name: str, program: str, scenarios: Sequence[Scenario], concurrency: int) -> Run:
    control = scenarios[0].control
    with NetnsTestbed(scenarios) as testbed:
        urls = testbed.urls()
        looks = ",".join({one: None for each in scenarios for one in each.experiments})
        with harness.start_harness(testbed, control, urls) as ready:
            found = testbed.folder / "records.jsonl"
            more = ["--quiet", "--seed", "7", "--concurrency", str(concurrency), "-e", looks]
            more += ["--control", "none"] if control is ControlState.NONE else []
            argv = ready.probe_argv(urls, found, *more)
            bill = adapter.metered(ends(testbed), argv, ready.probe_env())
            words: dict[str, str] = {}
            for record in harness.records(found):
                verdict = record.get("verdict")
                if isinstance(verdict, dict) and words.get(str(record["input"])) != "throttled":
                    words[str(record["input"])] = str(verdict["outcome"])
        return Run(name, program, len(urls), bill, 0.0, _verdicts(testbed, words))


def _verdicts(testbed: NetnsTestbed, words: dict[str, str]) -> tuple[Verdict, ...]:
    made = []
    for url in testbed.urls():
        if url in words:
            right = testbed.expect(url)
            also = tuple(str(one) for one in right.also_acceptable)
            made.append(Verdict(url, str(right.outcome), also, words[url]))
    return tuple(made)


def main(part: int, parts: int, limit: int, wanted: str, out: Path) -> None:
    for run in run_netns("country", is_default(part, parts), limit, wanted):
        run.save(out)


def main_special(name: str, limit: int, wanted: str, out: Path) -> None:
    for run in run_netns(name, {"slowed": slowed, "alone": alone}[name](), limit, wanted):
        run.save(out)
