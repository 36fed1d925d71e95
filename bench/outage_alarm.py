"""False alarms and delay of the outage alarm, by simulation of home machines.

A machine is a box (always on, now and then a broken line) or a laptop (on in the evening).
Habits are learned over four weeks; then come weeks with two-hour outages of the whole network.

Usage: python -m bench.outage_alarm [--days N] [--networks N] [--seed N]
"""

import argparse
import random
from dataclasses import dataclass
from statistics import median

from collector.outage import HEARTBEAT, Outage, replay
from collector.store.beats import SLOT

DAY = 86_400.0
LEARNING = 28


@dataclass(frozen=True)
class Fleet:
    """A network's probes: how many, and what share of them is always on."""

    probes: int
    boxes: float


FLEETS = (Fleet(3, 0.2), Fleet(5, 0.2), Fleet(5, 0.6), Fleet(10, 0.2), Fleet(10, 0.6))


@dataclass(frozen=True)
class Score:
    """What came of one network."""

    false_alarms: int
    days: float
    outages: int
    found: int
    delays: tuple[float, ...]


def presence(days: int, dice: random.Random, *, box: bool) -> list[tuple[float, float]]:
    """When one machine is on and online."""
    spans: list[tuple[float, float]] = []
    if box:
        at = 0.0
        while at < days * DAY:
            on = dice.expovariate(1 / (4 * DAY))
            spans.append((at, at + on))
            at += on + dice.expovariate(1 / 1800.0)
        return spans
    for day in range(days):
        for _ in range(dice.choice((1, 2, 2, 3))):
            begin = day * DAY + dice.gauss(17, 3) * 3600
            spans.append((begin, begin + dice.expovariate(1 / (2.5 * 3600))))
    return sorted(spans)


def beats(
    spans: list[tuple[float, float]], cuts: list[tuple[float, float]], dice: random.Random
) -> list[float]:
    """Heartbeats every five minutes while on, none during a cut."""
    phase = dice.uniform(0, HEARTBEAT)
    found: set[float] = set()
    for begin, end in spans:
        tick = int((begin - phase) // HEARTBEAT) + 1
        while phase + tick * HEARTBEAT < end:
            at = phase + tick * HEARTBEAT
            if not any(a <= at < b for a, b in cuts):
                # As it is kept: the middle of the five minutes in which it came.
                found.add((int((at + dice.uniform(0, 5)) // SLOT) + 0.5) * SLOT)
            tick += 1
    return sorted(found)


def one_network(fleet: Fleet, days: int, cuts: list[tuple[float, float]], seed: str) -> Score:
    """Replay one network's history and score its alarms."""
    dice = random.Random(seed)
    whole = LEARNING + days
    heard = {
        f"probe{n}": beats(presence(whole, dice, box=n < fleet.probes * fleet.boxes), cuts, dice)
        for n in range(fleet.probes)
    }
    alarms = replay(heard, LEARNING * DAY, whole * DAY)
    return score(alarms, cuts, heard, days)


def score(
    alarms: list[Outage], cuts: list[tuple[float, float]], heard: dict[str, list[float]], days: int
) -> Score:
    """True alarms begin during a cut that at least three probes could see."""
    visible = [
        (a, b)
        for a, b in cuts
        if sum(any(a - 900 <= t < a for t in times) for times in heard.values()) >= 3
    ]
    hits = {cut: [x.start for x in alarms if cut[0] <= x.start <= cut[1] + 900] for cut in visible}
    true = sum(any(a <= x.start <= b + 900 for a, b in cuts) for x in alarms)
    delays = tuple(min(starts) - cut[0] for cut, starts in hits.items() if starts)
    return Score(len(alarms) - true, days, len(visible), len(delays), delays)


def evening_cuts(days: int, every: int, dice: random.Random) -> list[tuple[float, float]]:
    """Two hours of darkness every few days, mostly when people are awake."""
    starts = [(LEARNING + day) * DAY + dice.uniform(8, 21) * 3600 for day in range(1, days, every)]
    return [(start, start + 7200) for start in starts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{'probes':>6}{'boxes':>7}{'false/month':>13}{'recall':>8}{'delay, min':>12}")
    for fleet in FLEETS:
        print(row(fleet, options.days, options.networks, options.seed), flush=True)


def row(fleet: Fleet, days: int, networks: int, seed: int) -> str:
    """One line of the table: false alarms on quiet months, recall and delay on troubled ones."""
    found = measured(fleet, days, networks, seed)
    wrong, recall, delay = found
    return f"{fleet.probes:6}{fleet.boxes:7.1f}{wrong:13.2f}{recall:8.2f}{delay:12.1f}"


def measured(fleet: Fleet, days: int, networks: int, seed: int) -> tuple[float, float, float]:
    """False alarms a network and month, recall, and median delay in minutes."""
    quiet = [one_network(fleet, days, [], f"{seed} quiet {fleet} {n}") for n in range(networks)]
    troubled = [
        one_network(
            fleet,
            days,
            evening_cuts(days, 4, random.Random(f"{seed} {n}")),
            f"{seed} troubled {fleet} {n}",
        )
        for n in range(networks)
    ]
    wrong = sum(s.false_alarms for s in quiet) / sum(s.days for s in quiet) * 30
    seen = sum(s.outages for s in troubled)
    delays = [d for s in troubled for d in s.delays]
    return (
        wrong,
        sum(s.found for s in troubled) / seen if seen else float("nan"),
        median(delays) / 60 if delays else float("nan"),
    )


if __name__ == "__main__":
    main()
