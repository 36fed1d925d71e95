import itertools
import math

import pytest
from hypothesis import given, strategies as st

from probe.analysis.statistics import (
    hodges_lehmann_ratio,
    mann_whitney_p,
    mann_whitney_u,
    poisson_binomial_tail,
)


def test_five_against_five_has_the_tail_of_the_tables() -> None:
    assert mann_whitney_p(0, 5, 5) == pytest.approx(1 / 252)
    assert mann_whitney_p(1, 5, 5) == pytest.approx(2 / 252)
    assert mann_whitney_p(0, 3, 3) == pytest.approx(0.05)
    assert mann_whitney_p(25, 5, 5) == 1.0


def test_the_tail_is_what_counting_every_order_gives() -> None:
    n, m = 3, 4
    values = [
        mann_whitney_u(chosen, [v for v in range(n + m) if v not in chosen])
        for chosen in itertools.combinations(range(n + m), n)
    ]
    for u in range(n * m + 1):
        share = sum(value <= u for value in values) / len(values)
        assert mann_whitney_p(u, n, m) == pytest.approx(share)


def test_a_tie_counts_half_and_never_helps_the_accusation() -> None:
    assert mann_whitney_u([1.0], [1.0]) == 0.5
    assert mann_whitney_p(0.5, 5, 5) == mann_whitney_p(1, 5, 5)


def test_the_ratio_is_the_median_of_all_ratios() -> None:
    assert hodges_lehmann_ratio([1, 1, 1], [10, 10, 10]) == pytest.approx(0.1)
    assert hodges_lehmann_ratio([1, 2, 400], [2, 4, 8]) == pytest.approx(0.5)


@given(st.lists(st.floats(0, 1), max_size=7), st.integers(0, 8))
def test_the_poisson_binomial_tail_is_what_enumeration_gives(ps: list[float], k: int) -> None:
    exact = math.fsum(
        math.prod(p if happens else 1 - p for p, happens in zip(ps, world, strict=True))
        for world in itertools.product((False, True), repeat=len(ps))
        if sum(world) >= k
    )
    assert poisson_binomial_tail(ps, k) == pytest.approx(exact, abs=1e-9)
