"""Months of looks by simulated probes, with planted events: the ground truth for `bench.history`.

Networks have 2 to 9 probes: boxes that are always on, laptops that are on for some hours on some
days, a probe on a bad line (one look in a hundred is wrong), one behind an office proxy (blocks
a few sites by itself), and one whose key lies about a few targets. Each looks at every target every
six hours, with jitter; for throttling, at three canaries every hour (the profile `watch`). One look
in ten thousand of an ordinary probe is wrong. Sites are in maintenance some nights and under attack
some days: `down`, which is no look. During a shutdown or a white list all looks of a network are
`inconclusive`, which is none either.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from collector.events.model import Look

DAY, HOUR = 86_400.0, 3600.0
START = 1_790_000_000.0 // DAY * DAY
EVERY = 6 * HOUR
CANARIES = 3
COUNTRY = "KZ"
WRONG, BAD_LINE = 1e-4, 1e-2

Kind = Literal["blocking", "interception", "throttling", "shutdown", "whitelist"]
Span = tuple[float, float]


@dataclass(frozen=True)
class Planted:
    """One true event: of a target (empty: of the line) on one network."""

    kind: Kind
    target: str
    asn: int
    span: Span

    def holds(self, at: float) -> bool:
        """Whether it was so at that time."""
        return self.span[0] <= at < self.span[1]


@dataclass(frozen=True)
class Probe:
    """One probe: when it is on, and how it errs."""

    key: str
    asn: int
    on: Callable[[float], bool]
    wrong: float = WRONG
    lies: frozenset[str] = frozenset()
    own_filter: frozenset[str] = frozenset()


@dataclass
class World:
    """Some months of one country."""

    seed: int
    days: int = 90
    networks: int = 5
    targets: int = 60
    probes: list[Probe] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    down: dict[str, list[Span]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Draw everything from the seed."""
        self._random = random.Random(self.seed)
        self.names = [f"https://site{n:03}.example/" for n in range(self.targets)]
        self.asns = [9000 + n for n in range(self.networks)]
        for asn in self.asns:
            self.probes += self._fleet(asn)
        self._plant()
        for name in self.names:
            nights = self._random.sample(range(self.days), k=self.days // 30)
            begin = [START + night * DAY + 2 * HOUR for night in nights]
            self.down[name] = [(at, at + self._random.choice([2, 4, 20]) * HOUR) for at in begin]

    @property
    def end(self) -> float:
        """The end of the history."""
        return START + self.days * DAY

    @property
    def innocent(self) -> list[str]:
        """Targets that are never interfered with."""
        guilty = {one.target for one in self.planted}
        return [name for name in self.names if name not in guilty]

    # --- probes ---------------------------------------------------------------------------------

    def _fleet(self, asn: int) -> list[Probe]:
        draw = self._random
        boxes, laptops = draw.randint(2, 4), draw.randint(0, 5)
        found = [Probe(f"{asn}-box{n}", asn, lambda _at: True) for n in range(boxes)]
        found += [Probe(f"{asn}-laptop{n}", asn, _evenings(draw.random())) for n in range(laptops)]
        if asn == self.asns[0]:
            found.append(Probe(f"{asn}-bad-line", asn, lambda _at: True, wrong=BAD_LINE))
            office = frozenset(draw.sample(self.names, k=self.targets // 5))
            found.append(Probe(f"{asn}-office", asn, _working_hours, own_filter=office))
        if asn == self.asns[-1]:
            lies = frozenset(draw.sample(self.names, k=5))
            found.append(Probe(f"{asn}-liar", asn, lambda _at: True, lies=lies))
        return found

    # --- truth ----------------------------------------------------------------------------------

    def _plant(self) -> None:
        draw = self._random
        chosen = iter(draw.sample(self.names, k=self.targets // 2))
        canaries = [next(chosen) for _ in range(CANARIES)]
        self.canaries = canaries
        for name in chosen:
            kind: Kind = "interception" if draw.random() < 0.25 else "blocking"
            began = START + draw.uniform(3, self.days * 0.8) * DAY
            lasting = draw.choice([1.0, 3.0, 20.0, 1000.0]) * DAY
            for asn in draw.sample(self.asns, k=draw.randint(1, len(self.asns))):
                late = began + draw.expovariate(1 / (2 * HOUR))
                self.planted.append(Planted(kind, name, asn, (late, late + lasting)))
        for evening in draw.sample(range(5, self.days - 1), k=self.days // 6):
            began = START + evening * DAY + draw.uniform(17, 20) * HOUR
            asn, name = draw.choice(self.asns), draw.choice(canaries)
            self.planted.append(Planted("throttling", name, asn, (began, began + 3 * HOUR)))
        for number, evening in enumerate(draw.sample(range(5, self.days - 1), k=self.days // 10)):
            began = START + evening * DAY + draw.uniform(10, 20) * HOUR
            of_line: Kind = "whitelist" if number % 2 else "shutdown"
            for asn in self.asns if number % 3 else [draw.choice(self.asns)]:
                self.planted.append(Planted(of_line, "", asn, (began, began + 3.5 * HOUR)))

    # --- looks ----------------------------------------------------------------------------------

    def looks(self) -> Iterator[Look]:
        """Every conclusive look, by probe and target; sort them for their order in time."""
        for probe in self.probes:
            cuts = [one for one in self.planted if not one.target and one.asn == probe.asn]
            for name in self.names:
                yield from self._looks(probe, name, "web", EVERY, cuts)
            for name in self.canaries:
                yield from self._looks(probe, name, "throttle", HOUR, cuts)
            yield from self._connectivity(probe, cuts)

    def _looks(
        self, probe: Probe, name: str, experiment: str, every: float, cuts: list[Planted]
    ) -> Iterator[Look]:
        true = [one for one in self.planted if one.target == name and one.asn == probe.asn]
        for at in self._times(probe, every):
            if any(one.holds(at) for one in cuts) or _within(self.down[name], at):
                continue
            outcome = self._outcome(probe, name, experiment, [o for o in true if o.holds(at)])
            yield self._look(probe, at, experiment, name, outcome)

    def _times(self, probe: Probe, every: float) -> Iterator[float]:
        at = START + self._random.random() * every
        while at < self.end:
            jittered = at + self._random.uniform(-0.1, 0.1) * every
            if probe.on(jittered):
                yield jittered
            at += every

    def _outcome(
        self, probe: Probe, name: str, experiment: str, now: list[Planted]
    ) -> tuple[str, str]:
        slow = any(one.kind == "throttling" for one in now)
        if experiment == "throttle":
            found = ("throttled", "throttle.shaped") if slow else ("ok", "")
        elif any(one.kind == "interception" for one in now):
            found = ("intercepted", "tls.mitm")
        elif any(one.kind == "blocking" for one in now) or name in probe.own_filter:
            found = ("blocked", "tls.timeout")
        else:
            found = ("ok", "")
        if name in probe.lies or self._random.random() < probe.wrong:
            return ("ok", "") if found[0] != "ok" else ("blocked", "tls.timeout")
        return found

    def _connectivity(self, probe: Probe, cuts: list[Planted]) -> Iterator[Look]:
        for at in self._times(probe, HOUR):
            now = [one for one in cuts if one.holds(at)]
            if not now:
                yield self._look(probe, at, "connectivity", "", ("ok", ""))
            elif now[0].kind == "whitelist":
                found = ("inconclusive", "access.whitelist")
                yield self._look(probe, at, "connectivity", "", found)

    def _look(
        self, probe: Probe, at: float, experiment: str, name: str, found: tuple[str, str]
    ) -> Look:
        id_ = f"{probe.key}-{experiment}-{name[8:15]}-{int(at)}"
        return Look(at, id_, probe.key, experiment, name, COUNTRY, probe.asn, *found)


def _within(spans: list[Span], at: float) -> bool:
    return any(a <= at < b for a, b in spans)


def _evenings(phase: float) -> Callable[[float], bool]:
    """On from five to eleven in the evening, two days in three."""
    return lambda at: 17 <= at % DAY / HOUR < 23 and (at // DAY * 0.618 + phase) % 1 < 2 / 3


def _working_hours(at: float) -> bool:
    return 9 <= at % DAY / HOUR < 18 and at // DAY % 7 < 5
