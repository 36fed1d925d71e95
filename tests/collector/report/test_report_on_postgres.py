"""A report of a store on PostgreSQL says the same as one on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import temporary_postgres
from collector.cli import cli
from tests.collector.report.conftest import written
from tests.collector.report.fortnight import fill_store

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'qazprobe[postgres]'")


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    try:
        with temporary_postgres.running() as url:
            yield url
    except RuntimeError as error:
        pytest.skip(str(error))


def tables(folder: Path) -> dict[str, str]:
    """All but the ids of events, which a store makes at random."""
    found = {one.name: one.read_text() for one in (folder / "tables").iterdir()}
    del found["events.csv"]
    for name in ("interference.csv", "outages.csv"):
        rows = found[name].splitlines()
        found[name] = "\n".join(row.rpartition(",")[0] for row in rows)
    return found


def test_both_engines_give_the_same_tables(postgres_url: str, folder: Path, tmp_path: Path) -> None:
    migrated = CliRunner().invoke(cli, ["migrate", "--store", postgres_url])
    assert migrated.exit_code == 0, migrated.output
    fill_store(postgres_url, tmp_path)
    again = written(postgres_url, tmp_path / "kz")
    assert tables(again) == tables(folder)
