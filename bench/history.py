"""How well events match the truth of generated histories: the numbers of docs/design/010.

Each world (`bench.history_world`) has months of looks by probes that sleep, err and lie, and
planted blocks, interceptions, throttled evenings, shutdowns and white lists. They go through the
same engine that the collector uses.

Usage: python -m bench.history [--worlds N] [--days N] [--networks N] [--targets N] [--seed N]
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.history_world import COUNTRY, EVERY, HOUR, Planted, World
from collector.events.engine import replay
from collector.events.model import EventState, Look, TargetEvent
from collector.events.timeline import Rules
from collector.standing import EVERYBODY

QUORUM = 2
FOUND = frozenset({EventState.CONFIRMED, EventState.ENDED})


@dataclass
class Score:
    """What was found in one or more worlds."""

    planted: int = 0
    found: int = 0
    bracketed: int = 0
    suspected_after: list[float] = field(default_factory=list)
    confirmed_after: list[float] = field(default_factory=list)
    end_noticed_after: list[float] = field(default_factory=list)
    throttled: int = 0
    throttled_found: int = 0
    whitelists: int = 0
    whitelists_told: int = 0
    touched_by_shutdown: int = 0
    split: int = 0
    false: int = 0
    network_years: float = 0.0
    looks: int = 0
    seconds: float = 0.0


def score(world: World, into: Score) -> None:
    """Add one world."""
    looks = sorted(world.looks())
    began = time.perf_counter()
    events = replay(looks, Rules(QUORUM, EVERYBODY))
    into.seconds += time.perf_counter() - began
    into.looks += len(looks)
    into.network_years += len(world.asns) * world.days / 365
    told: dict[tuple[str, str, int], list[TargetEvent]] = defaultdict(list)
    for event in events:
        if event.state in FOUND:
            told[event.kind, event.target, event.asn].append(event)
    by_place: dict[tuple[str, int], list[Look]] = defaultdict(list)
    for look in looks:
        by_place[look.target, look.asn].append(look)
    for truth in world.planted:
        _score_one(world, truth, told, by_place[truth.target, truth.asn], into)
    innocent = set(world.innocent)
    into.false += sum(len(of) for (_, target, _), of in told.items() if target in innocent)
    into.touched_by_shutdown += _touched(world, events)


def _score_one(
    world: World,
    truth: Planted,
    told: dict[tuple[str, str, int], list[TargetEvent]],
    looks: Sequence[Look],
    into: Score,
) -> None:
    matching = [one for one in told[truth.kind, truth.target, truth.asn] if _overlaps(one, truth)]
    if truth.kind == "throttling":
        into.throttled += 1
        into.throttled_found += bool(matching)
    elif truth.kind == "whitelist":
        into.whitelists += 1
        into.whitelists_told += bool(matching)
    elif truth.target and _is_visible(truth, looks, world.end):
        into.planted += 1
        into.found += bool(matching)
        if matching:
            into.split += len(matching) - 1
            _delays(truth, matching, looks, into)


def _is_visible(truth: Planted, looks: Iterable[Look], end: float) -> bool:
    """Whether two probes or more could see it, and it lasted longer than two of their looks."""
    seen: dict[str, int] = defaultdict(int)
    for look in looks:
        if truth.holds(look.at) and look.experiment == "web":
            seen[look.key] += 1
    able = sum(count > 2 for count in seen.values())
    return able > 1 and min(truth.span[1], end) - truth.span[0] > 2 * EVERY


def _overlaps(event: TargetEvent, truth: Planted) -> bool:
    last = event.ended.by if event.ended else float("inf")
    return event.began.by <= truth.span[1] + EVERY and last >= truth.span[0]


def _delays(
    truth: Planted, matching: Sequence[TargetEvent], looks: Sequence[Look], into: Score
) -> None:
    first, last = matching[0], matching[-1]
    after = first.began.after if first.began.after is not None else float("-inf")
    into.bracketed += after < truth.span[0] <= first.began.by
    signs = [one for one in looks if one.at >= truth.span[0] and one.outcome != "ok"]
    if signs:
        into.suspected_after.append((first.began.by - truth.span[0]) / HOUR)
    if first.confirmed_at is not None:
        into.confirmed_after.append((first.confirmed_at - truth.span[0]) / HOUR)
    if last.ended is not None and last.ended.by >= truth.span[1]:
        into.end_noticed_after.append((last.ended.by - truth.span[1]) / HOUR)


def _touched(world: World, events: Iterable[TargetEvent]) -> int:
    """Events of targets that a cut of their line began or ended, by their brackets."""
    cuts = [one for one in world.planted if not one.target]
    true = {(one.target, one.asn): one.span for one in world.planted if one.target}
    wrong = 0
    for event in events:
        if event.state is not EventState.ENDED or not event.target or event.ended is None:
            continue
        span = true.get((event.target, event.asn))
        over = event.ended.by
        cut = any(c.asn == event.asn and c.span[0] <= over < c.span[1] + HOUR for c in cuts)
        wrong += bool(cut and span and over < span[1])
    return wrong


def table(total: Score) -> str:
    """The numbers beside what is to be reached."""

    def share(part: int, whole: int) -> str:
        return f"{part} of {whole} ({part / max(1, whole):.1%})"

    def typical(hours: list[float]) -> str:
        return f"{median(hours):.1f} h" if hours else "-"

    years = max(total.network_years, 1e-9)
    rows = (
        ("blocks and interceptions found", "100 %", share(total.found, total.planted)),
        ("brackets that contain the truth", "95 %", share(total.bracketed, total.found)),
        ("first sign after the truth, median", "6 h", typical(total.suspected_after)),
        ("confirmed after the truth, median", "12 h", typical(total.confirmed_after)),
        ("end noticed after the truth, median", "6 h", typical(total.end_noticed_after)),
        ("events told in more than one piece", "0", str(total.split)),
        ("throttled evenings found", "90 %", share(total.throttled_found, total.throttled)),
        ("white lists told", "95 %", share(total.whitelists_told, total.whitelists)),
        ("standing events ended by a cut", "0", str(total.touched_by_shutdown)),
        (
            "false confirmed events a network-year",
            "< 0.1",
            f"{total.false / years:.3f} ({total.false} in {years:.0f})",
        ),
        ("looks a second", "", f"{total.looks / max(total.seconds, 1e-9):,.0f}"),
    )
    lines = ["| what | to reach | measured |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {a} | {b} | {c} |" for a, b, c in rows)])


def main() -> None:
    """Generate, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=4)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--targets", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    total = Score()
    for number in range(options.worlds):
        world = World(options.seed + number, options.days, options.networks, options.targets)
        score(world, total)
    print(
        f"{options.worlds} histories of {options.days} days of {COUNTRY}, {total.looks:,} looks\n"
    )
    print(table(total))


if __name__ == "__main__":
    main()
