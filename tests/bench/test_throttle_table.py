"""The table is made from the campaign's file alone, and a campaign resumes after a stop."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.throttle_campaign import blocks
from bench.throttle_rows import KBIT_131, KBIT_1049, Cell, Row, missing, read
from bench.throttle_table import (
    TableLine,
    campaign_lines,
    freeze_lines,
    interval_95,
    late_lines,
    markdown,
    null_lines,
    plateau_lines,
    recall_lines,
)

CELL = Cell("null", "wifi", "metered", 0.0, 30)


def null(seed: int, state: str = "ok", line: str = "wifi") -> Row:
    return Row(
        kind="null", line=line, tier="metered", seed=seed, state=state, transfers=2, size=135_000
    )


def slowed(seed: int, state: str, *, limit: float, control: float, line: str = "wifi") -> Row:
    return Row(
        kind="slowed",
        line=line,
        tier="metered",
        limit=limit,
        seed=seed,
        state=state,
        control=control,
    )


def write_rows(path: Path, *rows: Row) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def test_a_campaign_resumes(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    assert read(file) == []
    write_rows(file, *(null(seed) for seed in range(25)), null(26, line="clean"))
    with file.open("ab") as output:
        output.write(b'{"kind":"null","line":"wi')  # an interrupted write
    assert len(read(file)) == 26
    assert missing(CELL, read(file)) == [25, 26, 27, 28, 29]
    assert [block.seeds for block in blocks([CELL], file)] == [(25, 26, 27, 28, 29)]


def found(make: Callable[[list[Row]], object], rows: list[Row]) -> list[TableLine]:
    made = make(rows)
    assert hasattr(made, "__iter__")
    return [one for one in made if isinstance(one, TableLine) and one.met is not None]


def test_false_suspicions_are_counted_on_every_line_but_the_clean_one() -> None:
    rows = [null(seed) for seed in range(999)] + [null(0, "strong", "clean")]
    false, cost = found(null_lines, rows)
    assert false.met
    assert "999 null runs on wifi lines" in false.what
    assert cost.measured == "2.00 transfers, 135 kB"
    worse = [*rows, *(null(seed, "suspected") for seed in range(999, 1003))]
    assert not found(null_lines, worse)[0].met


def test_a_limit_on_a_slow_line_is_not_counted_as_missed() -> None:
    fast = [slowed(n, "extreme", limit=KBIT_131, control=2e6) for n in range(9)]
    (recall,) = found(recall_lines, [*fast, slowed(9, "ok", limit=KBIT_131, control=2e6)])
    assert not recall.met
    assert recall.measured.startswith("9 = 90.00%")
    slow = [slowed(n, "slow_both", limit=KBIT_1049, control=1.9e6) for n in range(9)]
    assert found(recall_lines, slow) == []


def test_a_freeze_is_accurate_to_one_segment() -> None:
    def frozen(seed: int, at: int) -> Row:
        return Row(
            kind="freeze",
            line="clean",
            limit=16_384.0,
            seed=seed,
            state="freeze",
            stalled_at=(at, at),
            truth=14_400,
        )

    assert found(freeze_lines, [frozen(0, 14_399), frozen(1, 15_700)])[0].met
    assert not found(freeze_lines, [frozen(0, 14_399), frozen(1, 16_000)])[0].met


def late(
    seed: int, state: str, *, limit: float = KBIT_131, begins: str = "police after 3 s"
) -> Row:
    return Row(kind="late", line="clean", tier=begins, limit=limit, seed=seed, state=state)


def test_limits_that_begin_late_are_counted_by_when_and_by_rate() -> None:
    rows = [late(n, "extreme") for n in range(19)]
    rows.append(late(19, "ok"))
    rows += [late(n, "ok", limit=KBIT_1049) for n in range(3)]
    lines = list(late_lines(rows))
    assert lines[0].met
    assert lines[0].measured.startswith("19 = 95.00%")
    assert lines[1].what == "  clean, police after 3 s, 23 runs"
    assert lines[1].measured == "131 kbit/s: 19 of 20; 1049 kbit/s: 0 of 3"
    assert not next(late_lines([*rows, late(20, "ok")])).met


def test_a_later_look_at_no_limit_may_find_none() -> None:
    rows = [late(n, "ok", limit=0.0, begins="never") for n in range(400)]
    false, here = late_lines(rows)
    assert false.met
    assert here.measured.startswith("0 / 0, 0 undecided")
    assert not next(late_lines([*rows, late(400, "strong", limit=0.0, begins="never")])).met


def test_plateau_errors_are_grouped_by_limiter() -> None:
    rows = [
        Row(kind="plateau", line=f"{limiter}/cubic/0.0", limit=1e6, seed=n, error=error)
        for limiter, errors in (("tbf", (0.0, 0.1, 0.2)), ("police", (0.5, 2.0, 40.0)))
        for n, error in enumerate(errors)
    ]
    shaper, policer = found(plateau_lines, rows)
    assert shaper.met
    assert not policer.met


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"),
    [(0, 1045, 0.0, 0.0035), (1, 1045, 0.00002, 0.0053), (19, 20, 0.7513, 0.9987)],
)
def test_the_interval_is_the_exact_one(hits: int, runs: int, low: float, high: float) -> None:
    assert interval_95(hits, runs) == pytest.approx((low, high), abs=1e-4)


def test_the_table_in_the_docs_matches_the_rows() -> None:
    root = Path(__file__).parents[2]
    rows = read(root / "bench" / "measured" / "throttle.jsonl")
    page = (root / "docs" / "calibration.md").read_text(encoding="utf-8")
    for line in map(markdown, campaign_lines(rows)):
        assert line in page
