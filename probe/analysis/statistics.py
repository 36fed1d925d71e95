"""Exact statistics for small samples: a few transfers, or a few probes.

With three to five transfers an arm nothing asymptotic holds, so every probability here is exact:
the Mann-Whitney tail is counted, the Poisson-binomial tail is convolved. Ranks decide, and the
Hodges-Lehmann ratio says how large the effect is.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cache
from statistics import median


def mann_whitney_u(smaller: Sequence[float], larger: Sequence[float]) -> float:
    """Count the pairs in which `smaller` is not smaller; a tie counts one half."""
    return sum(
        1.0 if left > right else 0.5 if left == right else 0.0
        for left in smaller
        for right in larger
    )


def mann_whitney_p(u: float, n: int, m: int) -> float:
    """One-sided probability of a U of at most `u` when both samples are alike.

    A half from a tie is rounded up, so a tie never makes the evidence look stronger.
    """
    at_most = min(math.ceil(u), n * m)
    return sum(_arrangements(n, m, value) for value in range(at_most + 1)) / math.comb(n + m, n)


@cache
def _arrangements(n: int, m: int, u: int) -> int:
    """The number of orders of n and m values in which U is exactly `u` (Mann and Whitney)."""
    if u < 0 or u > n * m:
        return 0
    if n == 0 or m == 0:
        return 1
    return _arrangements(n - 1, m, u - m) + _arrangements(n, m - 1, u)


def hodges_lehmann_ratio(left: Sequence[float], right: Sequence[float]) -> float:
    """The median of all ratios left/right: how many times `right` the `left` sample is."""
    return math.exp(median(math.log(a) - math.log(b) for a in left for b in right))


def poisson_binomial_tail(probabilities: Iterable[float], at_least: int) -> float:
    """Probability that at least `at_least` of these independent events happen."""
    counts = [1.0]
    for p in probabilities:
        shifted = [0.0, *(value * p for value in counts)]
        counts = [
            value * (1.0 - p) + more for value, more in zip([*counts, 0.0], shifted, strict=True)
        ]
    return math.fsum(counts[max(at_least, 0) :])
