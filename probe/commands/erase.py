"""`qazprobe erase`: delete everything kept here and at the collectors."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from probe import config, paths
from probe.admin import schedule
from probe.admin.timers import ScheduleError, TimerBackend
from probe.config import ConfigError, Settings
from probe.errors import Exit, UserError, first
from probe.i18n import _

if TYPE_CHECKING:
    from probe.admin.erase import Asking
    from probe.paths import Home

# Seconds that are waited for what runs to end.
PATIENCE = 30.0


@click.command()
@click.option("--local-only", is_flag=True, help="Ask no collector to delete your records.")
@click.option("--remote", is_flag=True, help="Accepted and without effect: collectors are asked.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--dry-run", is_flag=True, help="Only list what would be removed and which collectors asked."
)
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
def command(
    *,
    local_only: bool,
    remote: bool,
    yes: bool,
    dry_run: bool,
    config_file: str | None,
    **flags: object,
) -> Exit:
    """Delete everything that is kept here and at the collectors, and end what is running.

    \b
    qazprobe erase --dry-run     list what would be removed, and from where
    qazprobe erase               ask each collector to delete your records, then
                                 delete all here
    qazprobe erase --local-only  delete it here and ask no collector

    Here: keys, results, consent, schedule, settings. If a collector cannot be reached, its address
    and your key for it are kept, and the exit code is 4: run `qazprobe erase` again later. Files
    that you wrote with -o or export are not touched.
    """  # noqa: D301 - \b tells click to keep these lines
    from probe.admin import erase

    if remote and local_only:
        raise UserError(_("--remote and --local-only contradict each other; choose one"))
    home = paths.find()
    settings = None if local_only else _settings(home, config_file, flags)

    def asked() -> "Sequence[Asking]":
        if settings is None:
            return ()
        return erase.collectors_to_ask(
            home.state, pins=settings.collector, lab=settings.lab, ca_file=settings.ca_file
        )

    survey = schedule.survey()
    for problem in survey.problems:
        message = _("a schedule may be left: {problem}")
        click.echo(f"qazprobe: {message.format(problem=problem)}", err=True)
    timers = [timer for timer, _status in survey.installed]
    if not _listed(home, timers, asked()):
        click.echo(_("there is nothing to remove"), err=True)
        return Exit.DONE
    if dry_run:
        click.echo(_("nothing was removed"), err=True)
        return Exit.DONE
    if not yes and not _confirmed():
        raise UserError(_("nothing was removed"))
    # A schedule that could not be looked at may still run: the promise is not kept yet.
    unsure = Exit.USAGE if survey.problems else Exit.DONE
    return first(unsure, _remove_timers(timers), _erase(home, asked))


def _settings(home: "Home", config_file: str | None, flags: dict[str, object]) -> Settings:
    """Return the settings; a broken file of the state folder must not prevent its removal."""
    from probe.commands.run import load_settings

    try:
        return load_settings(home, config_file, flags)
    except UserError as error:
        if config_file is not None:
            raise
        click.echo(f"qazprobe: {error}", err=True)
    try:
        return config.merge((config.flag_layer(flags),))
    except ConfigError as error:
        raise UserError(str(error)) from error


def _listed(home: "Home", timers: Sequence[TimerBackend], asked: Sequence["Asking"]) -> bool:
    """List everything that is to be done; return whether there is anything."""
    from probe.admin import erase

    found = erase.found(home)
    for timer in timers:
        click.echo(_("schedule in {timer}").format(timer=timer.name))
    for one in asked:
        click.echo(_("your records at {collector}").format(collector=one.url))
    for path in found:
        click.echo(str(path))
    return bool(timers or asked or found)


def _confirmed() -> bool:
    try:
        return click.confirm(_("Delete all of this permanently?"), err=True)
    except click.Abort:
        click.echo(err=True)
        raise UserError(
            _("no answer; in a script use: {hint}").format(hint="qazprobe erase --yes")
        ) from None


def _remove_timers(timers: Sequence[TimerBackend]) -> Exit:
    """Remove the timers; one that cannot be removed is named and prevents nothing else."""
    code = Exit.DONE
    for timer in timers:
        try:
            timer.remove()
        except (ScheduleError, OSError) as error:
            message = _("the schedule in {timer} is still there: {reason}")
            click.echo(f"qazprobe: {message.format(timer=timer.name, reason=error)}", err=True)
            code = Exit.USAGE
    return code


def _erase(home: "Home", asked: Callable[[], Sequence["Asking"]]) -> Exit:
    """End what runs, then remove everything while no other process can write."""
    from probe import consent_record

    if not home.state.is_dir():
        return _remove(home, asked())
    consent_record.withdraw(home.state)
    _end_what_runs(home)
    lock = paths.run_lock(home.state)
    if not lock.wait(PATIENCE):
        raise UserError(_still_running(""), Exit.LOCKED)
    try:
        if sys.platform == "win32":
            lock.release()  # an open file cannot be removed there
        return _remove(home, asked())
    finally:
        lock.release()


def _end_what_runs(home: "Home") -> None:
    from probe import permission

    def tell(number: str, what: str) -> None:
        message = _("waiting for {command} (process {number}) to end")
        click.echo(message.format(command=what or "qazprobe", number=number), err=True)

    left = permission.wait_until_ended(home.state, PATIENCE, tell)
    if left:
        raise UserError(_still_running(", ".join(left)), Exit.LOCKED)


def _still_running(processes: str) -> str:
    message = _(
        "a run is still active ({processes}), so only consent and schedule were removed; "
        "end it, then run qazprobe erase again"
    )
    return message.format(processes=processes or "?")


def _remove(home: "Home", asked: Sequence["Asking"]) -> Exit:
    """Ask the collectors, keep what is needed to ask again, and remove everything else."""
    from probe.admin import erase

    if asked:
        erase.keep(home.state, asked)  # in case this process is killed
    answers = erase.ask(asked)
    again = [one.asking for one in answers if one.retry]
    for one in answers:
        done = _("{collector}: your records were deleted").format(collector=one.asking.url)
        click.echo(one.problem or done, err=True)
    pending = home.state / erase.PENDING
    if again:
        erase.keep(home.state, again)
    removed = [path for path in erase.found(home) if not (again and path == pending)]
    left = [path for path in erase.erase(removed, home) if not (again and path == pending)]
    for path in left:
        click.echo(_("not created by qazprobe, kept: {file}").format(file=path), err=True)
    if again:
        message = _(
            "erased, except {file}: what is needed to ask {collectors} again (address and key). "
            "Run qazprobe erase again later, or qazprobe erase --local-only to give that up"
        )
        collectors = ", ".join(one.url for one in again)
        click.echo(message.format(file=pending, collectors=collectors), err=True)
    else:
        click.echo(_("erased"), err=True)
    return Exit.NOT_SENT if any(one.problem for one in answers) else Exit.DONE
