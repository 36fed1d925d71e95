"""Where the time of a run goes when most of its sites misbehave, or what is compared with them.

    python -m bench.misbehaving [--line as-is anchors missing resolvers closing mute refusing slow
                                        one shared resigned every]
                                [--profile web default] [--round-trip 0.1] [--concurrency 16]
                                [--sites N]

Seventy sites, of which 15 are silent after the ClientHello, 10 reset, 10 at dead addresses, 5
denied by the system's resolver, 5 that accept the request and never answer. The lines: nothing else
wrong; all of 15 anchors silent as well, or without an address; the encrypted resolvers silent,
close each connection, accept and say nothing, refuse, or take two seconds; of all public resolvers
one alone answers; the misbehaving sites share four addresses; every certificate re-signed; some of
every kind of misbehaviour (also pages and headers of a byte a second, endless pages and redirects,
closed ports). With `--sites`, a sweep of so many sites that work, on the same lines.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from bench.field.plan import EVERY_KIND, MISBEHAVING, Spec
from bench.field.testbed import Cost, FieldTestbed, machine
from probe.model import Record, Step

LINES = {
    "as-is": Spec(),
    "anchors": Spec(anchors="silent", anchor_sites=15),
    "missing": Spec(anchors="missing", anchor_sites=15),
    "resolvers": Spec(resolvers="silent"),
    "closing": Spec(resolvers="closing"),
    "mute": Spec(resolvers="mute"),
    "refusing": Spec(resolvers="refusing"),
    "slow": Spec(resolvers="slow"),
    "one": Spec(resolvers="one"),
    "shared": Spec(misbehaving_addresses=4),
    "resigned": Spec(resigned=True),
    "every": Spec(misbehaving=EVERY_KIND),
}
PROFILES = {"web": ("-e", "web"), "default": ()}


def _epoch(record: Record) -> float:
    return datetime.fromisoformat(record.started_at).timestamp()


def _span(steps: Iterable[Step], begun: float) -> tuple[float, float] | None:
    """From the first step's begin to the last one's end."""
    every = list(steps)
    if not every:
        return None
    ends = max(step.at + step.elapsed for step in every)
    return begun + min(step.at for step in every), begun + ends


def spans(record: Record, begun: float) -> list[tuple[float, float] | None]:
    """When the first look and the second look at a target began and ended, seconds of the run.

    Steps are in the order in which they were added, and the second look's come after the first's.
    """
    offset = _epoch(record) - begun
    again = next((i for i, s in enumerate(record.steps) if s.try_ > 1 or s.role != "target"), None)
    return [
        _span(record.steps[:again], offset),
        _span(record.steps[again:] if again else (), offset),
    ]


def _longest(values: Iterable[tuple[float, float]]) -> str:
    lengths = sorted(end - begin for begin, end in values)
    if not lengths:
        return f"{'':15}"
    return f"{lengths[len(lengths) // 2]:7.1f}{lengths[-1]:7.1f} "


def timeline(cost: Cost) -> str:
    """When each phase began and ended, and how long the looks at each kind of site took."""
    begun = _epoch(cost.run)
    firsts, seconds = defaultdict(list), defaultdict(list)
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    for record in cost.sites:
        kind = record.input.partition("-")[2].partition(".")[0] or "works"
        first, second = spans(record, begun)
        if first:
            firsts[kind].append(first)
        if second:
            seconds[kind].append(second)
        outcomes[kind][str(record.verdict and record.verdict.outcome)] += 1
    lines = []
    for name, looks in (("first looks", firsts), ("second looks", seconds)):
        every = [span for kind in looks.values() for span in kind]
        if every:
            begin, end = min(b for b, _ in every), max(e for _, e in every)
            lines.append(
                f"    {name:14}{begin:7.1f} to{end:7.1f} s, together"
                f"{sum(e - b for b, e in every):8.1f} s"
            )
    for name, steps in _references(cost):
        lines.append(f"    {name:14}{steps[0]:7.1f} to{steps[1]:7.1f} s")
    lines.append(f"    {'':10}{'first: median, max':>20}{'second: median, max':>21}")
    for kind in firsts:
        found = ", ".join(f"{count} {outcome}" for outcome, count in outcomes[kind].items())
        lines.append(
            f"    {kind:14}{_longest(firsts[kind])}{'':6}{_longest(seconds[kind])} {found}"
        )
    return "\n".join(lines)


def _references(cost: Cost) -> list[tuple[str, tuple[float, float]]]:
    """The checks of the reference sites before and after: the widest pause divides them."""
    steps = sorted(cost.run.steps, key=lambda step: step.at)
    gaps = [(b.at - a.at, i + 1) for i, (a, b) in enumerate(pairwise(steps))]
    cut = max(gaps)[1] if gaps else 0
    parts = (("anchors before", steps[:cut]), ("anchors after", steps[cut:]))
    return [(name, span) for name, part in parts if (span := _span(part, 0.0)) is not None]


def _of_size(spec: Spec, sites: int | None) -> Spec:
    """A sweep of sites that work, or seventy sites of which most misbehave."""
    if sites is not None:
        return replace(spec, sites=sites, misbehaving=())
    return replace(spec, sites=70, misbehaving=spec.misbehaving or MISBEHAVING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--line", nargs="+", choices=LINES, default=list(LINES))
    parser.add_argument("--profile", nargs="+", choices=PROFILES, default=["web"])
    parser.add_argument("--sites", type=int, help="so many, and all work (default: 70, 45 do not)")
    parser.add_argument("--round-trip", type=float, default=0.1)
    parser.add_argument("--concurrency", type=int, default=16)
    options = parser.parse_args()
    print(machine())
    for line in options.line:
        spec = _of_size(LINES[line], options.sites)
        spec = replace(spec, round_trip=options.round_trip)
        with FieldTestbed(spec) as testbed:
            for profile in options.profile:
                cost = testbed.probe(*PROFILES[profile], concurrency=options.concurrency)
                print(
                    f"{line}, {profile}: {cost.seconds:.1f} s, {cost.cpu:.1f} s of processor,"
                    f" {cost.memory / 1e6:.0f} MB,"
                    f" {cost.down / 1000:.0f} KB down, {cost.up / 1000:.0f} KB up,"
                    f" {dict(cost.outcomes)}",
                    flush=True,
                )
                print(timeline(cost), flush=True)


if __name__ == "__main__":
    main()
