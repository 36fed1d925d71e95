"""Withdraw consent: what runs ends by itself, what it held is removed, timers on request."""

from contextlib import suppress
from pathlib import Path

import click

from probe import consent_record
from probe.admin import schedule
from probe.admin.consent import ConsentText
from probe.admin.question import answer, on_terminal
from probe.admin.timers import ScheduleError
from probe.client.spool import Spool
from probe.errors import UserError
from probe.i18n import _
from probe.runner.journal import Journal


def withdraw(state: Path) -> int:
    """Withdraw consent; return how many records are waiting to be sent.

    They were measured while consent stood. They stay here, and are sent only under a new consent.
    """
    consent_record.withdraw(state)
    # What a killed run was holding would otherwise be sent by the next one.
    with suppress(OSError):
        Journal(state).clear()
    spool = Spool(state)
    return max((spool.waiting(url) for url in spool.destinations()), default=0)


def offer_to_remove_timers(text: ConsentText, *, unasked: bool) -> None:
    """Remove installed timers if the volunteer, or the script's option, wants that.

    Raises:
        UserError: A timer cannot be removed.
    """
    survey = schedule.survey()
    for problem in survey.problems:
        message = _("a schedule may be left: {problem}")
        click.echo(f"qazprobe: {message.format(problem=problem)}", err=True)
    found = [timer for timer, _status in survey.installed]
    if not found:
        return
    names = ", ".join(timer.name for timer in found)
    asked = not unasked and on_terminal()
    question = text.timers_question.format(names=names)
    if not unasked and not (asked and answer(question, text, "--remove-timers")):
        click.echo(text.timers_left.format(names=names), err=True)
        return
    try:
        for timer in found:
            timer.remove()
    except (ScheduleError, OSError) as error:
        raise UserError(str(error)) from error
    click.echo(text.timers_removed.format(names=names))
