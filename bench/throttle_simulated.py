"""False positives and power of the sequential rule under noise: a seeded simulation.

Each arm's ln rate is the line's (a slow AR(1) drift that both share) plus its own noise; some
transfers are outliers with 5 to 60 % of the rate. The parameters are plausible values, to be fitted
once a thousand real runs with two control names exist.

Usage: python -m bench.throttle_simulated [--runs N] [--seed N]
"""

import argparse
import math
import random
from collections import Counter
from dataclasses import dataclass

from probe.analysis.paired_test import PAIRS_AT_MOST, PairState, judge_pairs, order
from probe.model import Sample, Transfer

SIZE = 1024 * 1024
LINE = 4e6 / 8


@dataclass(frozen=True)
class Noise:
    """One kind of line: own and shared spread of ln rate, AR(1) coefficient, share of outliers."""

    name: str
    own: float
    shared: float
    memory: float
    outliers: float


KINDS = (
    Noise("fibre", 0.08, 0.10, 0.6, 0.01),
    Noise("home wifi", 0.20, 0.25, 0.6, 0.05),
    Noise("busy evening", 0.30, 0.40, 0.6, 0.08),
    Noise("LTE", 0.40, 0.40, 0.6, 0.08),
    Noise("bad LTE", 0.60, 0.50, 0.6, 0.15),
)


def moved(arm: str, pair: int, rate: float) -> Transfer:
    """A finished transfer of one rate."""
    return Transfer(
        address="192.0.2.1",
        port=443,
        sni="x",
        arm="A" if arm == "A" else "B",
        pair=pair,
        asked_bytes=SIZE,
        received_bytes=SIZE,
        ended="full",
        samples=(
            Sample(at=0.0, wire=0),
            Sample(at=0.1, wire=1),
            Sample(at=0.1 + SIZE / rate, wire=SIZE + 1),
        ),
    )


def one_run(
    noise: Noise, slowed: float, dice: random.Random, *, checked: bool = True
) -> tuple[PairState, int]:
    """The state of one run and how many transfers it took; `slowed` is A's true ratio.

    Not `checked`: five pairs decide, and a doubtful result gets no further pairs.
    """
    drift = dice.gauss(0, noise.shared)
    steps: list[Transfer] = []
    for number in range(PAIRS_AT_MOST):
        for arm in order(number, "A", "B"):
            drift = noise.memory * drift + dice.gauss(0, noise.shared) * math.sqrt(
                1 - noise.memory**2
            )
            rate = LINE * math.exp(drift + dice.gauss(0, noise.own))
            rate *= slowed if arm == "A" else 1.0
            if dice.random() < noise.outliers:
                rate *= dice.uniform(0.05, 0.6)
            steps.append(moved(arm, number + 1, rate))
        found = judge_pairs(steps)
        if found.state is not PairState.MORE and not (checked and found.open):
            return found.state, len(steps)
    return PairState.INCONCLUSIVE, len(steps)


def many(
    noise: Noise, slowed: float, runs: int, seed: int, *, checked: bool = True
) -> tuple[Counter[PairState], float]:
    """States of many runs, and the mean number of transfers."""
    dice = random.Random(f"{seed} {noise.name} {slowed}")
    states: Counter[PairState] = Counter()
    transfers = 0
    for _ in range(runs):
        state, used = one_run(noise, slowed, dice, checked=checked)
        states[state] += 1
        transfers += used
    return states, transfers / runs


def rates(states: Counter[PairState]) -> tuple[float, float]:
    """Shares of runs that were suspected or worse, and strong or worse."""
    strong = states[PairState.STRONG] + states[PairState.EXTREME]
    return (strong + states[PairState.SUSPECTED]) / states.total(), strong / states.total()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--five", action="store_true", help="five pairs decide, without further pairs"
    )
    options = parser.parse_args()
    print(f"{'line':14}{'A/B':>6}{'suspected+':>12}{'strong+':>10}{'transfers':>11}")
    for noise in KINDS:
        for slowed in (1.0, 1 / 3, 1 / 5, 1 / 10, 1 / 33):
            runs = options.runs if slowed == 1.0 else max(options.runs // 10, 200)
            states, used = many(noise, slowed, runs, options.seed, checked=not options.five)
            suspected, strong = rates(states)
            row = f"{suspected * 100:11.3f}%{strong * 100:9.3f}%{used:11.2f}"
            print(f"{noise.name:14}{slowed:6.2f}{row}", flush=True)


if __name__ == "__main__":
    main()
