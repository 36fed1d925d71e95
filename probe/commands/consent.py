"""`qazprobe consent`: read what is measured and what the risk is; give or withdraw consent."""

from collections.abc import Callable
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from probe import consent_record, paths
from probe.admin import category_choice, consent
from probe.admin.category_choice import ASK
from probe.admin.consent import ConsentText
from probe.consent_record import Consent
from probe.errors import UserError
from probe.i18n import _


class Interview(Struct, frozen=True):
    """What the questions are asked about.

    Attributes:
        code: Language. yes: Every asked question is answered with yes, for scripts.
        heartbeat: The heartbeat is asked about.
        before: The valid consent that was recorded before, or None.
        categories: The categories of the command line, or None.
    """

    code: str
    text: ConsentText
    yes: bool
    heartbeat: bool
    before: Consent | None
    categories: str | None = None

    def agreed(self, question: str) -> bool:
        """Return the answer to a question; the end of the input is a `UserError`, not a yes."""
        from probe.admin.question import answer

        return self.yes or answer(question, self.text, "qazprobe consent --yes")


@click.command("consent")
@click.option("--yes", is_flag=True, help="Agree without a prompt, for scripts.")
@click.option("--heartbeat", is_flag=True, help="Also allow the heartbeat (a separate question).")
@click.option(
    "--categories",
    metavar="CODE,...|ask",
    help="Choose categories of sites (+LGBT, -NEWS), or be asked again.",
)
@click.option("--show", is_flag=True, help="Print the text and what is recorded; ask nothing.")
@click.option("--status", is_flag=True, help="Show what is recorded; exit 2 if nothing is.")
@click.option("--withdraw", is_flag=True, help="Withdraw consent; what runs ends within seconds.")
@click.option(
    "--remove-timers", is_flag=True, help="With --withdraw, remove installed timers, for scripts."
)
@click.option(
    "--lang",
    type=click.Choice(consent.LANGUAGES),
    help="Language of the text.  [default: the system's]",
)
def command(
    *,
    yes: bool,
    heartbeat: bool,
    categories: str | None,
    show: bool,
    status: bool,
    withdraw: bool,
    remove_timers: bool,
    lang: str | None,
) -> None:
    """Read what is measured and what the risk is; give or withdraw consent.

    \b
    qazprobe consent                read the text and answer
    qazprobe consent --lang kk      the same in Kazakh
    qazprobe consent --show         read the text again
    qazprobe consent --yes          agree from a script, after reading the text
    qazprobe consent --withdraw     withdraw; nothing more is measured or sent
    """  # noqa: D301 - \b tells click to keep these lines
    _check(yes=yes, show=show, status=status, withdraw=withdraw, remove_timers=remove_timers)
    if categories is not None and not categories.strip():
        raise UserError(_("--categories: an empty text; codes or {word} expected").format(word=ASK))
    code = consent.language(lang)
    text = consent.text(code)
    state = paths.find().state
    given = consent_record.read(state)
    if withdraw:
        _withdraw(state, text, remove_timers=remove_timers)
    elif categories and given is not None and given.current and not (heartbeat or yes):
        _choose_categories(state, code, text, categories)
    elif show:
        click.echo(f"{text.text.strip()}\n\n{text.heartbeat_text.strip()}\n")
        click.echo(_status(given, text))
    elif status or (given is not None and given.current and not (heartbeat or yes)):
        if given is None or not given.current:
            raise UserError(consent.refusal(given, text))
        click.echo(_status(given, text))
    else:
        before = given if given is not None and given.current else None
        _ask(Interview(code, text, yes, heartbeat, before, categories))


def _check(*, yes: bool, show: bool, status: bool, withdraw: bool, remove_timers: bool) -> None:
    """Refuse options that contradict each other: a script must not do the reverse of its line."""
    given = {"--yes": yes, "--show": show, "--status": status, "--withdraw": withdraw}
    several = [option for option, is_given in given.items() if is_given]
    if len(several) > 1:
        message = _("{options} contradict each other; choose one")
        raise UserError(message.format(options=", ".join(several)))
    if remove_timers and not withdraw:
        raise UserError(_("--remove-timers needs --withdraw"))


def _status(given: Consent | None, text: ConsentText) -> str:
    if given is None or not given.current:
        return consent.refusal(given, text)
    heartbeat = text.allowed if given.heartbeat else text.not_allowed
    return text.standing.format(date=given.at[:10], version=given.version, heartbeat=heartbeat)


def _ask(interview: Interview) -> None:
    """Ask every question that is not answered yet, and record the answers."""
    answered = interview.before or consent_record.new(interview.code)
    for question in QUESTIONS:
        answered = question(interview, answered)
    consent_record.write(paths.find().ready(), answered)
    text = interview.text
    click.echo(text.heartbeat_agreed if interview.heartbeat and answered.heartbeat else text.agreed)


def _ask_about_measuring(interview: Interview, answered: Consent) -> Consent:
    if interview.before is not None:
        return answered
    click.echo(interview.text.text.strip() + "\n")
    if not interview.agreed(interview.text.question):
        raise UserError(interview.text.declined)
    return answered


def _ask_about_heartbeat(interview: Interview, answered: Consent) -> Consent:
    if not interview.heartbeat or answered.heartbeat:
        return answered
    click.echo(interview.text.heartbeat_text.strip() + "\n")
    return replace(answered, heartbeat=interview.agreed(interview.text.heartbeat_question))


def _ask_about_categories(interview: Interview, answered: Consent) -> Consent:
    """Ask which categories of sites to measure; `--yes` keeps the careful defaults."""
    asked = interview.before is None and not interview.yes
    words = interview.categories or (ASK if asked else None)
    if words is not None:
        _choose_categories(paths.find().ready(), interview.code, interview.text, words)
    return answered


def _choose_categories(state: Path, code: str, text: ConsentText, words: str) -> None:
    if words == ASK:
        category_choice.ask(state, code, text)
    else:
        click.echo(category_choice.change(state, words))


# Asked in this order. Each returns the consent with its answer; one that is answered asks nothing.
QUESTIONS: tuple[Callable[[Interview, Consent], Consent], ...] = (
    _ask_about_measuring,
    _ask_about_heartbeat,
    _ask_about_categories,
)


def _withdraw(state: Path, text: ConsentText, *, remove_timers: bool) -> None:
    from probe.admin import withdrawal

    waiting = withdrawal.withdraw(state)
    click.echo(click.wrap_text(text.withdrawn, 80))
    if waiting:
        click.echo(text.waiting.format(count=waiting))
    withdrawal.offer_to_remove_timers(text, unasked=remove_timers)
