"""`qazprobe consent`: read what is measured and what the risk is; give or withdraw consent."""

import click

from probe import paths
from probe.admin import consent
from probe.admin.consent import ConsentText
from probe.errors import UserError


@click.command("consent")
@click.option("--yes", is_flag=True, help="Agree without a prompt, for scripts.")
@click.option("--heartbeat", is_flag=True, help="Also allow the heartbeat (a separate question).")
@click.option("--status", is_flag=True, help="Show what is recorded; exit 2 if nothing is.")
@click.option("--withdraw", is_flag=True, help="Withdraw consent.")
@click.option(
    "--lang",
    type=click.Choice(consent.LANGUAGES),
    help="Language of the text.  [default: the system's]",
)
def command(*, yes: bool, heartbeat: bool, status: bool, withdraw: bool, lang: str | None) -> None:
    """Read what is measured and what the risk is; give or withdraw consent.

    \b
    qazprobe consent                read the text and answer
    qazprobe consent --lang kk      the same in Kazakh
    qazprobe consent --yes          agree from a script, after reading the text
    qazprobe consent --withdraw     withdraw; nothing is measured from then on
    """  # noqa: D301 - \b tells click to keep these lines
    code = consent.language(lang)
    text = consent.text(code)
    state = paths.find().ready()
    if withdraw:
        consent.withdraw(state)
        click.echo(text.withdrawn)
        return
    given = consent.read(state)
    if status or (given is not None and given.current and not (heartbeat or yes)):
        _show_status(given, text)
        return
    _ask(code, text, yes=yes, heartbeat=heartbeat)


def _show_status(given: consent.Consent | None, text: ConsentText) -> None:
    if given is None or not given.current:
        raise UserError(consent.refusal(given, text))
    heartbeat = text.allowed if given.heartbeat else text.not_allowed
    click.echo(text.standing.format(date=given.at[:10], version=given.version, heartbeat=heartbeat))


def _ask(code: str, text: ConsentText, *, yes: bool, heartbeat: bool) -> None:
    """Show each text that is not agreed to yet, ask (unless `yes`), and record the answers."""
    state = paths.find().state
    given = consent.read(state)
    if given is None or not given.current:
        given = None
        click.echo(text.text.strip() + "\n")
        if not (yes or _answer(text.question, text)):
            raise UserError(text.declined)
    allowed = given is not None and given.heartbeat
    if heartbeat and not allowed:
        click.echo(text.heartbeat_text.strip() + "\n")
        allowed = yes or _answer(text.heartbeat_question, text)
    consent.record(state, code, heartbeat=allowed)
    click.echo(text.heartbeat_agreed if heartbeat and allowed else text.agreed)


def _answer(question: str, text: ConsentText) -> bool:
    """Ask until the answer is yes or no; the end of the input is a `UserError`, not a yes."""
    while True:
        try:
            reply = click.prompt(f"{question} [{text.yes[0]}/{text.no[0]}]", type=str)
        except click.Abort as error:
            raise UserError("no answer; in a script use: qazprobe consent --yes") from error
        if reply.strip().lower() in text.yes:
            return True
        if reply.strip().lower() in text.no:
            return False
        click.echo(text.again)
