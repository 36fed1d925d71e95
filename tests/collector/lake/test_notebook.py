"""The notebook of a lake: its cells run, and its figures are those of the questions."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from collector.cli import cli
from collector.lake import writing
from tests.collector.admin.stored_rows import fill
from tests.collector.lake.test_lake import written
from tests.collector.lake.test_questions import history

pytest.importorskip("pandas")
pytest.importorskip("duckdb")
pytest.importorskip("matplotlib")
NOTEBOOK = Path(__file__).parents[3] / "docs" / "notebooks" / "lake.ipynb"


def in_this_process(words: Sequence[object], *, check: bool) -> None:
    """Each command would take a second to begin."""
    done = CliRunner().invoke(cli, [str(word) for word in words[1:]])
    assert (words[0], check) == ("qazcollector", True)
    assert done.exit_code == 0, done.exception


@pytest.fixture(autouse=True)
def drawn_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    # Imported before commands are replaced: where nothing is cached, it asks one for the fonts.
    pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setenv("QAZCOLLECTOR_LAKE", str(tmp_path / "lake"))
    monkeypatch.setattr(subprocess, "run", in_this_process)
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)


def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    found: list[dict[str, Any]] = notebook["cells"]
    return found


def run() -> dict[str, Any]:
    """Run its cells one after another, as Jupyter does; what they named."""
    from matplotlib import pyplot as plt

    names: dict[str, Any] = {}
    for cell in cells():
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    names["figures"] = len(plt.get_fignums())
    plt.close("all")
    return names


def test_it_is_committed_as_it_is_before_it_runs() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert len({cell["id"] for cell in cells()}) == len(cells())


def test_it_answers_the_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, sorted(history(), key=lambda one: one.at))
    written(tmp_path)
    names = run()
    assert "the figures are those of 97 measurements" in capsys.readouterr().out
    shares = names["shares"]["share"]
    assert shares["KZ", "listed.example", 9198] == pytest.approx(16 / 49)
    assert shares["KZ", "slow.example", 9198] == pytest.approx(21 / 48)
    assert len(names["seen"]) == 2
    assert list(names["interceptions"]["authority"]) == ["kz-2020"]
    assert names["ratios"].iloc[0, 0] == pytest.approx(0.032)
    assert names["probes"].loc["KZ", 9198].max() == 3
    assert names["figures"] == 4


def test_a_lake_without_measurements_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path, [])
    written(tmp_path)
    run()
    assert "the figures are those of 0 measurements" in capsys.readouterr().out
