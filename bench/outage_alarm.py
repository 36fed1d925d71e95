"""False alarms, recall and delay of the outage alarm, by simulation of home machines.

A box is always on; its line breaks for half an hour every four days. A laptop is on for some hours
on some evenings. A desk computer is on in office hours, and all are switched off at about the same
time. One heartbeat in fifty is lost. Habits are learned over four weeks; then follow weeks with
two-hour outages of the whole network. Recall counts outages that at least three probes could see.

A second table (`--retrospective`) evaluates what probes report afterwards: those that were on and
cut off. There, lines break too: a box's as above, others once in twenty hours for half an hour.

Usage: python -m bench.outage_alarm [--days N] [--networks N] [--seed N] [--retrospective]
"""

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from collector.detection.outage import HEARTBEAT, PROBES_LEAST, SEEN, Outage, replay
from collector.detection.retrospective import retrospective_shutdowns
from collector.detection.shutdown import HeartbeatHistory
from collector.store.heartbeats import SLOT

DAY = 86_400.0
LEARNING = 28
LOST = 0.02
Spans = list[tuple[float, float]]


@dataclass(frozen=True)
class Fleet:
    """A network's probes: how many machines of each kind."""

    boxes: int = 0
    laptops: int = 0
    desks: int = 0

    def __str__(self) -> str:
        """Such as `1 box, 4 laptops`."""
        kinds = (
            (self.boxes, "box", "es"),
            (self.laptops, "laptop", "s"),
            (self.desks, "desk", "s"),
        )
        return ", ".join(f"{n} {name}{many if n > 1 else ''}" for n, name, many in kinds if n)

    @property
    def machines(self) -> tuple["Machine", ...]:
        """One on/off model per machine."""
        return (always,) * self.boxes + (evenings,) * self.laptops + (office,) * self.desks


FLEETS = (
    Fleet(3),
    Fleet(5),
    Fleet(10),
    Fleet(2, 1),
    Fleet(1, 2),
    Fleet(3, 2),
    Fleet(1, 4),
    Fleet(2, 8),
    Fleet(0, 3),
    Fleet(0, 5),
    Fleet(0, 10),
    Fleet(desks=5),
    Fleet(desks=10),
)


@dataclass(frozen=True)
class Score:
    """The score of one network."""

    false_alarms: int
    days: float
    outages: int
    found: int
    delays: tuple[float, ...]


Machine = Callable[[int, random.Random], Spans]


def always(days: int, dice: random.Random) -> Spans:
    """On day and night; the line breaks now and then."""
    spans: Spans = []
    at = 0.0
    while at < days * DAY:
        on = dice.expovariate(1 / (4 * DAY))
        spans.append((at, at + on))
        at += on + dice.expovariate(1 / 1800.0)
    return spans


def evenings(days: int, dice: random.Random) -> Spans:
    """Opened one to three times around five in the afternoon, for two hours and a half."""
    spans: Spans = []
    for day in range(days):
        for _ in range(dice.choice((1, 2, 2, 3))):
            begin = day * DAY + dice.gauss(17, 3) * 3600
            spans.append((begin, begin + dice.expovariate(1 / (2.5 * 3600))))
    return sorted(spans)


def office(days: int, dice: random.Random) -> Spans:
    """From nine to six, five days a week."""
    return [
        (day * DAY + dice.gauss(9, 0.3) * 3600, day * DAY + dice.gauss(18, 0.4) * 3600)
        for day in range(days)
        if day % 7 < 5
    ]


