"""The embedded store: SQLite in WAL mode, one writer thread with group commit, several readers.

Rule: `write` returns after the commit that holds it has reached the disk (`synchronous=FULL`).
Waiting operations are committed together, each within its own savepoint, so that one that fails
does not affect the others.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from collector.store import schema
from collector.store.file_identity import FileIdentity
from collector.store.interface import (
    DayLimits,
    Define,
    Operation,
    Query,
    QueryEach,
    Rows,
    Statement,
    StoreError,
    StoreUnavailable,
    statements,
)

T = TypeVar("T")

# Slow reads have threads of their own, so that quick ones (a key, a control) never wait for them.
READERS, SLOW_READERS = 3, 3
READ_SECONDS = 30.0
# The progress handler runs after this many instructions of SQLite's virtual machine.
_STEPS = 20_000
# Most operations in one transaction: those that waited while the one before was written.
GROUP = 64
BUSY_SECONDS = 15.0
# How long a process waits for another one that migrates the same file.
_MIGRATION_SECONDS = 3600.0
# Pages that one transaction gives back: it may move as many, which takes some milliseconds.
_FREED_AT_ONCE = 256
_INCREMENTAL = 2


class _WriteJob:
    """One operation for the writer."""

    __slots__ = ("future", "operation")

    def __init__(self, operation: Operation[Any]) -> None:
        self.operation = operation
        self.future: Future[Any] = Future()


class _UpkeepJob:
    """Work for the writer between two transactions."""

    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()


_Job: TypeAlias = _WriteJob | _UpkeepJob | None


class SqliteStore:
    """A store in one file (and its -wal and -shm beside it)."""

    shared = False

    def __init__(self, path: Path, collector_id: str) -> None:
        self.collector_id = collector_id
        self._path = path
        self._file = FileIdentity(path)
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._postponed: list[_Job] = []
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._slow_readers = ThreadPoolExecutor(SLOW_READERS, thread_name_prefix="store-slow")
        self._writer = threading.Thread(target=self._write_all, name="store-write", daemon=True)
        self._closed = False
        self._writer.start()

    async def read(self, operation: Operation[T], *, slow: bool = False) -> T:
        """Run an operation on a reader's connection."""
        loop = asyncio.get_running_loop()
        pool = self._slow_readers if slow else self._readers
        return await loop.run_in_executor(pool, self._read, operation)

    async def write(self, operation: Operation[T], *, alone: bool = False) -> T:
        """Queue an operation for the writer and wait for its commit."""
        del alone  # a file has one writer at a time
        result: T = await self._queue(_WriteJob(operation))
        return result

    async def scrub(self) -> bool:
        """Write the log into the file, which overwrites deleted rows, and empty it."""
        busy: bool = await self._queue(_UpkeepJob(_empty_log))
        return not busy

    async def shrink(self) -> bool:
        """Give some free pages back to the file system; False when none is left."""
        left: bool = await self._queue(_UpkeepJob(_free_pages))
        return left

    async def drop_days(self, limits: DayLimits) -> int:
        """Nothing: a file has no partitions."""
        del limits
        return 0

    async def compact(self) -> None:
        """Write the whole file anew, without free pages; no other write is taken meanwhile."""
        await self._queue(_UpkeepJob(_compact))

    async def _queue(self, job: _WriteJob | _UpkeepJob) -> Any:
        if self._closed:
            raise StoreUnavailable("store is closed")
        self._jobs.put(job)
        return await asyncio.shield(asyncio.wrap_future(job.future))

    async def close(self) -> None:
        """Write the waiting operations, then close every connection."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._slow_readers.shutdown)
        for connection in self._opened:
            connection.close()

    def _read(self, operation: Operation[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        try:
            self._file.check()
            if connection is None:
                connection = connect(self._path)
                connection.execute("PRAGMA query_only = ON")
                self._local.connection = connection
                self._opened.append(connection)
            connection.execute("BEGIN")
            deadline = time.monotonic() + READ_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                return run(connection, operation)
            finally:
                connection.set_progress_handler(None, 0)
                connection.execute("ROLLBACK")
        except (sqlite3.Error, StoreUnavailable) as error:
            raise StoreUnavailable(f"store {self._path}: {error}") from error

    def _write_all(self) -> None:
        """The writer thread: write waiting operations as one transaction, then resolve them."""
        connection = connect(self._path)
        try:
            while (job := self._next_job()) is not None:
                if isinstance(job, _UpkeepJob):
                    self._keep_up(connection, job)
                else:
                    self._commit(connection, self._group(job))
        finally:
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()

    def _next_job(self) -> _Job:
        return self._postponed.pop() if self._postponed else self._jobs.get()

    def _group(self, first: _WriteJob) -> list[_WriteJob]:
        """The operations that wait, up to the first job of another kind."""
        group = [first]
        while len(group) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if not isinstance(job, _WriteJob):
                self._postponed.append(job)
                break
            group.append(job)
        return group

    def _keep_up(self, connection: sqlite3.Connection, job: _UpkeepJob) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            self._file.check()
            job.future.set_result(job.work(connection))
        except (sqlite3.Error, StoreUnavailable) as error:
            job.future.set_exception(StoreUnavailable(f"store {self._path}: {error}"))

    def _commit(self, connection: sqlite3.Connection, group: list[_WriteJob]) -> None:
        """Write a group in one transaction, and resolve its futures when it is on the disk."""
        group = [job for job in group if job.future.set_running_or_notify_cancel()]
        try:
            self._file.check()
            with transaction(connection):
                run(connection, schema.unchanged())
                resolvers = [_run_job(connection, job) for job in group]
            self._file.opened()
            self._file.check()
        except (sqlite3.Error, StoreUnavailable) as error:
            failure = StoreUnavailable(f"store {self._path}: {error}")
            for job in group:
                job.future.set_exception(failure)
            return
        for resolve in resolvers:
            resolve()


def _empty_log(connection: sqlite3.Connection) -> bool:
    """Empty the log; True when a reader still needs it."""
    # Readers are not waited for: no write would be taken meanwhile.
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, _pages, _written) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    return bool(busy)


def _compact(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("VACUUM")


def _free_pages(connection: sqlite3.Connection) -> bool:
    """Free some pages at the end of the file; whether any free page is left."""
    # `execute` takes one step of a statement without columns, which here frees one page.
    connection.executescript(f"PRAGMA incremental_vacuum({_FREED_AT_ONCE})")
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    (left,) = connection.execute("PRAGMA freelist_count").fetchone()
    return bool(mode == _INCREMENTAL and left)


def _run_job(connection: sqlite3.Connection, job: _WriteJob) -> Callable[[], None]:
    """Run one operation in a savepoint; return what resolves its future after the commit."""
    connection.execute("SAVEPOINT job")
    try:
        result = run(connection, job.operation)
    except sqlite3.OperationalError:
        # The disk is full or the file is locked, which affects the whole group.
        raise
    except Exception as error:  # noqa: BLE001 - raised in the caller, not in the writer
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
    if isinstance(statement, Define):
        connection.execute(statement.text)
        return ()
    text = statements()[statement.name]
    if isinstance(statement, Query):
        return connection.execute(text, statement.params).fetchall()
    if isinstance(statement, QueryEach):
        return [connection.execute(text, one).fetchall() for one in statement.many]
    connection.executemany(text, statement.many)
    return ()


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the settings of this store and explicit transactions."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA synchronous = FULL")
    # Erased data are overwritten, not only unlinked.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def prepare(path: Path, *, upgrade: bool) -> schema.Step:
    """Create the file, readable by its owner only, and its tables; with `upgrade`, migrate them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"store {path}: cannot be opened ({error})") from error
    try:
        connection.execute("PRAGMA page_size = 8192")
        # Of a file without tables only; an older one is converted by `compact`.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        done = _migrate(connection, f"store {path}", upgrade=upgrade)
        found = schema.columns(connection.execute(schema.SQLITE_COLUMNS))
    except sqlite3.Error as error:
        raise StoreError(f"store {path}: is no usable database ({error})") from error
    finally:
        connection.close()
    schema.check(f"store {path}", found)
    return done


def _migrate(connection: sqlite3.Connection, store: str, *, upgrade: bool) -> schema.Step:
    """Run the migrations that are due, each in a transaction that holds the file's lock."""
    connection.execute(f"PRAGMA busy_timeout = {int(_MIGRATION_SECONDS * 1000)}")
    first: int | None = None
    while True:
        with transaction(connection):
            step = run(connection, schema.advance(store, upgrade=upgrade))
        first = step.before if first is None else first
        if step.after == schema.latest():
            return schema.Step(first, step.after)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: committed at the end, rolled back by an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
