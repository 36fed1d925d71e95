"""The lab's catalogue: all its interference, and its broken sites.

The catalogue's truths were written by the authors of the probe. Each program gets a new testbed, so
that no residual effect of another program remains.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers import adapter, fakes
from bench.peers.adapter import Peer, PeerNodes
from bench.peers.on_field import OURS, PEERS
from bench.peers.tally import Run, Verdict
from probe.lab import addresses as plan, harness, matrix
from probe.lab.catalogue import catalogue
from probe.lab.scenario import ControlState, Environment, LineSpec, Scenario
from probe.lab.testbed import NetnsTestbed, NodeName

LINE = LineSpec("bench", delay=0.05, rate=20_000_000, queue=256 * 1024)
_WEB = ("web",)
_DIES_AFTER_CONTROL = "innocent.server_dies_after_control"


def default_scenarios(part: int, parts: int) -> tuple[Scenario, ...]:
    """Part `part` of `parts` of the default scenarios, behind the benchmark's line.

    The site that dies after a control's visit is left out: the peer runs its control itself.
    """
    every = [
        each for each in catalogue() if each.environment.is_default and each.experiments == _WEB
    ]
    selected = (each for each in every[part - 1 :: parts] if each.name != _DIES_AFTER_CONTROL)
    return matrix.move_to_line(selected, LINE)


def throttled_scenarios() -> tuple[Scenario, ...]:
    """The scenarios with throttling or a slow server."""
    every = [each for each in catalogue() if "throttle" in each.experiments]
    lines = {each.line for each in every if each.control is ControlState.FRESH}
    return tuple(each for each in every if each.line == min(lines, key=lambda one: one.name))


def uncontrolled_scenarios() -> tuple[Scenario, ...]:
    """The scenarios without a control."""
    environment = Environment(control=ControlState.NONE)
    every = [
        each for each in catalogue() if each.environment == environment and each.experiments == _WEB
    ]
    return matrix.move_to_line(every, LINE)


def peer_nodes(testbed: NetnsTestbed) -> PeerNodes:
    """The nodes of a testbed; the helper is abroad."""
    nodes: dict[str, NodeName] = {"client": "client", "internet": "internet", "abroad": "abroad"}
    missing = tuple(one for one in fakes.RESOLVERS if one not in plan.PUBLIC_RESOLVERS)
    return PeerNodes(
        testbed.folder,
        testbed.ca_file,
        lambda node, argv: testbed.wrap(nodes[node], argv),
        home="client",
        internet="internet",
        helper="abroad",
        address=plan.ABROAD,
        resolvers=missing,
    )


def run_programs(
    name: str, scenarios: Sequence[Scenario], limit: int, wanted: str
) -> Iterator[Run]:
    """Run every program whose name contains `wanted`, each in a new testbed."""
    for program, concurrency in OURS.items():
        if wanted in program:
            yield _run_probe(name, program, scenarios, concurrency)
    for program, kind in PEERS.items():
        if wanted in program:
            with_helper = scenarios[0].control is ControlState.FRESH
            with (
                NetnsTestbed(scenarios) as testbed,
                Peer(peer_nodes(testbed), with_helper=with_helper) as peer,
            ):
                usage, starting, results = peer.run(testbed.urls(), kind, limit)
                verdicts = {url: one.verdict for url, one in results.items()}
                asked = len(testbed.urls())
                yield Run(name, program, asked, usage, starting, _verdicts(testbed, verdicts))


def _run_probe(name: str, program: str, scenarios: Sequence[Scenario], concurrency: int) -> Run:
    control = scenarios[0].control
    with NetnsTestbed(scenarios) as testbed:
        urls = testbed.urls()
        experiments = ",".join({one: None for each in scenarios for one in each.experiments})
        with harness.start_harness(testbed, control, urls) as lab_harness:
            found = testbed.folder / "records.jsonl"
            more = ["--quiet", "--seed", "7", "--concurrency", str(concurrency), "-e", experiments]
            more += ["--control", "none"] if control is ControlState.NONE else []
            argv = lab_harness.probe_argv(urls, found, *more)
            usage = adapter.metered(peer_nodes(testbed), argv, lab_harness.probe_env())
            verdicts: dict[str, str] = {}
            for record in harness.records(found):
                verdict = record.get("verdict")
                if isinstance(verdict, dict) and verdicts.get(str(record["input"])) != "throttled":
                    verdicts[str(record["input"])] = str(verdict["outcome"])
        return Run(name, program, len(urls), usage, 0.0, _verdicts(testbed, verdicts))


def _verdicts(testbed: NetnsTestbed, verdicts: dict[str, str]) -> tuple[Verdict, ...]:
    made = []
    for url in testbed.urls():
        if url in verdicts:
            right = testbed.expect(url)
            also = tuple(str(one) for one in right.also_acceptable)
            made.append(Verdict(url, str(right.outcome), also, verdicts[url]))
    return tuple(made)


def main(part: int, parts: int, limit: int, wanted: str, out: Path) -> None:
    for run in run_programs("catalogue", default_scenarios(part, parts), limit, wanted):
        run.save(out)


def main_special(name: str, limit: int, wanted: str, out: Path) -> None:
    for run in run_programs(
        name,
        {"throttled": throttled_scenarios, "uncontrolled": uncontrolled_scenarios}[name](),
        limit,
        wanted,
    ):
        run.save(out)
