"""`qazprobe erase`: delete everything measured here, at the collectors too."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import atomic_files, paths
from probe.admin import schedule
from probe.errors import Exit, UserError

if TYPE_CHECKING:
    from probe.paths import Home

LOCK = "run.lock"


@click.command()
@click.option("--remote", is_flag=True, help="First take back what collectors have of ours.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--ca-file", metavar="PEM", help="A laboratory's own roots; needs --lab.")
@click.option("--lab", is_flag=True, default=None, help="All of this is a laboratory.")
@click.option("--config", "config_file", metavar="FILE", help="Settings from there instead.")
def command(
    *, remote: bool, yes: bool, dry_run: bool, config_file: str | None, **flags: object
) -> None:
    """Delete everything that is kept on this machine: keys, results, consent, schedule, settings.

    \b
    qazprobe erase --dry-run      what that would be
    qazprobe erase                here
    qazprobe erase --remote       at the collectors first, then here

    Files that you wrote yourself with -o or export are yours to delete.
    """  # noqa: D301 - click reads \b as: keep these lines
    from probe.admin import erase

    places = paths.find()
    timers, found = schedule.installed(), erase.found(places)
    for timer, _ in timers:
        click.echo(f"schedule in {timer.name}")
    for path in found:
        click.echo(str(path))
    if dry_run or not (timers or found):
        click.echo("nothing was removed" if found or timers else "there is nothing", err=True)
        return
    if not yes and not _agreed():
        raise UserError("nothing was removed")
    for timer, _ in timers:
        timer.remove()
    _alone(places.state)
    if remote:
        _take_back(places, config_file, flags)
    left = erase.erase(erase.found(places), places)
    click.echo("erased", err=True)
    for path in left:
        click.echo(f"not ours, left as it is: {path}", err=True)


def _agreed() -> bool:
    try:
        return click.confirm("Delete all of this for good?", err=True)
    except click.Abort:
        click.echo(err=True)
        raise UserError("nobody answered; a script says: qazprobe erase --yes") from None


def _alone(state: Path) -> None:
    """A run that is on would write again what is being removed."""
    lock = atomic_files.Lock(state / LOCK)
    if not lock.acquire():
        raise UserError("a run is on; nothing was removed but the schedule", Exit.LOCKED)
    lock.release()


def _take_back(places: "Home", config_file: str | None, flags: dict[str, object]) -> None:
    """Ask every collector that knows a key of ours; stop before anything is lost if one cannot."""
    from probe.admin import erase
    from probe.client import context, endpoint
    from probe.client.keys import Keys
    from probe.commands.run import load_settings

    settings = load_settings(places, config_file, flags)
    configured = {one.url: one for one in context.assemble(settings, places.state).collectors}
    keys = Keys(places.state)
    ca_file = Path(settings.ca_file) if settings.ca_file else None
    failed = False
    for enrolment in keys.enrolments():
        url = enrolment.collector
        try:
            there = configured.get(url) or endpoint.parse(url, ca_file=ca_file, lab=settings.lab)
        except endpoint.EndpointError as error:
            raise UserError(str(error)) from error
        problem = asyncio.run(erase.erase_remote(keys, enrolment, there))
        click.echo(problem or f"{url}: everything of ours was taken back", err=True)
        failed = failed or problem is not None
    if failed:
        raise UserError(
            "not everything was taken back, so the keys are still here; try again later, "
            "or erase without --remote",
            Exit.NOT_SENT,
        )
