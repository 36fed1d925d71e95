"""A short slice of `bench.fuzz_routes`, which runs for as long as one likes."""

import random
from pathlib import Path

import pytest

from bench.fuzz import cases
from bench.fuzz_routes import fuzz

MEMORY_MB = 700


def test_a_seed_repeats_its_cases() -> None:
    def made(seed: int) -> list[cases.Case]:
        rng = random.Random(seed)
        return [cases.make(rng, lambda *_: {}, lambda: b'{"a":1}') for _ in range(300)]

    assert made(1) == made(1) != made(2)
    assert {one.what for one in made(1)} == {
        "_plain",
        "_signed",
        "_chunked",
        "_pipelined",
        "_garbage",
    }


@pytest.mark.slow
def test_a_collector_withstands_hostile_requests(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    found = fuzz(store, seed=2026, seconds=120, rounds=2, memory_mb=MEMORY_MB)
    assert found.wrong == []
    assert found.kinds.total() >= 100
    assert found.statuses["200"] > 0
