"""Look a collector's installation and store over, and say of each thing how it is."""

import importlib.util
import shutil
import sqlite3
import time
from collections.abc import Iterator
from typing import NamedTuple

from collector.store import Operation, Query, Store, sqlite_path
from collector.store.interface import Rows

_LOW_BYTES = 1024**3
_EXTRAS = {
    "aiohttp": "collector",
    "prometheus_client": "collector",
    "asyncpg": "postgres",
    "duckdb": "analytics",
}


class Finding(NamedTuple):
    """One thing that was looked at; `fix` is what to do about it when it is not well."""

    well: bool
    what: str
    fix: str = ""


def installation(url: str) -> Iterator[Finding]:
    """What is installed, and what this store needs."""
    needed = {"collector", "postgres"} if url.startswith("postgres") else {"collector"}
    for module, extra in _EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        what = f"{module} {'is' if there else 'is not'} installed"
        fix = f"pip install 'qazprobe[{extra}]'"
        yield Finding(there or extra not in needed, what, "" if there else fix)
    if not url.startswith("sqlite:"):
        return
    version = sqlite3.sqlite_version
    yield Finding(
        sqlite3.sqlite_version_info >= (3, 35),
        f"SQLite {version}",
        "SQLite 3.35 or newer is needed: use a newer Python",
    )
    free = shutil.disk_usage(sqlite_path(url).absolute().parent).free
    yield Finding(free > _LOW_BYTES, f"{free / 1e9:.1f} GB free", "make room on this disk")


async def store_health(store: Store) -> list[Finding]:
    """What is in the store, and whether its counts are the sum of its records."""
    counts = (await store.read(_select("count_all"), slow=True))[0]
    total, hourly, measured = (await store.read(_select("uncounted"), slow=True))[0]
    names = ("records", "with evidence", "probes", "controls", "certificates")
    shown = ", ".join(f"{n} {name}" for n, name in zip(counts, names, strict=False))
    newest = counts[5]
    age = "none yet" if newest is None else f"{(time.time() - newest) / 60:.0f} minutes ago"
    return [
        Finding(True, f"collector {store.collector_id}: {shown}"),  # noqa: FBT003 - plainly well
        Finding(True, f"last record: {age}"),  # noqa: FBT003 - the same
        # Retired records stay counted: only too small a count is wrong.
        Finding(
            total == hourly and total >= measured,
            f"counts: {total} in total, {hourly} by hour, {measured} records",
            "counts have been damaged; restore the store from a copy",
        ),
    ]


def _select(name: str) -> Operation[Rows]:
    return (yield Query(name))