def beats(spans: Spans, cuts: Spans, dice: random.Random) -> list[float]:
    """Heartbeats every five minutes while on, none during a cut, and some that are lost."""
    phase = dice.uniform(0, HEARTBEAT)
    found: set[float] = set()
    for begin, end in spans:
        tick = int((begin - phase) // HEARTBEAT) + 1
        while phase + tick * HEARTBEAT < end:
            at = phase + tick * HEARTBEAT
            if dice.random() >= LOST and not any(a <= at < b for a, b in cuts):
                # As the collector stores it: the middle of the five-minute slot of its arrival.
                found.add((int((at + dice.uniform(0, 5)) // SLOT) + 0.5) * SLOT)
            tick += 1
    return sorted(found)


def one_network(fleet: Fleet, days: int, cuts: Spans, seed: str) -> Score:
    """Replay one network's history and score its alarms."""
    dice = random.Random(seed)
    whole = LEARNING + days
    heartbeats_of = {
        f"probe{n}": beats(machine(whole, dice), cuts, dice)
        for n, machine in enumerate(fleet.machines)
    }
    alarms = replay(heartbeats_of, LEARNING * DAY, whole * DAY)
    return score(alarms, cuts, heartbeats_of, days)


def score(
    alarms: list[Outage], cuts: Spans, heartbeats_of: dict[str, list[float]], days: int
) -> Score:
    """True alarms begin during a cut that at least three probes could see."""
    visible = [
        (a, b)
        for a, b in cuts
        if sum(any(a - SEEN <= t < a for t in times) for times in heartbeats_of.values())
        >= PROBES_LEAST
    ]
    hits = {cut: [x.start for x in alarms if cut[0] <= x.start <= cut[1] + 900] for cut in visible}
    true = sum(any(a <= x.start <= b + 900 for a, b in cuts) for x in alarms)
    delays = tuple(min(starts) - cut[0] for cut, starts in hits.items() if starts)
    return Score(len(alarms) - true, days, len(visible), len(delays), delays)


def evening_cuts(days: int, every: int, dice: random.Random) -> Spans:
    """Two hours of darkness every few days, mostly when people are awake."""
    starts = [(LEARNING + day) * DAY + dice.uniform(8, 21) * 3600 for day in range(1, days, every)]
    return [(start, start + 7200) for start in starts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--retrospective", action="store_true")
    options = parser.parse_args()
    if options.retrospective:
        print_retrospective(options.days, options.networks, options.seed)
        return
    heads = f"{'false/month':>12}{'outages':>9}{'recall':>8}{'delay, min':>12}{'worst':>7}"
    print(f"{'network':22}{heads}")
    for fleet in FLEETS:
        print(row(fleet, options.days, options.networks, options.seed), flush=True)


def row(fleet: Fleet, days: int, networks: int, seed: int) -> str:
    """One line of the table: false alarms in quiet months, recall and delay with outages."""
    found = measured(fleet, days, networks, seed)
    delays = f"{found.delay:12.1f}{found.worst:7.1f}"
    return f"{fleet!s:22}{found.wrong:12.2f}{found.outages:9}{found.recall:8.2f}{delays}"


@dataclass(frozen=True)
class Measured:
    """Many networks together.

    Attributes:
        wrong: False alarms a network and month, where nothing happened.
        outages: Number that three probes could see; recall: share that was found.
        delay, worst: Minutes from the cut to the alarm, the median and the longest.
    """

    wrong: float
    outages: int
    recall: float
    delay: float
    worst: float


def measured(fleet: Fleet, days: int, networks: int, seed: int) -> Measured:
    """Score each network in a quiet month, and in one with an outage every fourth day."""
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
    outages = sum(s.outages for s in troubled)
    delays = [d / 60 for s in troubled for d in s.delays]
    return Measured(
        wrong=sum(s.false_alarms for s in quiet) / sum(s.days for s in quiet) * 30,
        outages=outages,
        recall=sum(s.found for s in troubled) / outages if outages else float("nan"),
        delay=median(delays) if delays else float("nan"),
        worst=max(delays, default=float("nan")),
    )


# --- retrospective reports ------------------------------------------------------------------------


def broken(machine: Machine, spans: Spans, dice: random.Random) -> Spans:
    """The spans in which a machine is on and its own line is broken."""
    if machine is always:
        return [(one[1], other[0]) for one, other in pairwise(spans)]
    found: Spans = []
    for begin, end in spans:
        at = begin + dice.expovariate(1 / 72_000)
        while at < end:
            found.append((at, min(at + dice.expovariate(1 / 1800), end)))
            at = found[-1][1] + dice.expovariate(1 / 72_000)
    return found


def retrospective_counts(fleet: Fleet, days: int, cuts: Spans, seed: str) -> tuple[int, int, int]:
    """Numbers of false shutdowns, of visible ones, and of those found."""
    dice = random.Random(seed)
    heartbeats_of: dict[str, list[float]] = {}
    dark: dict[str, Spans] = {}
    for number, machine in enumerate(fleet.machines):
        spans, key = machine(LEARNING + days, dice), f"probe{number}"
        gone = broken(machine, spans, dice)
        heartbeats_of[key] = beats(spans, [*cuts, *gone], dice)
        within = [(max(a, c), min(b, d)) for a, b in spans for c, d in cuts if a < d and c < b]
        # Gaps shorter than one heartbeat are not recorded.
        dark[key] = sorted(span for span in (*gone, *within) if span[1] - span[0] > HEARTBEAT)
    watched = HeartbeatHistory(dict.fromkeys(heartbeats_of, ("KZ", 1)), heartbeats_of, dark, {})
    events = [e for e in retrospective_shutdowns(watched, {}, since=LEARNING * DAY) if e.asn]
    seen = [
        (a, b)
        for a, b in cuts
        if sum(any(c < b and a < d for c, d in spans) for spans in dark.values()) >= PROBES_LEAST
    ]
    found = sum(any(e.started_at < b and a < (e.ended_at or 0.0) for e in events) for a, b in seen)
    wrong = sum(
        not any(e.started_at < b and a < (e.ended_at or 0.0) for a, b in cuts) for e in events
    )
    return wrong, len(seen), found


def print_retrospective(days: int, networks: int, seed: int) -> None:
    """Print the second table."""
    print(f"{'network':22}{'false/month':>12}{'outages':>9}{'recall':>8}")
    for fleet in FLEETS:
        quiet = [
            retrospective_counts(fleet, days, [], f"{seed} quiet {fleet} {n}")
            for n in range(networks)
        ]
        cuts = [evening_cuts(days, 4, random.Random(f"{seed} {n}")) for n in range(networks)]
        troubled = [
            retrospective_counts(fleet, days, c, f"{seed} {fleet} {n}") for n, c in enumerate(cuts)
        ]
        wrong = sum(one[0] for one in quiet) / networks / days * 30
        outages, found = sum(one[1] for one in troubled), sum(one[2] for one in troubled)
        recall = found / outages if outages else float("nan")
        print(f"{fleet!s:22}{wrong:12.2f}{outages:9}{recall:8.2f}", flush=True)


if __name__ == "__main__":
    main()
