"""The probe, the probe before, and OONI's client in one run: what a target costs each of them.

    git worktree add /tmp/before HEAD~50
    python -m bench.peers.build
    python -m bench.side_by_side [--sites 300] [--blocked 0 0.1] [--before /tmp/before]
                                 [--collector] [--peer-sites 50] [--concurrency 64]

All measure the same sites in turn, behind the same line and censor, each on the same core. The peer
measures one site after another, so it gets a part of them; without its program there is no row of
it, and its seconds begin with its first target. `--collector` gives the probe a collector and
control measurements, as the helper gives them to the peer.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from bench.field.collector import FieldCollector
from bench.field.plan import Spec
from bench.field.testbed import FieldTestbed, machine
from bench.peers import build
from bench.peers.adapter import LATEST, Peer, ResourceUsage
from bench.peers.on_field import peer_nodes

_HEAD = (
    f"{'':24}{'targets':>9}{'seconds':>9}{'a minute':>10}{'ms CPU':>8}{'MB':>6}{'KB down':>9}"
    f"{'KB up':>7}{'wrong':>7}"
)
_FINE, _STOPPED = frozenset({"ok", "accessible"}), frozenset({"blocked", "http-failure"})


def row(name: str, count: int, usage: ResourceUsage, wrong: int) -> str:
    """One line of the table."""
    return (
        f"{name:24}{count:9}{usage.seconds:9.1f}{60 * count / usage.seconds:10.0f}"
        f"{1000 * usage.cpu / count:8.1f}{usage.memory / 1e6:6.0f}"
        f"{usage.down / count / 1000:9.1f}{usage.up / count / 1000:7.1f}{wrong:7}"
    )


def wrong(verdicts: dict[str, str], shut: frozenset[str]) -> int:
    """How many verdicts are not what the censor did."""
    right = {
        url: verdict in (_STOPPED if url in shut else _FINE) for url, verdict in verdicts.items()
    }
    return list(right.values()).count(False)


def rows(spec: Spec, options: argparse.Namespace) -> Iterator[str]:
    """The rows of one field."""
    trees: dict[str, Path | None] = {"qazprobe before": options.before} if options.before else {}
    with (
        FieldTestbed(spec) as testbed,
        FieldCollector(testbed) if options.collector else nullcontext(None) as field_collector,
    ):
        shut = frozenset(site.url for site in testbed.field.sites if site.blocked)
        for name, tree in {**trees, "qazprobe": None}.items():
            cost = testbed.probe(
                concurrency=options.concurrency,
                collector=field_collector.url if field_collector is not None else None,
                tree=tree,
            )
            found = {r.input: str(r.verdict and r.verdict.outcome) for r in cost.sites}
            usage = ResourceUsage(
                cost.seconds, cost.cpu, cost.memory, cost.exit, cost.down, cost.up
            )
            yield row(name, len(found), usage, wrong(found, shut))
        if (build.folder() / "bin" / "miniooni").exists():
            yield _peer(testbed, testbed.urls()[: options.peer_sites], shut)


def _peer(testbed: FieldTestbed, urls: Sequence[str], shut: frozenset[str]) -> str:
    with Peer(peer_nodes(testbed)) as peer:
        usage, starting, results = peer.run(urls, LATEST, 420)
    usage = replace(usage, seconds=usage.seconds - starting)
    found = {url: one.verdict for url, one in results.items()}
    return row("miniooni, LTE 0.5.28", len(found), usage, wrong(found, shut))


def main() -> None:
    parser = argparse.ArgumentParser(description="The probe beside itself before, and the peer.")
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--blocked", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--before", type=Path, metavar="TREE", help="another copy of the project")
    parser.add_argument("--collector", action="store_true", help="with a collector and a control")
    parser.add_argument("--peer-sites", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--round-trip", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=20e6, help="bits a second each way")
    options = parser.parse_args()
    print(machine())
    for blocked in options.blocked:
        line = f"{1000 * options.round_trip:.0f} ms, {options.rate / 1e6:g} Mbit/s"
        print(f"\n{options.sites} sites, {blocked:.0%} blocked, {line}\n{_HEAD}", flush=True)
        spec = Spec(
            sites=options.sites,
            blocked=blocked,
            round_trip=options.round_trip,
            rate=options.rate,
        )
        for line in rows(spec, options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
