"""Back a store up into one file, and restore one from it.

The file is an SQLite database for both engines of a store, so that it can be restored into
either. Rule: a file has its name only when it is complete, checked and on the disk, and only its
owner may read it; a store is replaced as a whole or not at all.
"""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from collector.settings import SettingsError
from collector.store import StoreError, is_postgres, migrate_store, schema, sqlite, sqlite_path


class Summary(NamedTuple):
    """What a backup holds."""

    version: int
    records: int
    probes: int
    size: int


def backup(url: str, file: Path, *, replace: bool) -> Summary:
    """Write a consistent copy of a store, while collectors go on."""
    if file.exists() and not replace:
        raise SettingsError(f"{file}: exists; --replace writes it anew")
    with _errors(file), _partial(file) as beside:
        if is_postgres(url):
            from collector.admin import postgres_copy

            asyncio.run(postgres_copy.save(url, beside))
        else:
            path = sqlite_path(url)
            if not path.exists():
                raise StoreError(f"store {path}: is not there")
            _copy(path, beside)
        summary = examine(beside)
        _publish(beside, file)
    return summary


def restore(url: str, file: Path, *, replace: bool) -> Summary:
    """Make a store of a backup; with `replace`, instead of what the store holds."""
    summary = examine(file)
    if summary.version > schema.latest():
        raise StoreError(
            f"{file}: has schema version {summary.version} of a newer qazcollector, and this one"
            f" knows {schema.latest()}: install the newer one"
        )
    if not is_postgres(url):
        _restore_file(sqlite_path(url), file, replace=replace)
        asyncio.run(migrate_store(url))
        return summary
    from collector.admin import postgres_copy

    with tempfile.TemporaryDirectory(prefix="qazcollector-") as folder, _errors(file):
        migrated = Path(folder) / "store.sqlite3"
        _copy(file, migrated)
        sqlite.prepare(migrated, upgrade=True)
        asyncio.run(postgres_copy.load(url, migrated, replace=replace))
    return summary


def examine(file: Path) -> Summary:
    """Read a backup from end to end; `StoreError` when it is none, or damaged."""
    if not file.is_file():
        raise StoreError(f"{file}: is not there")
    try:
        with closing(_open(file)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise StoreError(f"{file}: is damaged ({found.splitlines()[-1]})")
            meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
            counts = [
                connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608 - two constants
                for table in ("measurement", "probe")
            ]
    except sqlite3.Error as error:
        raise StoreError(f"{file}: is no usable backup ({error})") from error
    version = schema.parse(str(file), meta.get(schema.VERSION, "1"))
    return Summary(version, counts[0], counts[1], file.stat().st_size)


def _restore_file(path: Path, file: Path, *, replace: bool) -> None:
    with _errors(path), _partial(path) as beside:
        _copy(file, beside)
        with _unused(path, replace=replace):
            # A log without its database would be taken for that of the new one.
            for name in ("-wal", "-shm", "-journal"):
                Path(f"{path}{name}").unlink(missing_ok=True)
            _publish(beside, path)


@contextmanager
def _unused(path: Path, *, replace: bool) -> Iterator[None]:
    """Hold the present file, which no process may have open; its log is in it afterwards."""
    if not path.exists() or not path.stat().st_size:
        yield
        return
    if not replace:
        raise SettingsError(f"store {path}: exists; --replace restores the backup in its place")
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
        try:
            # Leaving this mode needs the file for itself, and writes the log into it.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise StoreError(f"store {path}: is in use ({error}); stop the collector") from error
        except sqlite3.DatabaseError:
            pass  # damaged, which is why it is replaced
        yield


def _copy(source: Path, target: Path) -> None:
    """Copy a database as of now, without free pages; writers of the source go on."""
    with closing(_open(source)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


def _open(file: Path) -> sqlite3.Connection:
    name = f"file:{quote(str(file.absolute()))}?mode=ro"
    return sqlite3.connect(name, uri=True, timeout=sqlite.BUSY_SECONDS, isolation_level=None)


@contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """An empty file beside, which its owner alone may read; removed unless it was published."""
    beside = file.with_name(f"{file.name}.partial")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield beside
    finally:
        for name in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                Path(f"{beside}{name}").unlink(missing_ok=True)


def _publish(beside: Path, file: Path) -> None:
    """Give a file its name, when its bytes and then the name are on the disk."""
    _sync(beside)
    beside.replace(file)
    _sync(file.absolute().parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{file}: {error}") from error
