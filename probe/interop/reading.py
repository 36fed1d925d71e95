"""What became of each measurement of a file; and the reading of files of our own records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from probe import codec
from probe.model import Record

NO_CLAIM = "nothing"
_RUN = "run"


@dataclass(frozen=True, slots=True)
class Read:
    """What became of one measurement.

    Attributes:
        place: The file, and the line or the member in it.
        record: What it maps to, not judged.
        said: What OONI concluded, in one word.
        refused: Why it makes no record. left_out: its experiment, which has no counterpart.
    """

    place: str
    record: Record | None = None
    said: str = ""
    refused: str = ""
    left_out: str = ""


def own_records(paths: Iterable[Path]) -> Iterator[Read]:
    """Every record of these files of JSON lines; OSError where a file cannot be read."""
    for path in paths:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(codec.LINE_LIMIT + 2):
                number += 1
                if line.strip():
                    yield _decoded(line.strip(), f"{path}:{number}")


def _decoded(line: bytes, place: str) -> Read:
    try:
        record = codec.decode(line)
    except codec.CodecError as error:
        return Read(place, refused=" ".join(str(error).split())[:200])
    if record.experiment == _RUN:
        return Read(place, left_out=_RUN)
    claim = record.verdict.outcome.value if record.verdict is not None else NO_CLAIM
    return Read(place, record=record, said=claim)
