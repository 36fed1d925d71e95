"""Questions to the volunteer, and the risks that need a yes of their own."""

import sys

import click

from probe import consent_record
from probe.admin import permit
from probe.admin.consent import ConsentText
from probe.config import Settings
from probe.consent_record import Consent
from probe.errors import UserError
from probe.i18n import _
from probe.paths import Home
from probe.report.risk_notice import PUBLISHING, Risk

_WIDTH = 80


def answer(question: str, text: ConsentText, hint: str, *, err: bool = False) -> bool:
    """Ask until the answer is yes or no; the end of the input is a `UserError`, not a yes.

    Args:
        hint: What a script does instead.
    """
    while True:
        try:
            reply = click.prompt(f"{question} [{text.yes[0]}/{text.no[0]}]", type=str, err=err)
        except click.Abort as error:
            raise UserError(_("no answer; in a script use: {hint}").format(hint=hint)) from error
        if reply.strip().lower() in text.yes:
            return True
        if reply.strip().lower() in text.no:
            return False
        click.echo(text.again, err=err)


def on_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def accept_risks(
    risks: tuple[Risk, ...], settings: Settings, home: Home, given: Consent | None
) -> None:
    """Have the volunteer accept each risk once, on a terminal; the yes is kept with the consent.

    Raises:
        UserError: There is no terminal, or the answer was no.
    """
    known = {*settings.accept_risk, *(given.risks if given is not None else ())}
    missing = tuple(one for one in risks if one.name not in known)
    if given is None:
        # A control measures without a consent; that is no yes to what becomes public for good.
        missing = tuple(one for one in missing if one.kind == PUBLISHING)
    if not missing:
        return
    text = permit.texts(settings)
    if not on_terminal():
        risks_told = " ".join(dict.fromkeys(text.risks[one.kind] for one in missing))
        names = ", ".join(one.shown for one in missing)
        raise UserError(text.risk_script.format(names=names, risks=risks_told))
    for kind in dict.fromkeys(one.kind for one in missing):
        names = ", ".join(one.shown for one in missing if one.kind == kind)
        click.echo(click.wrap_text(f"{names}: {text.risks[kind]}", _WIDTH), err=True)
    if not answer(text.risk_question, text, "--accept-risk", err=True):
        raise UserError(text.risk_declined)
    if given is not None:
        consent_record.accept_risks(home.state, given, tuple(one.name for one in missing))
