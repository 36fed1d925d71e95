"""The store of measurements: one interface, one set of SQL, an engine chosen by URL."""

import asyncio
from pathlib import Path
from urllib.parse import unquote

from collector.store import keys
from collector.store.interface import (
    DayLimits,
    Execute,
    Operation,
    Query,
    Store,
    StoreError,
    StoreUnavailable,
)
from collector.store.schema import Step

__all__ = [
    "DayLimits",
    "Execute",
    "Operation",
    "Query",
    "Step",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "divide_store",
    "is_postgres",
    "migrate_store",
    "open_store",
    "sqlite_path",
]


def sqlite_path(url: str) -> Path:
    """The file of a sqlite:///FILE URL: relative after three slashes, absolute after four."""
    name = unquote(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not name:
        raise StoreError(f"store “{url}”: sqlite:///FILE or postgresql://HOST/DATABASE expected")
    return Path(name)


async def open_store(url: str) -> Store:
    """Open a store by its URL; it is created if it does not exist, and refused if it is older."""
    if is_postgres(url):
        from collector.store.postgres import open_postgres

        return await open_postgres(url)
    return await _open_sqlite(sqlite_path(url))


async def migrate_store(url: str) -> Step:
    """Bring a store to the newest schema; it is created if it does not exist."""
    if is_postgres(url):
        from collector.store import postgres

        return await postgres.prepare(url, upgrade=True)
    from collector.store import sqlite

    return await asyncio.to_thread(sqlite.prepare, sqlite_path(url), upgrade=True)


async def divide_store(url: str, now: float) -> list[str]:
    """Give the evidence of a store a partition for each day; return the tables that had none.

    Raises:
        StoreError: Its engine has no partitions.
    """
    if not is_postgres(url):
        raise StoreError("--partition-by-day: only a store in PostgreSQL has partitions")
    from collector.store import postgres

    return await postgres.divide(url, now)


def is_postgres(url: str) -> bool:
    """Whether a URL is that of a shared store."""
    return url.startswith(("postgresql://", "postgres://"))


async def _open_sqlite(path: Path) -> Store:
    from collector.store.sqlite import SqliteStore, prepare

    prepare(path, upgrade=False)
    store = SqliteStore(path, "")
    try:
        store.collector_id = await store.write(keys.collector_id())
    except BaseException:
        await store.close()
        raise
    return store
