"""What a run says to a person: results on stdout, everything else on stderr, nothing when quiet."""

import sys
from dataclasses import dataclass, field

import msgspec

from probe.escape import plain
from probe.model import Record
from probe.stdout import STDOUT, silence_stdout


@dataclass(slots=True)
class Console:
    """Who is told what.

    Attributes:
        quiet: Say only what somebody has to act on.
        json: Summaries of records as JSON lines on stdout, in place of a table.
        output: Where `-o` writes; `-` leaves stdout to the records.
    """

    quiet: bool = False
    json: bool = False
    output: str | None = None
    records: list[Record] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Something a person may have to act on."""
        _stderr(f"qazprobe: {plain(text, 500)}")

    def note(self, text: str) -> None:
        """Something that is merely good to know."""
        if not self.quiet:
            _stderr(text)

    @property
    def wants_table(self) -> bool:
        """Stdout is free for a table, and somebody wants to read it."""
        return not (self.quiet or self.json or self.output == STDOUT)

    def show_record(self, record: Record) -> None:
        """A finished record."""
        if self.json:
            _stdout(msgspec.json.encode(summary(record)).decode())
        if self.wants_table and record.experiment != "run":
            self.records.append(msgspec.structs.replace(record, steps=(), certs={}, control=()))

    def table(self, run: Record) -> None:
        """Everything that was seen, at the end."""
        if not self.wants_table:
            return
        from probe.report.table import render

        _stdout(render(self.records, run.facts).rstrip("\n"))
        self.records.clear()


def summary(record: Record) -> dict[str, object]:
    """One record in a line: what a script wants to know of it."""
    said: dict[str, object] = {
        "id": record.id,
        "run": record.run,
        "experiment": record.experiment,
        "input": record.input,
        "started_at": record.started_at,
    }
    if record.verdict is not None:
        verdict = record.verdict
        said |= {
            "outcome": verdict.outcome,
            "mechanisms": verdict.mechanisms,
            "stage": verdict.stage,
            "confidence": verdict.confidence,
            "reason": verdict.rules[0].reason if verdict.rules else None,
        }
    if record.facts is not None:
        said["facts"] = record.facts
    return said


def _stderr(text: str) -> None:
    # Whoever closed stderr does not want to be told.
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        pass


def _stdout(text: str) -> None:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
