"""`qazprobe erase`: delete everything kept here and, with `--remote`, at the collectors."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import paths
from probe.admin import schedule
from probe.errors import Exit, UserError

if TYPE_CHECKING:
    from probe.paths import Home


@click.command()
@click.option("--remote", is_flag=True, help="First delete our records at the collectors.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
def command(
    *, remote: bool, yes: bool, dry_run: bool, config_file: str | None, **flags: object
) -> None:
    """Delete everything that is kept on this machine: keys, results, consent, schedule, settings.

    \b
    qazprobe erase --dry-run      list what would be removed
    qazprobe erase                delete it on this machine
    qazprobe erase --remote       delete it at the collectors first, then here

    Files that you wrote with -o or export are not touched.
    """  # noqa: D301 - \b tells click to keep these lines
    from probe.admin import erase

    home = paths.find()
    timers, found = schedule.installed(), erase.found(home)
    for timer, _ in timers:
        click.echo(f"schedule in {timer.name}")
    for path in found:
        click.echo(str(path))
    if dry_run or not (timers or found):
        click.echo(
            "nothing was removed" if found or timers else "there is nothing to remove", err=True
        )
        return
    if not yes and not _confirmed():
        raise UserError("nothing was removed")
    for timer, _ in timers:
        timer.remove()
    # An active run would write again what is being removed.
    lock = paths.run_lock(home.state)
    if not lock.acquire():
        raise UserError("a run is active; only the schedule was removed", Exit.LOCKED)
    lock.release()
    if remote:
        _erase_remote(home, config_file, flags)
    left = erase.erase(erase.found(home), home)
    click.echo("erased", err=True)
    for path in left:
        click.echo(f"not created by qazprobe, kept: {path}", err=True)


def _confirmed() -> bool:
    try:
        return click.confirm("Delete all of this permanently?", err=True)
    except click.Abort:
        click.echo(err=True)
        raise UserError("no answer; in a script use: qazprobe erase --yes") from None


def _erase_remote(home: "Home", config_file: str | None, flags: dict[str, object]) -> None:
    """Ask every collector where we are enrolled to delete our records.

    If one of them fails, raise `UserError` before the local keys are deleted.
    """
    from probe.admin import erase
    from probe.client import context, endpoint
    from probe.client.keys import Keys
    from probe.commands.run import load_settings

    settings = load_settings(home, config_file, flags)
    configured = {one.url: one for one in context.assemble(settings, home.state).collectors}
    keys = Keys(home.state)
    ca_file = Path(settings.ca_file) if settings.ca_file else None
    failed = False
    for enrolment in keys.enrolments():
        url = enrolment.collector
        try:
            collector = configured.get(url)
            collector = collector or endpoint.parse(url, ca_file=ca_file, lab=settings.lab)
        except endpoint.EndpointError as error:
            raise UserError(str(error)) from error
        problem = asyncio.run(erase.erase_remote(keys, enrolment, collector))
        click.echo(problem or f"{url}: deleted our records", err=True)
        failed = failed or problem is not None
    if failed:
        raise UserError(
            "not every collector deleted our records, so the keys are kept; try again later, "
            "or erase without --remote",
            Exit.NOT_SENT,
        )
