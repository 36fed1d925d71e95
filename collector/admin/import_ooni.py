"""Import archives of OONI's measurements, and tell what they concluded beside what we conclude.

Rule: these records have no vote in metrics and events, and no part in counting the probes of a
network: one key stands for all of an archive, to which every client could upload. An import that
was ended begins anew where it was, since the id of a record comes from its measurement.
"""

import json
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import click

from collector.admin import importing
from collector.judging import limits
from collector.record_row import BatchContext
from collector.settings import SettingsError
from collector.store import Store
from probe import codec
from probe.certificates.roots import Roots
from probe.escape import plain
from probe.interop import comparison, telling
from probe.interop.comparison import Comparison
from probe.interop.ooni.incoming import archive, said
from probe.interop.ooni.incoming.to_record import LICENCE
from probe.interop.reading import Read
from probe.judge import judge

TableForm = Literal["text", "json", "csv"]
# Refused measurements that are reported one by one; the others are counted.
_COMPLAINTS = 1000
_EVERY_SECONDS = 5.0


@dataclass(slots=True)
class _Archive:
    """The records of files of measurements, as lines; what is refused is reported and counted."""

    roots: Roots
    compared: Comparison = field(default_factory=lambda: Comparison(said.is_same))
    unjudged: int = 0
    _shown: float = field(default_factory=time.monotonic)

    def lines(self, file: Path) -> Iterator[bytes]:
        """A line for each record; each is judged for the table."""
        try:
            for one in archive.records((file,), self.roots):
                if one.refused:
                    self._refuse(one)
                elif one.record is None:
                    self.compared.leave_out(one.left_out)
                else:
                    self._judge(one)
                    yield codec.encode(one.record)
                self._progress(file)
        except OSError as error:
            raise SettingsError(f"{file}: {error.strerror}") from error

    def _judge(self, one: Read) -> None:
        """Count the conclusions; judging that takes too long is ended, as it is in a worker."""
        assert one.record is not None  # noqa: S101 - for the type checker
        try:
            verdict = limits.limited(judge)(one.record)
        except limits.OutOfTime:
            self.unjudged += 1
        else:
            self.compared.add(one.record, one.said, verdict, one.place)

    def _refuse(self, one: Read) -> None:
        self.compared.refused += 1
        if self.compared.refused <= _COMPLAINTS:
            click.echo(f"{plain(one.place)}: {plain(one.refused)}", err=True)

    def _progress(self, file: Path) -> None:
        now = time.monotonic()
        if now - self._shown >= _EVERY_SECONDS:
            self._shown = now
            click.echo(f"{file}: {self.compared.judged} read", err=True)


def work(
    chosen: Sequence[Path],
    url: str,
    targets: Sequence[str],
    context: BatchContext,
    form: TableForm = "text",
) -> Callable[[Store], Coroutine[Any, Any, int]]:
    """What imports the files into a store, and returns how many measurements were refused."""
    silent = replace(context, votes=False)

    async def run(store: Store) -> int:
        click.echo(LICENCE, err=True)
        limits.limit_time()
        read, complaints = _Archive(Roots.mozilla()), 0
        judging = importing.ImportJudging(store, url, targets, context.key_id)
        async with judging.running():
            for file in chosen:
                done = await importing.import_lines(
                    store, read.lines(file), context=silent, source=str(file), judging=judging
                )
                for complaint in done.complaints[:_COMPLAINTS]:
                    click.echo(complaint, err=True)
                complaints += len(done.complaints)
                click.echo(f"{file}: {done}; without a vote", err=True)
        for reason, number in sorted(judging.unjudged.items()):
            click.echo(f"{number} stored as inconclusive, not judged: {reason}", err=True)
        _tell(read.compared, form)
        return read.compared.refused + complaints

    return run


def _tell(compared: Comparison, form: TableForm) -> None:
    if form == "json":
        click.echo(json.dumps(comparison.as_json(compared), ensure_ascii=False))
        return
    lines = telling.text(compared, of_ooni=True)
    for line in comparison.as_csv(compared) if form == "csv" else lines:
        click.echo(line)
    sys.stdout.flush()
