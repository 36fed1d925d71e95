"""Sizes of a store in files, and the room that is left; PostgreSQL has metrics of its own."""

import shutil
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from collector.store import is_postgres, sqlite_path

# The file, and what was written and not yet put into it.
_PARTS = ("", "-wal")
UNKNOWN = float("nan")


def register(registry: CollectorRegistry, url: str) -> None:
    """Serve the sizes as they are at each scrape; nothing for a store that is no file."""
    if is_postgres(url):
        return
    path = sqlite_path(url).absolute()
    size = Gauge("qazcollector_store_bytes", "Size of the store's files.", registry=registry)
    size.set_function(lambda: _size(path))
    room = Gauge("qazcollector_disk_free_bytes", "Room left for the store.", registry=registry)
    room.set_function(lambda: _room(path))


def _size(path: Path) -> float:
    parts = [path.with_name(path.name + part) for part in _PARTS]
    try:
        return float(sum(part.stat().st_size for part in parts if part.exists()))
    except OSError:
        return UNKNOWN


def _room(path: Path) -> float:
    try:
        return float(shutil.disk_usage(path.parent).free)
    except OSError:
        return UNKNOWN
