"""`qazprobe schedule`: run measurements from the system's timer."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click

from probe import config, paths
from probe.admin.schedule import choose, heartbeat_job, installed, run_job
from probe.admin.timers import BACKENDS, ScheduleError, TimerJob
from probe.config import Settings
from probe.errors import UserError

_with = click.option(
    "--with",
    "named",
    type=click.Choice(sorted(BACKENDS)),
    help="Use this timer instead of the default one.",
)
# Options of the run that the heartbeat needs to reach the same collectors with the same key.
_SHARED = ("collector", "invite", "ca_file", "lab")


@click.group()
def command() -> None:
    """Run measurements from the system's timer.

    \b
    qazprobe schedule install --every 6h     use systemd, cron, launchd or Task Scheduler
    qazprobe schedule install --print        only show what would be installed
    qazprobe schedule status
    qazprobe schedule remove
    """  # noqa: D301 - \b tells click to keep these lines


@command.command("install")
@click.option("--every", default="6h", show_default=True, help="Interval, 15m to 1d.")
@click.option(
    "--heartbeat/--no-heartbeat",
    default=None,
    help="Also send a heartbeat every five minutes.  [default: if you allowed it]",
)
@click.option("--print", "show", is_flag=True, help="Only print what would be installed.")
@_with
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def install(
    *, every: str, heartbeat: bool | None, show: bool, named: str | None, arguments: tuple[str, ...]
) -> None:
    """Install a timer; arguments after `--` are passed to `qazprobe run`."""
    try:
        given, settings = _parse_run(arguments)
        jobs = [run_job(arguments, config.duration(every))]
        obstacle = None if heartbeat is False else _obstacle(settings)
        if heartbeat and obstacle:
            raise UserError(f"no heartbeat: {obstacle}")
        if heartbeat is not False and obstacle is None:
            jobs.append(_heartbeat(given))
        backend = choose(named)
        if show:
            click.echo(backend.render(*jobs), nl=False)
            return
        backend.install(*jobs)
    except (ScheduleError, config.ConfigError) as error:
        raise UserError(str(error)) from error
    also = ", with a heartbeat every five minutes" if len(jobs) > 1 else ""
    click.echo(f"installed with {backend.name}: every {every}{also}")
    click.echo("to remove it: qazprobe schedule remove")
    if backend.name == "systemd":
        click.echo("to keep it running while you are logged out: loginctl enable-linger", err=True)
    _remind(obstacle)


def _remind(obstacle: str | None) -> None:
    """Print what is still missing: consent, or the heartbeat."""
    from probe.admin import consent

    if consent.read(paths.find().state) is None:
        click.echo("nothing is measured until you agree: qazprobe consent", err=True)
    elif obstacle:
        click.echo(f"no heartbeat is sent: {obstacle}", err=True)


def _obstacle(settings: Settings) -> str | None:
    """Return why no heartbeat would be sent, or None."""
    from probe.heartbeat import sender as heartbeat

    if not settings.upload or not settings.collector:
        return "no collector is configured to receive it"
    if not heartbeat.allowed(settings, paths.find().state):
        return "it needs separate consent: qazprobe consent --heartbeat, then install again"
    return None


def _parse_run(arguments: Sequence[str]) -> tuple[Mapping[str, Any], Settings]:
    """Parse options of `run` into settings; raise `UserError` where `run` would.

    The environment is ignored: a timer does not have the variables of this shell.
    """
    from probe.commands import run
    from probe.runner.jobs import check_options, job_list

    try:
        given = run.command.make_context("run", list(arguments)).params
    except click.UsageError as error:
        raise UserError(f"options of run after --: {error.format_message()}") from error
    run.check_stdout(given["output"], as_json=given["as_json"])
    home, named = paths.find(), given["config_file"]
    file = run.settings_file(home, named)
    flags = {name: given[name] for name in given if name in Settings.__struct_fields__}
    flags["upload"] = False if given["no_upload"] else None
    layers = (config.file_layer(file, must_exist=bool(named)), config.flag_layer(flags))
    settings = config.merge(layers)
    check_options(settings, file)
    warn = partial(click.echo, err=True)
    job_list(given["urls"], settings, home.state, warn=warn, touch_network=False)
    run.client_context(settings, home.state)
    return given, settings


def _heartbeat(given: Mapping[str, Any]) -> TimerJob:
    """Return the heartbeat job that belongs to a run with these options."""
    words: list[str] = []
    if given["config_file"] is not None:
        words += ["--config", given["config_file"]]
    for name in _SHARED:
        option, value = f"--{name.replace('_', '-')}", given[name]
        for one in value if isinstance(value, tuple) else (value,):
            words += [option] if one is True else [option, str(one)] if one else []
    return heartbeat_job(words)


@command.command("status")
def status() -> int:
    """Show what is installed; exit 1 if nothing is."""
    found = installed()
    for backend, state in found:
        click.echo(f"{backend.name}: {state}")
    if not found:
        click.echo("nothing is scheduled", err=True)
    return 0 if found else 1


@command.command("remove")
def remove() -> None:
    """Remove every timer that `schedule install` made."""
    for backend, _ in installed():
        try:
            backend.remove()
        except ScheduleError as error:
            raise UserError(str(error)) from error
        click.echo(f"removed from {backend.name}")
