"""What the tests of a collector share: no haste, and stores of both engines."""

import asyncio
import gzip
import subprocess
import uuid
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from bench import temporary_postgres
from collector.store import sqlite_path

FIRST = Path(__file__).parent / "store" / "first_version"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, metrics and events follow each change."""
    for module in ("metrics.snapshot", "detection.monitor", "events.keeper", "result_cache"):
        monkeypatch.setattr(f"collector.{module}.CHEAP_SECONDS", inf)
    for module in ("metrics.snapshot", "detection.monitor", "events.keeper"):
        monkeypatch.setattr(f"collector.{module}.READER_SECONDS", 60.0)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a temporary server's first database."""
    pytest.importorskip(
        "asyncpg", reason="asyncpg is not installed: pip install 'qazprobe[postgres]'"
    )
    try:
        context = temporary_postgres.running()
        url = context.__enter__()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no PostgreSQL: {error}")
    try:
        yield url
    finally:
        context.__exit__(None, None, None)


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The URL of a new database."""
    return _new_database(postgres_server)


@pytest.fixture
def postgres_too(postgres_server: str) -> str:
    """The URL of another new database."""
    return _new_database(postgres_server)


def _new_database(postgres_server: str) -> str:
    import asyncpg

    name = f"t{uuid.uuid4().hex}"

    async def create() -> None:
        connection = await asyncpg.connect(postgres_server)
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        await connection.close()

    asyncio.run(create())
    return postgres_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgres"])
def any_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store that does not exist yet, in each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('store')}/store.sqlite3"
    url: str = request.getfixturevalue("postgres")
    return url


@pytest.fixture
def first_version(any_store: str) -> str:
    """The store that the first version made: records, chains, votes, heartbeats, an invite."""
    if any_store.startswith("sqlite"):
        packed = (FIRST / "sqlite.gz").read_bytes()
        sqlite_path(any_store).write_bytes(gzip.decompress(packed))
        return any_store

    async def load() -> None:
        import asyncpg

        connection = await asyncpg.connect(any_store)
        packed = (FIRST / "postgres.sql.gz").read_bytes()
        await connection.execute(gzip.decompress(packed).decode())
        await connection.close()

    asyncio.run(load())
    return any_store
