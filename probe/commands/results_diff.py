"""`qazprobe results diff`: what began, ended or changed from one run to another."""

import json
from pathlib import Path

import click

from probe import paths
from probe.errors import UserError
from probe.escape import plain
from probe.i18n import _
from probe.runner import changes
from probe.runner.changes import Change
from probe.runner.results import Results, ResultsError, RunSummary, find_run, summaries


@click.command("diff")
@click.argument("runs", nargs=-1, metavar="[RUN [RUN]]")
@click.option(
    "--file",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Read records from this file instead of the results kept here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each change.")
def command(*, runs: tuple[str, ...], files: tuple[Path, ...], as_json: bool) -> None:
    """Show what began, ended or changed from one run to another.

    Without RUN: the last two complete runs. With one: from it to the last complete run. What was
    inconclusive, offline or seen only once is no change.
    """
    kept = list(files) or Results(paths.find().state).files()
    try:
        known = summaries(kept)
        old, new = _chosen(kept, known, runs)
        found = changes.between(kept, known, old.run, new.run)
    except ResultsError as error:
        raise UserError(plain(str(error))) from error
    if as_json:
        for one in found:
            click.echo(json.dumps(_as_json(one, old, new)))
        return
    span = _("from {old} to {new}").format(old=old.started_at[:16], new=new.started_at[:16])
    if not changes.comparable(old, new):
        click.echo(_("the two runs were made on different networks"), err=True)
    for line in changes.text(found):
        click.echo(line)
    click.echo(f"{span}: {_summary(found)}", err=True)


def _chosen(
    kept: list[Path], known: list[RunSummary], wanted: tuple[str, ...]
) -> tuple[RunSummary, RunSummary]:
    """Return the two runs, the earlier one first."""
    if len(wanted) > 2:
        raise UserError(_("at most two runs can be compared"))
    by_id = {one.run: one for one in known}
    named = [by_id[_found(kept, run)] for run in wanted]
    complete = [one for one in changes.complete_runs(known) if one not in named]
    both = [*named, *complete][:2]
    if len(both) < 2:
        raise UserError(_("there are no two complete runs to compare; see: qazprobe results list"))
    first, second = sorted(both, key=lambda one: (one.started_at, one.run))
    return first, second


def _found(kept: list[Path], wanted: str) -> str:
    run = find_run(kept, wanted)
    if run is None:
        text = _("{run}: no such run; see: {command}")
        raise UserError(text.format(run=plain(wanted), command="qazprobe results list"))
    return run


def _summary(found: list[Change]) -> str:
    counted = changes.counts(found)
    if not found:
        return _("nothing changed")
    return _("{began} began, {ended} ended, {changed} changed").format(**counted)


def _as_json(one: Change, old: RunSummary, new: RunSummary) -> dict[str, object]:
    return {
        "kind": one.kind,
        "experiment": one.experiment,
        "input": one.input,
        "before": {"outcome": one.before.outcome, "mechanisms": one.before.mechanisms},
        "after": {"outcome": one.after.outcome, "mechanisms": one.after.mechanisms},
        "runs": [old.run, new.run],
    }
