"""The benchmark of paths goes on where an earlier call ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import paths
from probe.lab.paths import PathResult, PathSituation

GROUP = paths.GROUPS["equal_ways"]


def traces(group: list[PathSituation], times: int) -> Iterator[PathResult]:
    for one in group * times:
        yield PathResult(one, "inconclusive", "path.both_names_fare_alike", (2, 3))


def test_what_is_missing_is_traced_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "paths.jsonl"
    first = list(traces(list(GROUP[:2]), 1))
    file.write_text(
        "".join(map(paths.as_line, first)) + '{"situation": "gone.org", "place": null}\n'
    )
    done = {one.situation.name: [one] for one in paths.read(file)}
    assert done == {one.situation.name: [one] for one in first}
    monkeypatch.setattr(paths, "trace_all", traces)
    list(paths.rounds(GROUP, done, 3))
    assert {name: len(found) for name, found in done.items()} == {one.name: 3 for one in GROUP}


def test_a_round_without_a_trace_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "trace_all", lambda _group, _times: ())
    with pytest.raises(SystemExit):
        list(paths.rounds(GROUP, {}, 1))
