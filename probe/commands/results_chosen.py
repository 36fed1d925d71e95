"""Which records a subcommand of `qazprobe results` is about: of which files, runs and outcomes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from probe import paths
from probe.errors import UserError
from probe.escape import plain
from probe.i18n import _
from probe.model import Record
from probe.runner.results import (
    RecordHeader,
    Results,
    ResultsError,
    decoded,
    find_run,
    lines,
)

T = TypeVar("T")


def kept_files(files: tuple[Path, ...]) -> list[Path]:
    """Return the named files, else those of the results kept on this machine."""
    return list(files) or Results(paths.find().state).files()


def choose(
    files: list[Path], runs: tuple[str, ...], outcomes: tuple[str, ...]
) -> Iterator[tuple[RecordHeader, bytes]]:
    """Yield the records of these runs with these outcomes; an empty filter matches all."""
    wanted = {run: guarded(partial(find_run, files, run)) for run in runs}
    for run, found in wanted.items():
        if found is None:
            raise UserError(no_run(run))
    for header, line in lines(files):
        outcome = header.verdict.outcome.value if header.verdict else ""
        if (not runs or header.run in wanted.values()) and (not outcomes or outcome in outcomes):
            yield header, line


def no_run(run: str) -> str:
    """Return the message that a run does not exist."""
    if run == "last":
        return _("nothing was measured yet; begin with: {command}").format(command="qazprobe run")
    text = _("{run}: no such run; see: {command}")
    return text.format(run=plain(run), command="qazprobe results list")


def decoded_records(chosen: Iterable[tuple[RecordHeader, bytes]]) -> Iterator[Record]:
    """Decode records; skip, with a message, any that a later version wrote."""
    for header, line in chosen:
        try:
            yield decoded(line)
        except ResultsError as error:
            click.echo(f"{plain(header.id)}: {plain(str(error))}", err=True)


def guarded(action: Callable[[], T]) -> T:
    """Run `action` and turn a `ResultsError` into a `UserError`."""
    try:
        return action()
    except ResultsError as error:
        raise UserError(plain(str(error))) from error
