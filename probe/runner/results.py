"""The volunteer's own copy of what was measured: one file of records for each run, capped.

It is theirs to read, to show to a journalist and to delete; nothing here is sent. Records are read
back as what they are by now: bytes on a disk, perhaps from somebody else's machine.
"""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from probe import atomic_files, codec
from probe.model import Mechanism, Outcome, Record, RunFacts, Stage

CAP_BYTES = 100 * 1024 * 1024
CAP_RUNS = 500
_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")


class ResultsError(Exception):
    """What was asked for is not there, or cannot be read; one line."""


class BriefHit(msgspec.Struct, frozen=True):
    """A rule that held, as far as a list shows it."""

    id: str
    reason: str = ""


class BriefVerdict(msgspec.Struct, frozen=True):
    """A verdict, as far as a list shows it."""

    outcome: Outcome
    mechanisms: tuple[Mechanism, ...] = ()
    stage: Stage = Stage.SUSPECTED
    confidence: float = 0.0
    rules: tuple[BriefHit, ...] = ()


class BriefVantage(msgspec.Struct, frozen=True):
    """A vantage, as far as a list shows it."""

    country: str | None = None
    asn: int | None = None
    network: str | None = None
    region: str | None = None


class RecordHeader(msgspec.Struct, frozen=True):
    """The head of a record: quick to read, and tolerant of fields that came later."""

    id: str
    run: str
    experiment: str
    input: str
    started_at: str
    vantage: BriefVantage = BriefVantage()
    category: str | None = None
    lab: bool = False
    verdict: BriefVerdict | None = None
    facts: RunFacts | None = None


@dataclass(slots=True)
class RunSummary:
    """One run as the list shows it."""

    run: str
    started_at: str = ""
    vantage: BriefVantage = field(default_factory=BriefVantage)
    outcomes: Counter[str] = field(default_factory=Counter)
    records: int = 0
    lab: bool = False
    ended: str | None = None


class Results:
    """Everything kept in `home/results`."""

    def __init__(self, home: Path, *, cap_bytes: int = CAP_BYTES, cap_runs: int = CAP_RUNS) -> None:
        self.folder = home / "results"
        self._cap_bytes = cap_bytes
        self._cap_runs = cap_runs

    def keep(self, record: Record, line: bytes) -> None:
        """Append one finished record to its run's file; raises `OSError` when the disk will not."""
        if not _NAME.fullmatch(record.run):
            raise ResultsError(f"run {record.run!r}: not a name for a file")
        atomic_files.folder(self.folder)
        path = self.folder / f"{record.run}.jsonl"
        handle = atomic_files.private_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(handle, "ab", buffering=0) as file:
            rest = memoryview(line + b"\n")
            while rest:
                rest = rest[file.write(rest) :]

    def trim(self) -> int:
        """Drop the oldest runs past the caps; returns how many."""
        files = self.files()
        excess = sum(file.stat().st_size for file in files) - self._cap_bytes
        dropped = 0
        for number, file in enumerate(files[:-1]):  # the newest run always stays
            if excess <= 0 and len(files) - number <= self._cap_runs:
                break
            excess -= file.stat().st_size
            file.unlink(missing_ok=True)
            dropped += 1
        return dropped

    def files(self) -> list[Path]:
        """One file for each run, oldest first: identifiers of runs sort by time."""
        return sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else []


def summaries(files: Iterable[Path]) -> list[RunSummary]:
    """What each run came to, newest first."""
    found: dict[str, RunSummary] = {}
    for _, _, brief in _briefs(files):
        _count(found.setdefault(brief.run, RunSummary(brief.run)), brief)
    return sorted(found.values(), key=lambda one: one.started_at, reverse=True)


def briefs(files: Iterable[Path]) -> Iterator[RecordHeader]:
    """The head of every record."""
    return (brief for _, _, brief in _briefs(files))


def lines(files: Iterable[Path]) -> Iterator[tuple[RecordHeader, bytes]]:
    """Every record as it was written, with its head."""
    return ((brief, line) for _, line, brief in _briefs(files))


def find(files: Iterable[Path], wanted: str) -> Record:
    """The record with this id (or its beginning), else the newest of this URL or host."""
    best: tuple[tuple[bool, str], bytes] | None = None
    for _, line, brief in _briefs(files):
        exact = len(wanted) >= 8 and brief.id.startswith(wanted)
        if exact or _is_of(brief, wanted):
            rank = (exact, brief.started_at)
            best = max(best, (rank, line)) if best else (rank, line)
    if best is None:
        raise ResultsError(f"{wanted}: no record with this id, URL or host")
    return decoded(best[1])


def find_run(files: Iterable[Path], wanted: str) -> str | None:
    """The run whose id begins so, or `last` for the newest."""
    runs = [one.run for one in summaries(files)]
    if wanted == "last":
        return runs[0] if runs else None
    return next((run for run in runs if len(wanted) >= 8 and run.startswith(wanted)), None)


def decoded(line: bytes) -> Record:
    """A whole record."""
    try:
        return codec.decode(line)
    except codec.WireError as error:
        raise ResultsError(f"a record cannot be read: {error}") from error


def _is_of(brief: RecordHeader, wanted: str) -> bool:
    bare = brief.input.partition("://")[2]
    names = {brief.input, bare, bare.partition("/")[0]}
    return wanted in names or wanted.rstrip("/") in {name.rstrip("/") for name in names}


def _count(summary: RunSummary, brief: RecordHeader) -> None:
    summary.started_at = min(filter(None, (summary.started_at, brief.started_at)), default="")
    summary.lab |= brief.lab
    if brief.vantage.asn or brief.vantage.country:
        summary.vantage = brief.vantage
    if brief.facts is not None:
        summary.ended = brief.facts.ended
    if brief.verdict is not None:
        summary.records += 1
        summary.outcomes[brief.verdict.outcome] += 1


_decoder = msgspec.json.Decoder(RecordHeader)


def _briefs(files: Iterable[Path]) -> Iterator[tuple[Path, bytes, RecordHeader]]:
    """Every line that is a record; one that is torn or foreign is passed over."""
    for path in files:
        try:
            file = path.open("rb")
        except OSError as error:
            raise ResultsError(f"{path}: cannot be read ({error.strerror})") from error
        with file:
            while line := file.readline(codec.LINE_LIMIT + 2):
                with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeError):
                    yield path, line.rstrip(b"\n"), _decoder.decode(line)
