"""The store of measurements: one interface, one set of SQL, an engine chosen by URL."""

from pathlib import Path
from urllib.parse import unquote

from collector.store import keys
from collector.store.interface import Execute, Operation, Query, Store, StoreError, StoreUnavailable

__all__ = [
    "Execute",
    "Operation",
    "Query",
    "Store",
    "StoreError",
    "StoreUnavailable",
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
    """Open a store by its URL; it is created if it does not exist."""
    if url.startswith(("postgresql://", "postgres://")):
        from collector.store.postgres import open_postgres

        return await open_postgres(url)
    return await _open_sqlite(sqlite_path(url))


async def _open_sqlite(path: Path) -> Store:
    from collector.store.sqlite import SqliteStore, prepare

    prepare(path)
    store = SqliteStore(path, "")
    try:
        store.collector_id = await store.write(keys.collector_id())
    except BaseException:
        await store.close()
        raise
    return store
