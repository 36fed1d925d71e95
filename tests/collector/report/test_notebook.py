"""The notebook of a report runs in its folder with pandas alone, and checks the tables."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pandas")
# The notebook where nothing but pandas is installed.
ALONE = """
import json, sys
sys.modules |= {"pyarrow": None, "fastparquet": None, "IPython": None, "matplotlib": None}
names = {}
for cell in json.load(open("report.ipynb"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
"""


def run_notebook(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run its cells one after another, as Jupyter does."""
    monkeypatch.chdir(folder)
    notebook = json.loads((folder / "report.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        assert cell["id"]
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)


def test_it_counts_the_measurements_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    run_notebook(folder, monkeypatch)
    said = capsys.readouterr().out
    assert "files are as they were made" in said
    assert "sites on networks are those of their days" in said
    assert "the counts are those of" in said


def test_pandas_is_enough(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sites on networks are those of their days" in done.stdout
    assert "with pyarrow installed" in done.stdout


def test_it_notices_a_file_that_was_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    with (copy / "tables" / "sites.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(AssertionError, match=r"changed since the report was made: \['tables/sites"):
        run_notebook(copy, monkeypatch)
