"""Whether a process may go on: its consent stands, and no `erase` asked it to end.

Each process that writes into the state folder enters itself in the list `running/`, as a file that
it keeps locked. `erase` writes into that file and waits until the lock is free, so that nothing is
written after it. A withdrawn consent ends the process too, however the record of it disappeared.
"""

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import Enum, unique
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from msgspec import Struct

from probe import atomic_files, consent_record
from probe.escape import plain

T = TypeVar("T")

FOLDER = "running"
# Seconds between two looks at the consent while something is under way.
POLL_SECONDS = 0.3
_WAIT_SECONDS = 0.1
_END = b"end"
_LONGEST_NAME = 200


@unique
class Lost(Enum):
    """What a process had to give up when its permission ended."""

    NOTHING = "nothing"
    ROUND = "round"  # what it had measured
    UNSENT = "unsent"  # what it had measured and not sent yet


class ConsentEnded(Exception):  # noqa: N818 - the end of a permission, not a fault
    """The consent was withdrawn, or `erase` asked this process to end."""

    def __init__(self, lost: Lost = Lost.NOTHING) -> None:
        super().__init__(lost)
        self.lost = lost


class Permission(Struct, frozen=True):
    """What a process may do until `stands` is false; without arguments it always stands.

    Attributes:
        consent: Id of the consent that stood at the start; None where none is needed (a control).
        entry: This process's file in the list, or None if it could not be made.
    """

    state: Path | None = None
    consent: str | None = None
    entry: Path | None = None

    @property
    def stands(self) -> bool:
        """Whether the consent of the start still stands and nothing asked this process to end."""
        if self.entry is not None and _asked_to_end(self.entry):
            return False
        if self.state is None or self.consent is None:
            return True
        given = consent_record.read(self.state)
        return given is not None and given.current and given.id == self.consent

    def check(self) -> None:
        """Raise `ConsentEnded` unless the permission stands."""
        if not self.stands:
            raise ConsentEnded

    async def supervise(self, work: Coroutine[Any, Any, T]) -> T:
        """Await some work; cancel it and raise `ConsentEnded` when the permission ends."""
        import asyncio

        task = asyncio.ensure_future(work)
        try:
            while not task.done() and self.stands:
                await asyncio.wait((task,), timeout=POLL_SECONDS)
        finally:
            task.cancel()
            await asyncio.wait((task,))
        if task.cancelled():
            raise ConsentEnded
        return task.result()


@contextmanager
def entered(state: Path, what: str) -> Iterator[Path | None]:
    """Keep this process in the list of a state folder; None where that is not possible.

    A full or read-only disk does not prevent a measurement; then only the consent can end it.
    """
    path = state / FOLDER / f"{os.getpid()}-{secrets.token_hex(4)}"
    try:
        path.parent.mkdir(mode=atomic_files.PRIVATE_FOLDER, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        file = os.fdopen(atomic_files.private_file(path, flags), "r+b", buffering=0)
    except OSError:
        yield None
        return
    atomic_files.try_lock(file)
    with contextlib.suppress(OSError):
        file.seek(0)
        file.write(what.encode("utf-8", "replace")[:_LONGEST_NAME])
    try:
        yield path
    finally:
        _leave(path, file)


def _leave(path: Path, file: BinaryIO) -> None:
    """Remove the entry; on Windows an open file cannot be removed, elsewhere it stays locked."""
    if sys.platform == "win32":
        file.close()
    with contextlib.suppress(OSError):
        path.unlink()
    file.close()
    with contextlib.suppress(OSError):
        path.parent.rmdir()  # fails while others are in it


def _asked_to_end(entry: Path) -> bool:
    """Whether `erase` wrote into the entry, or it was removed with the folder."""
    try:
        with entry.open("rb") as file:
            return file.read(len(_END) + 1) == _END
    except FileNotFoundError:
        return True
    except OSError:
        return False


def ask_to_end(state: Path) -> dict[str, str]:
    """Ask every process in the list to end; return those still running: number and command."""
    folder = state / FOLDER
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    asked = ((file.name.partition("-")[0], _ask_one(file)) for file in files)
    return {number: what for number, what in asked if what is not None}


def _ask_one(path: Path) -> str | None:
    """Ask one process to end; return its command, empty if it was asked before.

    None, and the entry is removed, if it has ended.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            if not atomic_files.try_lock(file):
                file.seek(0)
                what = file.read(_LONGEST_NAME)
                file.seek(0)
                file.truncate()
                file.write(_END)
                return "" if what == _END else plain(what.decode("utf-8", "replace"))
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    return None


def wait_until_ended(
    state: Path, seconds: float, tell: Callable[[str, str], None]
) -> tuple[str, ...]:
    """Wait until all processes in the list have ended; return the numbers of those that have not.

    Args:
        tell: Called once with the number and the command of each process that is waited for.
    """
    until = time.monotonic() + seconds
    told: set[str] = set()
    while running := ask_to_end(state):
        for number in sorted(running.keys() - told):
            tell(number, running[number])
        told |= running.keys()
        if time.monotonic() >= until:
            return tuple(sorted(running))
        time.sleep(_WAIT_SECONDS)
    return ()
