"""The field: many working sites, and a censor that drops some names' ClientHellos."""

from collections.abc import Iterator
from pathlib import Path

from bench.field import plan as plans
from bench.field.plan import Spec
from bench.field.testbed import FieldTestbed
from bench.peers import fakes
from bench.peers.adapter import CLASSIC, LATEST, Peer, PeerNodes, ResourceUsage
from bench.peers.tally import Run, Verdict

PEERS = {"miniooni, LTE 0.5.28": LATEST, "miniooni, classic 0.4.3": CLASSIC}
OURS = {"qazprobe, 16 at once": 16, "qazprobe, 64 at once": 64}
ONE = {"qazprobe, 1 at once": 1}  # like the peer


def peer_nodes(testbed: FieldTestbed) -> PeerNodes:
    """The nodes of a field; the helper runs on the sites' node."""
    missing = tuple(one for one in fakes.RESOLVERS if one not in plans.PUBLIC_RESOLVERS)
    return PeerNodes(
        testbed.folder,
        testbed.folder / "ca.pem",
        lambda node, argv: testbed.inside(argv, node),
        home="home",
        internet="internet",
        helper="internet",
        address=fakes.ADDRESS,
        resolvers=missing,
    )


def run_programs(spec: Spec, limit: int, wanted: str) -> Iterator[Run]:
    """Run every program whose name contains `wanted` in one field."""
    name = f"field, {spec.sites} sites, {spec.blocked:.0%} dropped"
    with FieldTestbed(spec) as testbed:
        urls = testbed.urls()
        filtered = {site.url for site in testbed.field.sites if site.blocked}
        for program, concurrency in {**ONE, **OURS}.items():
            if wanted in program:
                cost = testbed.probe(concurrency=concurrency)
                usage = ResourceUsage(
                    cost.seconds, cost.cpu, cost.memory, cost.exit, cost.down, cost.up
                )
                verdicts = {r.input: str(r.verdict.outcome) for r in cost.sites if r.verdict}
                yield Run(name, program, len(urls), usage, 0.0, _verdicts(verdicts, filtered))
        peers = {program: kind for program, kind in PEERS.items() if wanted in program}
        if not peers:
            return
        with Peer(peer_nodes(testbed)) as peer:
            for program, kind in peers.items():
                usage, starting, results = peer.run(urls, kind, limit)
                verdicts = {url: one.verdict for url, one in results.items()}
                yield Run(name, program, len(urls), usage, starting, _verdicts(verdicts, filtered))


def _verdicts(verdicts: dict[str, str], filtered: set[str]) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(url, "blocked" if url in filtered else "ok", (), verdict)
        for url, verdict in verdicts.items()
    )


def main(sites: int, blocked: float, limit: int, wanted: str, out: Path) -> None:
    for run in run_programs(Spec(sites=sites, blocked=blocked), limit, wanted):
        run.save(out)
