"""The embedded store: SQLite in WAL mode, one writer thread with group commit, several readers.

Rule: `write` returns after the commit that holds it has reached the disk (`synchronous=FULL`).
Operations that wait together are committed together, each within a savepoint of its own, so that
one that fails costs no other.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from collector.store.interface import (
    Operation,
    Query,
    Rows,
    Statement,
    StoreError,
    StoreUnavailable,
    schema,
    statements,
)

T = TypeVar("T")

# Quick looks (a key, a control) never wait behind somebody who leafs through everything, and nobody
# leafs for longer than this.
READERS, BROWSERS = 3, 2
BROWSE_SECONDS = 30.0
# SQLite asks whether to go on after so many steps of its machine.
_STEPS = 20_000
# A group is what waited while the group before it was being written.
GROUP = 64
BUSY_SECONDS = 15.0


class _Job:
    """One operation on its way to the writer."""

    __slots__ = ("future", "operation")

    def __init__(self, operation: Operation[Any]) -> None:
        self.operation = operation
        self.future: Future[Any] = Future()


class SqliteStore:
    """A store in one file (and its -wal and -shm beside it)."""

    shared = False

    def __init__(self, path: Path, collector_id: str) -> None:
        self.collector_id = collector_id
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._browsers = ThreadPoolExecutor(BROWSERS, thread_name_prefix="store-browse")
        self._writer = threading.Thread(target=self._write_all, name="store-write", daemon=True)
        self._closed = False
        self._writer.start()

    async def read(self, operation: Operation[T], *, slow: bool = False) -> T:
        """Run an operation on a reader's connection."""
        loop = asyncio.get_running_loop()
        pool = self._browsers if slow else self._readers
        return await loop.run_in_executor(pool, self._read, operation)

    async def write(self, operation: Operation[T]) -> T:
        """Hand an operation to the writer and wait for its commit."""
        if self._closed:
            raise StoreUnavailable("store is closed")
        job = _Job(operation)
        self._jobs.put(job)
        result: T = await asyncio.shield(asyncio.wrap_future(job.future))
        return result

    async def close(self) -> None:
        """Write what waits, then close every connection."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._browsers.shutdown)
        for connection in self._opened:
            connection.close()

    def _read(self, operation: Operation[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = connect(self._path)
                connection.execute("PRAGMA query_only = ON")
                self._local.connection = connection
                self._opened.append(connection)
            connection.execute("BEGIN")
            deadline = time.monotonic() + BROWSE_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                return run(connection, operation)
            finally:
                connection.set_progress_handler(None, 0)
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StoreUnavailable(f"store {self._path}: {error}") from error

    def _write_all(self) -> None:
        """The writer thread: take what waits, write it as one transaction, answer."""
        connection = connect(self._path)
        try:
            while (group := self._next_group()) is not None:
                self._commit(connection, group)
        finally:
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()

    def _next_group(self) -> list[_Job] | None:
        job = self._jobs.get()
        if job is None:
            return None
        group = [job]
        while len(group) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            group.append(job)
        return group

    def _commit(self, connection: sqlite3.Connection, group: list[_Job]) -> None:
        """All of a group in one transaction; nobody is answered before it is on the disk."""
        group = [job for job in group if job.future.set_running_or_notify_cancel()]
        try:
            connection.execute("BEGIN IMMEDIATE")
            answers = [_attempt(connection, job) for job in group]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            failure = StoreUnavailable(f"store {self._path}: {error}")
            for job in group:
                job.future.set_exception(failure)
            return
        for answer in answers:
            answer()


def _attempt(connection: sqlite3.Connection, job: _Job) -> Callable[[], None]:
    """Run one operation within a savepoint and say how to answer it after the commit."""
    connection.execute("SAVEPOINT job")
    try:
        result = run(connection, job.operation)
    except sqlite3.OperationalError:
        # The disk is full or the file is locked: that concerns the whole group.
        raise
    except Exception as error:  # noqa: BLE001 - it belongs to whoever asked, not to the writer
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        failure = error
        return lambda: job.future.set_exception(failure)
    connection.execute("RELEASE job")
    return lambda: job.future.set_result(result)


def run(connection: sqlite3.Connection, operation: Operation[T]) -> T:
    """Drive one operation to its end on one connection."""
    rows: Rows = ()
    try:
        statement = next(operation)
        while True:
            rows = _execute(connection, statement)
            statement = operation.send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        operation.close()


def _execute(connection: sqlite3.Connection, statement: Statement) -> Rows:
    text = statements()[statement.name]
    if isinstance(statement, Query):
        return connection.execute(text, statement.params).fetchall()
    connection.executemany(text, statement.many)
    return ()


def connect(path: Path) -> sqlite3.Connection:
    """A connection as this store wants them; transactions are ours to begin and end."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = FULL")
    # What a volunteer takes back is overwritten, not only unlinked.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def prepare(path: Path) -> None:
    """Make the file, readable by its owner only, and the tables that are not there yet."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"store {path}: cannot be opened ({error})") from error
    try:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in schema():
            connection.execute(statement)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"store {path}: is no usable database ({error})") from error
    finally:
        connection.close()
