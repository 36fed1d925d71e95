"""Import RIPE Atlas's results: what its probes saw, as evidence of other vantage points.

Rule: these records have no vote, in metrics, in events and in who is few. We cannot tell what those
probes are, and any user of RIPE Atlas orders what they measure.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from collector.admin import importing
from collector.record_row import BatchContext
from collector.settings import SettingsError
from collector.store import Store
from probe import codec
from probe.certificates.roots import Roots
from probe.interop.atlas import places
from probe.interop.atlas.dns_steps import Questions
from probe.interop.atlas.places import AtlasPlace
from probe.interop.atlas.to_record import AtlasError, OtherKindError, to_record
from probe.interop.ooni.incoming import files

PLACES_BYTES = 128 * 1024 * 1024
_COMPLAINTS = 100


def read_places(file: Path | None) -> Mapping[int, AtlasPlace]:
    """Where the probes are, by RIPE's list of them."""
    if file is None:
        return {}
    try:
        with file.open("rb") as opened:
            data = opened.read(PLACES_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    if len(data) > PLACES_BYTES:
        raise SettingsError(f"{file}: at most {PLACES_BYTES >> 20} MB expected")
    try:
        return places.read(data)
    except ValueError as error:
        reason = " ".join(str(error).split())[:160]
        raise SettingsError(f"{file}: no list of Atlas probes: {reason}") from error


@dataclass(slots=True)
class _Results:
    """The records of a file's results, as lines; what is refused is reported and counted."""

    file: Path
    known: Mapping[int, AtlasPlace]
    roots: Roots
    questions: Questions = field(default_factory=Questions)
    refused: int = 0
    others: int = 0

    def lines(self) -> Iterator[bytes]:
        """A line for each record."""
        try:
            for found in files.measurements(self.file):
                if found.refused:
                    self._refuse(found.place, found.refused)
                    continue
                try:
                    yield codec.encode(self._record(found.content))
                except OtherKindError:
                    self.others += 1
                except AtlasError as error:
                    self._refuse(found.place, str(error))
        except OSError as error:
            raise SettingsError(f"{self.file}: {error.strerror}") from error

    def _record(self, content: Any) -> Any:
        return to_record(content, roots=self.roots, known=self.known, questions=self.questions)

    def _refuse(self, place: str, why: str) -> None:
        self.refused += 1
        if self.refused <= _COMPLAINTS:
            click.echo(f"{place}: {why}", err=True)


def work(
    chosen: Sequence[Path],
    url: str,
    targets: Sequence[str],
    context: BatchContext,
    known: Mapping[int, AtlasPlace],
) -> Callable[[Store], Coroutine[Any, Any, int]]:
    """What imports the files into a store, and returns how many results were refused."""
    silent = replace(context, votes=False)

    async def run(store: Store) -> int:
        roots, refused = Roots.mozilla(), 0
        judging = importing.ImportJudging(store, url, targets, context.key_id)
        async with judging.running():
            for file in chosen:
                results = _Results(file, known, roots)
                done = await importing.import_lines(
                    store, results.lines(), context=silent, source=str(file), judging=judging
                )
                for complaint in done.complaints[:_COMPLAINTS]:
                    click.echo(complaint, err=True)
                refused += results.refused + len(done.complaints)
                click.echo(_summary(results, done))
        for reason, number in sorted(judging.unjudged.items()):
            click.echo(f"{number} stored as inconclusive, not judged: {reason}", err=True)
        return refused

    return run


def _summary(results: _Results, done: importing.Imported) -> str:
    parts = [f"{done.stored} stored"]
    parts += [f"{done.duplicates} were there"] if done.duplicates else []
    wrong = results.refused + len(done.complaints)
    parts += [f"{wrong} refused"] if wrong else []
    parts += [f"{results.others} of other kinds left out"] if results.others else []
    return f"{results.file}: {', '.join(parts)}; without a vote"
