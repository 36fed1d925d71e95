"""The volunteer's own copy of all records: one file for each run, capped in number and size.

Nothing is uploaded from here. Files may have been damaged, edited or copied from another machine,
so they are read as untrusted input.
"""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from probe import atomic_files, codec
from probe.i18n import _
from probe.model import Mechanism, Outcome, Record, RunFacts, Stage
from probe.report.findings import gravity
from probe.report.names import answers_to, spellings

CAP_BYTES = 100 * 1024 * 1024
CAP_RUNS = 500
_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")


class ResultsError(Exception):
    """A record or run does not exist or cannot be read; the message is one line."""


class HitHeader(msgspec.Struct, frozen=True):
    """The part of a rule hit that lists show."""

    id: str
    reason: str = ""


class VerdictHeader(msgspec.Struct, frozen=True):
    """The part of a verdict that lists show."""

    outcome: Outcome
    mechanisms: tuple[Mechanism, ...] = ()
    stage: Stage = Stage.SUSPECTED
    confidence: float = 0.0
    rules: tuple[HitHeader, ...] = ()


class VantageHeader(msgspec.Struct, frozen=True):
    """The part of a vantage point that lists show."""

    country: str | None = None
    asn: int | None = None
    network: str | None = None
    region: str | None = None


class RecordHeader(msgspec.Struct, frozen=True):
    """The fields of a record that lists show: quick to decode; unknown fields are ignored."""

    id: str
    run: str
    experiment: str
    input: str
    started_at: str
    vantage: VantageHeader = VantageHeader()
    category: str | None = None
    lab: bool = False
    verdict: VerdictHeader | None = None
    facts: RunFacts | None = None


class RunSummary(msgspec.Struct):
    """One run in the list of runs."""

    run: str
    started_at: str = ""
    vantage: VantageHeader = msgspec.field(default_factory=VantageHeader)
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    records: int = 0
    lab: bool = False
    ended: str | None = None


class Results:
    """The files in the folder `results` of the state folder."""

    def __init__(self, home: Path, *, cap_bytes: int = CAP_BYTES, cap_runs: int = CAP_RUNS) -> None:
        self.folder = home / "results"
        self._cap_bytes = cap_bytes
        self._cap_runs = cap_runs

    def keep(self, record: Record, line: bytes) -> None:
        """Append one finished record to its run's file; raises `OSError` if the disk is full."""
        if not _NAME.fullmatch(record.run):
            raise ResultsError(_("run {run!r}: not usable as a file name").format(run=record.run))
        atomic_files.folder(self.folder)
        path = self.folder / f"{record.run}.jsonl"
        handle = atomic_files.private_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(handle, "ab", buffering=0) as file:
            rest = memoryview(line + b"\n")
            while rest:
                rest = rest[file.write(rest) :]

    def discard(self, run: str) -> None:
        """Delete the records of one run."""
        if _NAME.fullmatch(run):
            (self.folder / f"{run}.jsonl").unlink(missing_ok=True)

    def trim(self) -> int:
        """Delete the oldest runs beyond the caps; returns how many."""
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
        """One file for each run, oldest first (run ids sort by time)."""
        return sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else []


def summaries(files: Iterable[Path]) -> list[RunSummary]:
    """A summary of each run, newest first."""
    found: dict[str, RunSummary] = {}
    for header in record_headers(files):
        _count(found.setdefault(header.run, RunSummary(header.run)), header)
    return sorted(found.values(), key=lambda one: one.started_at, reverse=True)


def record_headers(files: Iterable[Path]) -> Iterator[RecordHeader]:
    """The header of every record."""
    return (header for header, _ in lines(files))


def find(files: Iterable[Path], wanted: str) -> Record:
    """The record with this id (or id prefix), else the gravest of the newest run with this target.

    A target is found by its URL, host or service, in every spelling that a person may type.
    """
    names = spellings(wanted)
    best: tuple[tuple[bool, str, int, str], bytes] | None = None
    for header, line in lines(files):
        exact = len(wanted) >= 8 and header.id.startswith(wanted)
        if exact or answers_to(header.input, names):
            rank = (exact, header.run, -gravity(header), header.started_at)
            best = max(best, (rank, line)) if best else (rank, line)
    if best is None:
        raise ResultsError(_("{wanted}: no record with this id, URL or host").format(wanted=wanted))
    return decoded(best[1])


def find_run(files: Iterable[Path], wanted: str) -> str | None:
    """The id of the run with this id prefix, or of the newest run for `last`."""
    runs = [one.run for one in summaries(files)]
    if wanted == "last":
        return runs[0] if runs else None
    return next((run for run in runs if len(wanted) >= 8 and run.startswith(wanted)), None)


def decoded(line: bytes) -> Record:
    """Decode a whole record."""
    try:
        return codec.decode(line)
    except codec.CodecError as error:
        raise ResultsError(_("a record cannot be read: {error}").format(error=error)) from error


def _count(summary: RunSummary, header: RecordHeader) -> None:
    summary.started_at = min(filter(None, (summary.started_at, header.started_at)), default="")
    summary.lab |= header.lab
    if header.vantage.asn or header.vantage.country:
        summary.vantage = header.vantage
    if header.facts is not None:
        summary.ended = header.facts.ended
    if header.verdict is not None:
        summary.records += 1
        summary.outcomes[header.verdict.outcome] += 1


_decoder = msgspec.json.Decoder(RecordHeader)


def lines(files: Iterable[Path]) -> Iterator[tuple[RecordHeader, bytes]]:
    """The header and the encoding of every record; other lines are skipped."""
    for path in files:
        try:
            file = path.open("rb")
        except OSError as error:
            raise ResultsError(
                _("{path}: cannot be read ({reason})").format(
                    path=path, reason=_(error.strerror or "")
                )
            ) from error
        with file:
            while line := file.readline(codec.LINE_LIMIT + 2):
                with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeError):
                    yield _decoder.decode(line), line.rstrip(b"\n")
