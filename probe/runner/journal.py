"""Records that wait for the end of their run, kept on disk so that a killed run loses none.

An append-only file of lines: a record (the newest one with its id holds), or `-ID` once it has been
handed on. The next run reads what is left over and hands it on; a line that was cut by the kill is
passed over. Only scrubbed records come here.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from probe import codec
from probe.model import Record

FILE = "held.jsonl"


class Journal:
    """The held-back records of this home."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def hold(self, record: Record) -> None:
        """Keep a record until it is released; raises `OSError` when the disk will not."""
        self._append(codec.encode(record))

    def release(self, id_: str) -> None:
        """It was handed on: forget it."""
        self._append(f"-{id_}".encode())

    def left_over(self) -> tuple[Record, ...]:
        """What an earlier run was holding when it ended."""
        kept: dict[str, Record] = {}
        for line in self._lines():
            if line.startswith(b"-"):
                kept.pop(line[1:].decode("ascii", "replace"), None)
                continue
            try:
                record = codec.decode(line)
            except codec.WireError:
                continue
            kept[record.id] = record
        return tuple(kept.values())

    def clear(self) -> None:
        """Forget everything."""
        self._path.unlink(missing_ok=True)

    def _lines(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as file:
                for line in file:
                    yield line.rstrip(b"\n")
        except FileNotFoundError:
            return

    def _append(self, line: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # A line that a full disk cut short is ended here, so that it cannot spoil this one.
            rest = b"\n" + line + b"\n"
            while rest:
                rest = rest[os.write(handle, rest) :]
        finally:
            os.close(handle)
