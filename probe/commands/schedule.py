"""`qazprobe schedule`: run by itself, by the system's own timer."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from probe import config, paths
from probe.admin import schedule
from probe.admin.schedule import choose, installed, plan
from probe.admin.timers import BACKENDS, Plan, ScheduleError
from probe.config import Settings
from probe.errors import UserError

_with = click.option(
    "--with", "named", type=click.Choice(sorted(BACKENDS)), help="This timer, not the usual one."
)
# What the heartbeat needs of the run's own options, to reach the same collectors as the same key.
_SHARED = ("collector", "invite", "ca_file", "lab")


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
@click.option(
    "--heartbeat/--no-heartbeat",
    default=None,
    help="Every five minutes too: say that this machine is here.  [default: if you allowed it]",
)
@click.option("--print", "show", is_flag=True, help="Show it and install nothing.")
@_with
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def install(
    *, every: str, heartbeat: bool | None, show: bool, named: str | None, arguments: tuple[str, ...]
) -> None:
    """Install a timer; what comes after `--` is given to `qazprobe run`."""
    try:
        given, settings = _understood(arguments)
        made = [plan(arguments, config.duration(every))]
        obstacle = None if heartbeat is False else _obstacle(settings)
        if heartbeat and obstacle:
            raise UserError(f"no heartbeat: {obstacle}")
        if heartbeat is not False and obstacle is None:
            made.append(_heartbeat(given))
        backend = choose(named)
        if show:
            click.echo(backend.render(*made), nl=False)
            return
        backend.install(*made)
    except (ScheduleError, config.ConfigError) as error:
        raise UserError(str(error)) from error
    beats = ", and the heartbeat every five minutes" if len(made) > 1 else ""
    click.echo(f"installed with {backend.name}: every {every}{beats}")
    click.echo("remove: qazprobe schedule remove")
    if backend.name == "systemd":
        click.echo("to run while you are logged out: loginctl enable-linger", err=True)
    _remind(obstacle)


def _remind(obstacle: str | None) -> None:
    """Say what is still missing for this to be of use."""
    from probe.admin import consent

    if consent.read(paths.find().state) is None:
        click.echo("nothing is measured before you agree: qazprobe consent", err=True)
    elif obstacle:
        click.echo(f"without the heartbeat: {obstacle}", err=True)


def _obstacle(settings: Settings) -> str | None:
    """Why no heartbeat would be sent, in a line, or None."""
    from probe.heartbeat import sender as heartbeat

    if not settings.upload or not settings.collector:
        return "no collector is named to hear it"
    if not heartbeat.allowed(settings, paths.find().state):
        return "it needs a yes of its own: qazprobe consent --heartbeat, then install again"
    return None


def _understood(arguments: Sequence[str]) -> tuple[Mapping[str, Any], Settings]:
    """Parse options of `run` into settings; `UserError` where `run` would raise it.

    By the configuration and these options alone: a timer does not have this shell's environment.
    """
    from probe.commands import run
    from probe.runner.jobs import assign, check_options

    try:
        given = run.command.make_context("run", list(arguments)).params
    except click.UsageError as error:
        raise UserError(f"after --, for run: {error.format_message()}") from error
    run.check_stdout(given["output"], as_json=given["as_json"])
    places, named = paths.find(), given["config_file"]
    file = run.settings_file(places, named)
    flags = {name: given[name] for name in given if name in Settings.__struct_fields__}
    flags["upload"] = False if given["no_upload"] else None
    layers = (config.file_layer(file, must_exist=bool(named)), config.flag_layer(flags))
    settings = config.merge(layers)
    check_options(settings, file)
    assign(given["urls"], settings, places.state, warn=_warn, touch_network=False)
    run.client_context(settings, places.state)
    return given, settings


def _warn(line: str) -> None:
    click.echo(line, err=True)


def _heartbeat(given: Mapping[str, Any]) -> Plan:
    """The heartbeat beside a run with these options."""
    words: list[str] = []
    if given["config_file"] is not None:
        words += ["--config", given["config_file"]]
    for name in _SHARED:
        option, value = f"--{name.replace('_', '-')}", given[name]
        for one in value if isinstance(value, tuple) else (value,):
            words += [option] if one is True else [option, str(one)] if one else []
    return schedule.heartbeat(words)


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
            raise UserError(str(error)) from error
        click.echo(f"removed from {backend.name}")
