"""`qazprobe results export --format ooni`: records as measurements of OONI's format."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from probe import user_files
from probe.errors import Exit, UserError
from probe.i18n import N_, _, ngettext
from probe.interop.ooni.out.bucket_files import writing_buckets
from probe.interop.ooni.out.exporting import (
    CountLine,
    OoniLine,
    OoniTally,
    converted,
    is_one_file,
    one_file,
)
from probe.runner.results import RecordHeader, ResultsError, decoded

UNREADABLE = N_("this version cannot read it")
Chosen = Iterable[tuple[RecordHeader, bytes]]


def export(chosen: Chosen, output: Path) -> None:
    """Write measurements to a folder, a file or stdout; say on stderr what they are."""
    tally = OoniTally()
    line = CountLine(sys.stderr, lambda: written(tally))
    found = _counted(measurements(chosen, tally), line)
    name = str(output)
    try:
        if name == "-":
            sys.stdout.buffer.writelines(one_file(name, found))
        elif is_one_file(name):
            user_files.write(name, one_file(name, found))
        else:
            with writing_buckets(output) as folder:
                for one in found:
                    folder.add(one.bucket, one.text)
    except BrokenPipeError:
        raise  # of the reader of our stdout, who has enough
    except OSError as error:
        raise UserError(f"-o {name}: {_(error.strerror or '')}", Exit.USAGE) from error
    finally:
        line.end()
    for sentence in summary(tally):
        click.echo(sentence, err=True)


def _counted(found: Iterable[OoniLine], line: CountLine) -> Iterator[OoniLine]:
    for one in found:
        line.tick()
        yield one


def measurements(chosen: Chosen, tally: OoniTally) -> Iterator[OoniLine]:
    """The records that are measurements."""
    for _header, line in chosen:
        try:
            record = decoded(line)
        except ResultsError:
            tally.leave_out(UNREADABLE)
            continue
        if (one := converted(record, line, tally)) is not None:
            yield one


def written(tally: OoniTally) -> str:
    """How many measurements there are so far."""
    number = tally.written
    text = ngettext(
        "{number} measurement in OONI's format", "{number} measurements in OONI's format", number
    )
    return text.format(number=number)


def summary(tally: OoniTally) -> Iterator[str]:
    """What was written, what was left out and why, and whose it is."""
    yield written(tally)
    for (reason, experiment), number in tally.left_out.most_common():
        why = _(reason).format(experiment=experiment)
        yield _("left out: {number} ({why})").format(number=number, why=why)
    if tally.foreign:
        from probe.interop.ooni.incoming.to_record import LICENCE

        yield LICENCE
