"""Check a collector's installation and store."""

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
    "jinja2": "collector",
    "prometheus_client": "collector",
    "asyncpg": "postgres",
    "duckdb": "analytics",
}


class CheckResult(NamedTuple):
    """The result of one check; `fix` is what the operator can do when it failed."""

    passed: bool
    message: str
    fix: str = ""


def installation(url: str) -> Iterator[CheckResult]:
    """Checks of what is installed, and of what the store at this URL needs."""
    needed = {"collector", "postgres"} if url.startswith("postgres") else {"collector"}
    for module, extra in _EXTRAS.items():
        found = importlib.util.find_spec(module) is not None
        message = f"{module} {'is' if found else 'is not'} installed"
        fix = "" if found else f"pip install 'qazprobe[{extra}]'"
        yield CheckResult(found or extra not in needed, message, fix)
    if not url.startswith("sqlite:"):
        return
    version = sqlite3.sqlite_version
    yield CheckResult(
        sqlite3.sqlite_version_info >= (3, 35),
        f"SQLite {version}",
        "SQLite 3.35 or newer is needed: use a newer Python",
    )
    free = shutil.disk_usage(sqlite_path(url).absolute().parent).free
    yield CheckResult(free > _LOW_BYTES, f"{free / 1e9:.1f} GB free", "free some disk space")


async def store_health(store: Store) -> list[CheckResult]:
    """Checks of the store: what it holds, and whether its counts are the sum of its records."""
    counts = (await store.read(_select("count_all"), slow=True))[0]
    total, hourly, measured = (await store.read(_select("uncounted"), slow=True))[0]
    names = ("records", "with evidence", "probes", "controls", "certificates")
    shown = ", ".join(f"{n} {name}" for n, name in zip(counts, names, strict=False))
    newest = counts[5]
    age = "none yet" if newest is None else f"{(time.time() - newest) / 60:.0f} minutes ago"
    return [
        CheckResult(True, f"collector {store.collector_id}: {shown}"),  # noqa: FBT003 - no condition
        CheckResult(True, f"last record: {age}"),  # noqa: FBT003 - the same
        # Retired records stay counted, so only a count that is too small is wrong.
        CheckResult(
            total == hourly and total >= measured,
            f"counts: {total} in total, {hourly} by hour, {measured} records",
            "the counts are damaged; restore the store from a copy",
        ),
    ]


def _select(name: str) -> Operation[Rows]:
    return (yield Query(name))
