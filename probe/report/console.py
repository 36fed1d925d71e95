"""Output of a run: results on stdout, messages on stderr, problems only when quiet."""

import sys

import msgspec

from probe.escape import plain
from probe.model import Record
from probe.packed import PackedRecords
from probe.stdout import STDOUT, silence_stdout


class Console(msgspec.Struct):
    """Prints results and messages.

    Attributes:
        quiet: Print problems only.
        json: Print record summaries as JSON lines instead of a table.
        output: Destination of `-o`; `-` reserves stdout for the records.
    """

    quiet: bool = False
    json: bool = False
    output: str | None = None
    records: PackedRecords = msgspec.field(default_factory=PackedRecords)

    def warn(self, text: str) -> None:
        """Print a problem that the user may have to act on."""
        _stderr(f"qazprobe: {plain(text, 500)}")

    def note(self, text: str) -> None:
        """Print information, unless quiet."""
        if not self.quiet:
            _stderr(text)

    @property
    def wants_table(self) -> bool:
        """Whether the table is wanted and stdout is free for it."""
        return not (self.quiet or self.json or self.output == STDOUT)

    def show_record(self, record: Record) -> None:
        """Print a finished record's summary, or keep the record for the table."""
        if self.json:
            _stdout(msgspec.json.encode(summary(record)).decode())
        if self.wants_table and record.experiment != "run":
            self.records.append(msgspec.structs.replace(record, steps=(), certs={}, control=()))

    def table(self, run: Record) -> None:
        """Print the table of all records, at the end of a run."""
        if not self.wants_table:
            return
        from probe.report.table import render

        _stdout(render(self.records, run.facts).rstrip("\n"))
        self.records = PackedRecords()


def summary(record: Record) -> dict[str, object]:
    """Return the summary of one record for a script."""
    fields: dict[str, object] = {
        "id": record.id,
        "run": record.run,
        "experiment": record.experiment,
        "input": record.input,
        "started_at": record.started_at,
    }
    if record.verdict is not None:
        verdict = record.verdict
        fields |= {
            "outcome": verdict.outcome,
            "mechanisms": verdict.mechanisms,
            "stage": verdict.stage,
            "confidence": verdict.confidence,
            "reason": verdict.rules[0].reason if verdict.rules else None,
        }
    if record.facts is not None:
        fields["facts"] = record.facts
    return fields


def _stderr(text: str) -> None:
    # A closed stderr is not an error.
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
