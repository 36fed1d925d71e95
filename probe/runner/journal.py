"""The journal of held records, so that a killed run loses none.

An append-only file of lines: a record (it replaces earlier ones with its id), or `-ID` when it was
released. The next run reads the records that are left; a torn line is skipped. Only scrubbed
records are written here.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from probe import codec
from probe.model import Record

FILE = "held.jsonl"


class Journal:
    """The held records in one state folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def hold(self, record: Record) -> None:
        """Keep a record until it is released; raises `OSError` when the disk refuses it."""
        self._append(codec.encode(record))

    def release(self, id_: str) -> None:
        """Mark a record as released."""
        self._append(f"-{id_}".encode())

    def held(self) -> tuple[Record, ...]:
        """Records that were held and not released."""
        kept: dict[str, Record] = {}
        for line in self._lines():
            if line.startswith(b"-"):
                kept.pop(line[1:].decode("ascii", "replace"), None)
                continue
            try:
                record = codec.decode(line)
            except codec.CodecError:
                continue
            kept[record.id] = record
        return tuple(kept.values())

    def clear(self) -> None:
        """Delete the journal."""
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
            # The first newline ends a line that a full disk cut short.
            rest = b"\n" + line + b"\n"
            while rest:
                rest = rest[os.write(handle, rest) :]
        finally:
            os.close(handle)
