"""`qazprobe schedule`: run measurements from the system's timer."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from probe import config, paths
from probe.admin.absolute_paths import absolute_arguments, is_relative_list
from probe.admin.schedule import BACKENDS, MIN_BATTERY, choose, heartbeat_job, run_job, survey
from probe.admin.timers import ScheduleError, TimerJob
from probe.config import Settings
from probe.errors import UserError
from probe.escape import plain
from probe.i18n import _
from probe.translated_help import SummarisedGroup

_with = click.option(
    "--with",
    "named",
    type=click.Choice(sorted(BACKENDS)),
    help="Use this timer instead of the default one.",
)
# Options of the run that the heartbeat needs to reach the same collectors with the same key.
_SHARED = ("collector", "invite", "ca_file", "lab")


@click.group(cls=SummarisedGroup)
def command() -> None:
    """Run measurements from the system's timer.

    \b
    qazprobe schedule install --every 6h    use the timer of your system
    qazprobe schedule install --print       only show what would be installed
    qazprobe schedule status
    qazprobe schedule remove
    """  # noqa: D301 - \b tells click to keep these lines


@command.command("install")
@click.option(
    "--every", default="6h", metavar="DURATION", show_default=True, help="Interval, 15m to 1d."
)
@click.option(
    "--heartbeat/--no-heartbeat",
    default=None,
    help="Also send a heartbeat every five minutes.  [default: if you allowed it]",
)
@click.option("--metered-too", is_flag=True, help="Measure on a metered connection too.")
@click.option(
    "--on-battery", is_flag=True, help=f"Measure on battery below {MIN_BATTERY} percent too."
)
@click.option("--print", "show", is_flag=True, help="Only print what would be installed.")
@_with
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def install(
    *,
    every: str,
    heartbeat: bool | None,
    show: bool,
    named: str | None,
    arguments: tuple[str, ...],
    **careless: bool,
) -> None:
    """Install a timer; arguments after `--` are passed to `qazprobe run`.

    A scheduled run is skipped on a metered connection, and on battery when little charge is left.
    """
    try:
        given, settings, chosen = _parse_run(arguments)
        words = (*_sparing(chosen, **careless), *_absolute(arguments))
        jobs = [run_job(words, config.duration(every))]
        obstacle = None if heartbeat is False else _obstacle(settings)
        if heartbeat and obstacle:
            raise UserError(_("no heartbeat: {reason}").format(reason=obstacle))
        if heartbeat is not False and obstacle is None:
            jobs.append(_heartbeat(given))
        backend = choose(named)
        if show:
            click.echo(backend.render(*jobs), nl=False)
            return
        _accept_risks(settings, accepted=given["accept_risks"])
        backend.install(*jobs)
    except config.ConfigError as error:
        raise UserError(str(error)) from error
    message = _("installed with {timer}: every {period}")
    if len(jobs) > 1:
        message = _("installed with {timer}: every {period}, with a heartbeat every five minutes")
    click.echo(message.format(timer=backend.name, period=every))
    click.echo(_("to remove it: {command}").format(command="qazprobe schedule remove"))
    if backend.name == "systemd":
        message = _("to keep it running while you are logged out: {command}")
        click.echo(message.format(command="loginctl enable-linger"), err=True)
    _remind(obstacle)


def _absolute(arguments: Sequence[str]) -> Sequence[str]:
    from probe.commands import run

    return tuple(absolute_arguments(arguments, run.command.params))


def _sparing(chosen: Collection[str], *, metered_too: bool, on_battery: bool) -> Sequence[str]:
    """Return the options that skip a run where it would cost too much.

    Args:
        chosen: Settings that the configuration has; they are the volunteer's word already.
    """
    words: list[str] = []
    if not metered_too and "unmetered_only" not in chosen:
        words += ["--unmetered-only"]
    if not on_battery and "min_battery" not in chosen:
        words += ["--min-battery", str(MIN_BATTERY)]
    return words


def _remind(obstacle: str | None) -> None:
    """Print what is still missing: consent, or the heartbeat."""
    from probe.admin import consent

    agreed = consent.read(paths.find().state)
    if agreed is None or not agreed.current:
        click.echo(_("nothing is measured until you agree: qazprobe consent"), err=True)
    elif obstacle:
        click.echo(_("no heartbeat is sent: {obstacle}").format(obstacle=obstacle), err=True)


def _accept_risks(settings: Settings, *, accepted: bool) -> None:
    """Have risks accepted now that a timed run could not ask about, if there is consent already."""
    from probe import consent_record
    from probe.admin.question import accept_risks
    from probe.report.risk_notice import of_run

    home = paths.find()
    agreed = consent_record.read(home.state)
    if not accepted and settings.role == "probe" and agreed is not None and agreed.current:
        accept_risks(of_run(settings), settings, home, agreed)


def _obstacle(settings: Settings) -> str | None:
    """Return why no heartbeat would be sent, or None."""
    from probe.heartbeat import sender as heartbeat

    if not settings.upload or not settings.collector:
        return _("no collector is configured to receive it")
    if not heartbeat.allowed(settings, paths.find().state):
        message = _("it needs separate consent: {command}, then install again")
        return message.format(command="qazprobe consent --heartbeat")
    return None


def _parse_run(arguments: Sequence[str]) -> tuple[Mapping[str, Any], Settings, Collection[str]]:
    """Parse options of `run` into settings; raise `UserError` where `run` would.

    The environment is ignored: a timer does not have the variables of this shell. Returns what was
    given, the settings, and the names of those that the configuration file has.
    """
    from probe.commands import run
    from probe.runner.jobs import check_options, job_list

    try:
        given = run.command.make_context("run", list(arguments)).params
    except click.UsageError as error:
        raise UserError(
            _("options of run after --: {problem}").format(problem=error.format_message())
        ) from error
    run.check_stdout(given["output"], as_json=given["as_json"])
    home, named = paths.find(), given["config_file"]
    file = run.settings_file(home, named)
    flags = {name: given[name] for name in given if name in Settings.__struct_fields__}
    flags["upload"] = False if given["no_upload"] else None
    of_file = config.file_layer(file, must_exist=bool(named))
    settings = config.merge((of_file, config.flag_layer(flags)))
    _check_paths(of_file, settings)
    check_options(settings, file)
    warn = partial(click.echo, err=True)
    job_list(given["urls"], settings, home.state, warn=warn, touch_network=False)
    run.client_context(settings, home.state)
    return given, settings, of_file.values.keys()


def _check_paths(of_file: config.Layer, settings: Settings) -> None:
    """Raise `UserError` for a relative path in the configuration: a timer starts elsewhere."""
    files = ((key, of_file.values.get(key)) for key in ("ca_file", "textfile"))
    found = [(key, value) for key, value in files if isinstance(value, str)]
    found += [("targets", name) for name in settings.targets if "targets" in of_file.values]
    for key, value in found:
        relative = is_relative_list(value) if key == "targets" else not Path(value).is_absolute()
        if relative:
            message = _("{where}: {value}: a timer starts in another folder; write {path}")
            path = Path(value).absolute()
            where = of_file.where(key)
            raise UserError(message.format(where=where, value=repr(value), path=path))


def _heartbeat(given: Mapping[str, Any]) -> TimerJob:
    """Return the heartbeat job that belongs to a run with these options."""
    words: list[str] = []
    if given["config_file"] is not None:
        words += ["--config", str(Path(given["config_file"]).absolute())]
    for name in _SHARED:
        option, value = f"--{name.replace('_', '-')}", given[name]
        value = str(Path(value).absolute()) if name == "ca_file" and value else value
        for one in value if isinstance(value, tuple) else (value,):
            words += [option] if one is True else [option, str(one)] if one else []
    return heartbeat_job(words)


@command.command("status")
def status() -> int:
    """Show what is installed; exit 1 if nothing is."""
    found = survey()
    for backend, state in found.installed:
        click.echo(f"{backend.name}: {plain(state, 1000)}")
    for problem in found.problems:
        click.echo(problem, err=True)
    if not found.installed:
        click.echo(_("nothing is scheduled"), err=True)
    return 0 if found.installed else 1


@command.command("remove")
def remove() -> int:
    """Remove every timer that `schedule install` made; exit 1 if one could not be looked at."""
    found = survey()
    problems = list(found.problems)
    for backend, _state in found.installed:
        try:
            backend.remove()
        except (ScheduleError, OSError) as error:
            problems.append(f"{backend.name}: {error}")
        else:
            click.echo(_("removed from {timer}").format(timer=backend.name))
    for problem in problems:
        click.echo(problem, err=True)
    return 1 if problems else 0
