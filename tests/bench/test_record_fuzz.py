"""Mutated records are refused or judged, in time, and nothing else happens."""

import pytest

from bench.record_fuzz import corpus, examine, mutant
from probe import codec

RECORDS = corpus()
# Of one mutant; far above what the largest record takes on a busy machine.
SECONDS = 20.0


@pytest.mark.parametrize("part", range(4))
def test_mutants_are_refused_or_judged(part: int) -> None:
    found = []
    words = set()
    for number in range(100):
        seed = f"test {part}:{number}"
        word, finding = examine(mutant(RECORDS, seed), seed, seconds=SECONDS)
        words.add(word)
        found += [finding] if finding is not None else []
    assert [(one.seed, one.what) for one in found] == []
    assert words == {"judged", "refused"}


def test_an_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_record: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("bench.record_fuzz.judge", broken)
    record = next(iter(RECORDS.values()))
    word, finding = examine(codec.encode(codec.decode(_line(record))), "x", seconds=SECONDS)
    assert word == "raised"
    assert finding is not None
    assert "ZeroDivisionError" in finding.what


def _line(record: object) -> bytes:
    import json

    return json.dumps(record).encode()
