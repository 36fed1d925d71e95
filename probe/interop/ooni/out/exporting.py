"""Records as lines of OONI's format, with a count of those that are none.

The output is a folder of buckets; one file, gzipped if its name ends in `.gz`; or the standard
output. Memory does not grow with the number of records.
"""

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

from probe.interop.ooni.kept import encode
from probe.interop.ooni.out.bucket_files import bucket_of
from probe.interop.ooni.out.from_record import OoniRefusal, identified, measurement
from probe.model import Record

# Ends of a name that is one file; any other name is a folder.
ONE_FILE = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".gz")
_REDRAW_SECONDS = 0.2


@dataclass
class OoniTally:
    """What an export contains.

    Attributes:
        written: How many measurements. foreign: how many of them were imported from OONI.
        left_out: How many records are no measurements, by reason, and what goes into its gap.
    """

    written: int = 0
    foreign: int = 0
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)

    def leave_out(self, reason: str, experiment: str = "") -> None:
        """Count a record that is left out."""
        self.left_out[reason, experiment] += 1


@dataclass(frozen=True, slots=True)
class OoniLine:
    """One measurement: the file that it stands in, and its line without the newline."""

    bucket: str
    text: bytes


def converted(record: Record, line: bytes, tally: OoniTally) -> OoniLine | None:
    """The measurement of a record; None if it is left out, which is counted."""
    try:
        found = identified(measurement(record, line))
    except OoniRefusal as refusal:
        tally.leave_out(refusal.reason, refusal.experiment)
        return None
    tally.written += 1
    tally.foreign += record.origin is not None
    return OoniLine(bucket_of(found), encode(found))


def is_one_file(name: str) -> bool:
    """Whether an output is one file (or a stream), not a folder."""
    return name == "-" or name.endswith(ONE_FILE)


def one_file(name: str, found: Iterable[OoniLine]) -> Iterator[bytes]:
    """The pieces of one file with all measurements."""
    pieces = (one.text + b"\n" for one in found)
    return _gzipped(pieces) if name.endswith(".gz") else pieces


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for piece in pieces:
        if made := packer.compress(piece):
            yield made
    yield packer.flush()


class CountLine:
    """How many measurements there are so far: one line on a terminal, and nothing elsewhere."""

    def __init__(self, terminal: TextIO, say: Callable[[], str]) -> None:
        self._terminal = terminal if terminal.isatty() else None
        self._say = say
        self._drawn = 0.0

    def tick(self) -> None:
        """Draw the line again, but not too often."""
        if self._terminal is not None and time.monotonic() - self._drawn > _REDRAW_SECONDS:
            self._drawn = time.monotonic()
            self._terminal.write(f"\r{self._say()}")
            self._terminal.flush()

    def end(self) -> None:
        """Remove the line."""
        if self._terminal is not None:
            self._terminal.write("\r\033[K")
            self._terminal.flush()
