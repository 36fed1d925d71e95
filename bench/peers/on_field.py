"""The field: many sites that are fine, and a censor that drops some names' ClientHellos."""

from collections.abc import Iterator
from pathlib import Path

from bench.field import plan as plans
from bench.field.plan import Spec
from bench.field.testbed import Cost, FieldTestbed
from bench.peers import fakes
from bench.peers.adapter import CLASSIC, LATEST, Bill, Ends, Peer
from bench.peers.tally import Run, Verdict

PEERS = {"miniooni, LTE 0.5.28": LATEST, "miniooni, classic 0.4.3": CLASSIC}
OURS = {"qazprobe, 16 at once": 16, "qazprobe, 64 at once": 64}
ONE = {"qazprobe, 1 at once": 1}  # as the peer does it


def ends(testbed: FieldTestbed) -> Ends:
    """A field's places; the helper stands where the sites are."""
    missing = tuple(one for one in fakes.RESOLVERS if one not in plans.PUBLIC_RESOLVERS)
    return Ends(
        testbed.folder,
        testbed.folder / "ca.pem",
        lambda place, argv: testbed.inside(argv, place),
        home="home",
        world="world",
        field_collector="world",
        address=fakes.ADDRESS,
        resolvers=missing,
    )


def play(spec: Spec, limit: int, wanted: str) -> Iterator[Run]:
    """Every program whose name has `wanted` in it, over one field."""
    name = f"field, {spec.sites} sites, {spec.blocked:.0%} dropped"
    with FieldTestbed(spec) as testbed:
        urls = testbed.urls()
        shut = {site.url for site in testbed.field.sites if site.blocked}
        for program, concurrency in {**ONE, **OURS}.items():
            if wanted in program:
                cost = testbed.probe(concurrency=concurrency)
                words = {r.input: str(r.verdict.outcome) for r in cost.sites if r.verdict}
                yield Run(name, program, len(urls), _bill(cost), 0.0, _verdicts(words, shut))
        peers = {program: kind for program, kind in PEERS.items() if wanted in program}
        if not peers:
            return
        with Peer(ends(testbed)) as peer:
            for program, kind in peers.items():
                bill, starting, said = peer.run(urls, kind, limit)
                words = {url: one.word for url, one in said.items()}
                yield Run(name, program, len(urls), bill, starting, _verdicts(words, shut))


def _bill(cost: Cost) -> Bill:
    return Bill(cost.seconds, cost.cpu, cost.memory, cost.exit, cost.down, cost.up)


def _verdicts(words: dict[str, str], shut: set[str]) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(url, "blocked" if url in shut else "ok", (), word) for url, word in words.items()
    )


def main(sites: int, blocked: float, limit: int, wanted: str, out: Path) -> None:
    for run in play(Spec(sites=sites, blocked=blocked), limit, wanted):
        run.save(out)
