"""`qazprobe schedule`: run by itself, by the system's own timer."""

import click

from probe import config, consent, home
from probe.schedule import BACKENDS, ScheduleError, choose, installed, plan
from probe.trouble import Trouble

_with = click.option(
    "--with", "named", type=click.Choice(sorted(BACKENDS)), help="This timer, not the usual one."
)


@click.group()
def command() -> None:
    """Run by itself, by the system's own timer.

    \b
    qazprobe schedule install --every 6h     systemd, cron, launchd or Windows' own
    qazprobe schedule install --print        only show what would be installed
    qazprobe schedule status
    qazprobe schedule remove
    """  # noqa: D301 - click reads \b as: keep these lines


@command.command("install")
@click.option("--every", default="6h", show_default=True, help="How often: 15m to 1d.")
@click.option("--print", "show", is_flag=True, help="Show it and install nothing.")
@_with
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def install(*, every: str, show: bool, named: str | None, arguments: tuple[str, ...]) -> None:
    """Install a timer; what comes after `--` is given to `qazprobe run`."""
    try:
        made = plan(arguments, config.duration(every))
        backend = choose(named)
        if show:
            click.echo(backend.render(made), nl=False)
            return
        backend.install(made)
    except (ScheduleError, config.ConfigError) as error:
        raise Trouble(str(error)) from error
    click.echo(f"installed with {backend.name}: every {every}; remove: qazprobe schedule remove")
    if backend.name == "systemd":
        click.echo("to run while you are logged out: loginctl enable-linger", err=True)
    given = consent.read(home.find().state)
    if given is None:
        click.echo("nothing is measured before you agree: qazprobe consent", err=True)
    elif given.heartbeat:
        click.echo("for the heartbeat, also every five minutes: qazprobe upload --quiet", err=True)


@command.command("status")
def status() -> int:
    """Say what is installed; exit 1 when nothing is."""
    found = installed()
    for backend, said in found:
        click.echo(f"{backend.name}: {said}")
    if not found:
        click.echo("nothing is scheduled", err=True)
    return 0 if found else 1


@command.command("remove")
def remove() -> None:
    """Remove every timer of ours."""
    for backend, _ in installed():
        try:
            backend.remove()
        except ScheduleError as error:
            raise Trouble(str(error)) from error
        click.echo(f"removed from {backend.name}")
