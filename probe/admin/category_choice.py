"""The questions about categories of sites, which follow the consent."""

import textwrap
from pathlib import Path

import click

from probe import categories, i18n
from probe.admin.consent import ConsentText
from probe.categories import CIRCUMVENTION, NAMES, RISKY, CategoryChoice, CategoryError
from probe.errors import UserError
from probe.i18n import _

# In place of categories: ask again.
ASK = "ask"


def ask(state: Path, code: str, text: ConsentText) -> None:
    """Ask which categories to measure, and record the answers.

    An input that ends leaves the defaults: the consent itself was given already.

    Args:
        code, text: The language of the consent.
    """
    i18n.use(code)
    chosen = categories.read(state)
    choice = CategoryChoice()
    try:
        choice = choice.changed((_ask_about_circumvention(text),))
        choice = _ask_about_others(_ask_about_risky(choice))
    except click.Abort:
        click.echo("", err=True)
        choice = chosen
    categories.record(state, choice)
    _explain(described(choice))


def change(state: Path, words: str) -> str:
    """Record a changed choice; return it in words, or raise `UserError`."""
    parts = [part.strip() for part in words.split(",") if part.strip()]
    try:
        choice = categories.read(state).changed(parts)
    except CategoryError as error:
        raise UserError(f"--categories: {error}") from error
    categories.record(state, choice)
    return described(choice)


def described(choice: CategoryChoice) -> str:
    """What a choice leaves out, in one line."""
    left_out = [code for code in NAMES if not choice.measures(code)]
    if not left_out:
        return _("Every category is measured.")
    codes = categories.described(left_out)
    return _("Left out: {codes}. To change this: {command}").format(
        codes=codes, command="qazprobe consent --categories ask"
    )


def _ask_about_circumvention(text: ConsentText) -> str:
    """Return the change by a yes or no."""
    _explain(
        _(
            "Some sites on the lists are those of circumvention tools (VPNs, proxies, Tor; "
            "category ANON). In some countries such tools are forbidden, and opening their sites "
            "may be noticed."
        )
    )
    question = _("Measure the sites of circumvention tools too?")
    while True:
        reply = click.prompt(f"{question} [{text.yes[0]}/{text.no[0]}]", type=str).strip().lower()
        if reply in text.yes:
            return f"+{CIRCUMVENTION}"
        if reply in text.no:
            return f"-{CIRCUMVENTION}"
        click.echo(text.again)


def _ask_about_risky(choice: CategoryChoice) -> CategoryChoice:
    message = _(
        "These categories are left out, because being seen opening such sites may be a risk: "
        "{codes}."
    )
    _explain(message.format(codes=categories.described(RISKY)))
    return _ask_for_codes(choice, "+", _("Measure some of them? Codes, or Enter for none"))


def _ask_about_others(choice: CategoryChoice) -> CategoryChoice:
    others = [code for code in NAMES if code not in categories.CAREFUL]
    message = _("Everything else is measured: {codes}.")
    _explain(message.format(codes=categories.described(others)))
    return _ask_for_codes(choice, "-", _("Leave out some of them? Codes, or Enter for none"))


def _explain(text: str) -> None:
    click.echo(f"\n{textwrap.fill(text, 80)}")


def _ask_for_codes(choice: CategoryChoice, sign: str, question: str) -> CategoryChoice:
    while True:
        reply = click.prompt(question, type=str, default="", show_default=False)
        words = [f"{sign}{word}" for word in reply.replace(",", " ").split()]
        try:
            return choice.changed(words)
        except CategoryError as error:
            click.echo(str(error))
