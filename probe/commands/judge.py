"""`qazprobe judge`: judge measurements of files again, ours or OONI's, without measuring."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe.errors import UserError
from probe.escape import plain
from probe.i18n import _

if TYPE_CHECKING:
    from probe.interop.comparison import Comparison
    from probe.interop.reading import Read
    from probe.user_files import UserFile

# Refused measurements that are reported one by one; the others are counted.
TOLD = 1000
_EVERY_SECONDS = 2.0


@click.command("judge")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["qazprobe", "ooni"]),
    default="qazprobe",
    show_default=True,
    help="Whose measurements these are.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the judged records to this file, as JSON lines.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
def command(
    *, files: tuple[Path, ...], form: str, output: Path | None, as_json: bool, as_csv: bool
) -> None:
    """Judge the measurements in FILES by the installed rules, and compare the conclusions.

    OONI's may be JSON lines, gzip, tar archives of post cans, or objects of its API. Prints what
    they concluded beside what we conclude, with the reasons, and the known interception authorities
    whose signatures verify. Exit 2 if nothing could be judged.
    """
    from probe.interop import comparison, telling

    if as_json and as_csv:
        raise UserError(_("--json and --csv exclude each other"))
    try:
        compared = _judged(files, form, output)
    except OSError as error:
        raise UserError(f"{plain(str(error.filename))}: {_(error.strerror or '')}") from error
    if as_json:
        click.echo(json.dumps(comparison.as_json(compared), ensure_ascii=False))
    elif as_csv:
        for line in comparison.as_csv(compared):
            click.echo(line)
    else:
        for line in telling.text(compared, of_ooni=form == "ooni"):
            click.echo(line)
    if not compared.judged:
        raise UserError(_("no measurement of these files could be judged"))


def _judged(files: tuple[Path, ...], form: str, output: Path | None) -> "Comparison":
    from msgspec.structs import replace

    from probe import codec
    from probe.interop.comparison import Comparison
    from probe.judge import judge
    from probe.user_files import writing

    every, agrees = _measurements(files, form)
    compared = Comparison(agrees)
    opened: AbstractContextManager[UserFile | None] = (
        nullcontext() if output is None else writing(output)
    )
    with opened as written:
        for one in _progressing(every):
            if one.refused:
                _tell(compared, one)
            elif one.record is None:
                compared.leave_out(one.left_out)
            else:
                verdict = judge(one.record)
                compared.add(one.record, one.said, verdict, one.place)
                if written is not None:
                    written.write(codec.encode(replace(one.record, verdict=verdict)) + b"\n")
    return compared


def _measurements(
    files: tuple[Path, ...], form: str
) -> tuple[Iterator["Read"], Callable[[str, str], bool]]:
    """What the files have; and whether a word of theirs and an outcome say the same."""
    if form == "ooni":
        from probe.certificates.roots import Roots
        from probe.interop.ooni.incoming import archive, said

        return archive.records(files, Roots.mozilla()), said.is_same
    import operator

    from probe.interop import reading

    return reading.own_records(files), operator.eq


def _tell(compared: "Comparison", one: "Read") -> None:
    compared.refused += 1
    if compared.refused <= TOLD:
        click.echo(f"{plain(one.place)}: {plain(one.refused)}", err=True)


def _progressing(every: Iterator["Read"]) -> Iterator["Read"]:
    """Say on a terminal how far it is."""
    shown, told = time.monotonic(), False
    for number, one in enumerate(every, 1):
        yield one
        now = time.monotonic()
        if now - shown >= _EVERY_SECONDS and sys.stderr.isatty():
            click.echo(f"\r{number}", nl=False, err=True)
            shown, told = now, True
    if told:
        click.echo("\r", nl=False, err=True)
