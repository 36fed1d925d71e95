"""One store for all tests of reports, and one report of it."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.cli import cli
from tests.collector.report.fortnight import SMALL, fill

pytest.importorskip("duckdb")
DAYS = ("--since", "2024-08-29", "--until", "2024-09-02", "--country", "KZ")


def run(url: str, *arguments: str) -> Result:
    """`qazcollector report` with this store."""
    return CliRunner().invoke(cli, ["report", "--store", url, *arguments])


def written(url: str, folder: Path, *arguments: str) -> Path:
    """A report of the whole period."""
    done = run(url, *DAYS, "-o", str(folder), *arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return folder


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fill(tmp_path_factory.mktemp("country"), SMALL)


@pytest.fixture(scope="session")
def folder(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(store_url, tmp_path_factory.mktemp("report") / "kz")
