"""`qazprobe consent`: read what is done and what the risk is; agree, or withdraw."""

import click

from probe import paths
from probe.admin import consent
from probe.admin.consent import Words
from probe.errors import UserError


@click.command("consent")
@click.option("--yes", is_flag=True, help="Agree without being asked, for scripts.")
@click.option("--heartbeat", is_flag=True, help="Also allow the heartbeat (asks separately).")
@click.option("--status", is_flag=True, help="Say what is recorded; exit 2 when nothing is.")
@click.option("--withdraw", is_flag=True, help="Take agreement back.")
@click.option("--lang", type=click.Choice(consent.LANGUAGES), help="Language; else the system's.")
def command(*, yes: bool, heartbeat: bool, status: bool, withdraw: bool, lang: str | None) -> None:
    """Read what is done and what the risk is; agree, or withdraw.

    \b
    qazprobe consent                read, and answer
    qazprobe consent --lang kk      in Kazakh
    qazprobe consent --yes          agree from a script, having read it
    qazprobe consent --withdraw     measure nothing any more
    """  # noqa: D301 - click's mark for lines that stay as they are
    code = consent.language(lang)
    words = consent.words(code)
    state = paths.find().ready()
    if withdraw:
        consent.withdraw(state)
        click.echo(words.withdrawn)
        return
    given = consent.read(state)
    if status or (given is not None and given.current and not (heartbeat or yes)):
        _say_status(given, words)
        return
    _ask(code, words, yes=yes, heartbeat=heartbeat)


def _say_status(given: consent.Given | None, words: Words) -> None:
    if given is None:
        raise UserError(words.missing)
    if not given.current:
        raise UserError(words.outdated.format(date=given.at[:10]))
    heartbeat = words.allowed if given.heartbeat else words.not_allowed
    click.echo(
        words.standing.format(date=given.at[:10], version=given.version, heartbeat=heartbeat)
    )


def _ask(code: str, words: Words, *, yes: bool, heartbeat: bool) -> None:
    """Whatever is newly agreed to was shown, by a script that says yes too."""
    state = paths.find().state
    given = consent.read(state)
    agreed_before = given is not None and given.current
    if not agreed_before:
        click.echo(words.text.strip() + "\n")
        if not (yes or _answer(words.question, words)):
            raise UserError(words.declined)
    allowed = given is not None and given.current and given.heartbeat
    if heartbeat and not allowed:
        click.echo(words.heartbeat_text.strip() + "\n")
        allowed = yes or _answer(words.heartbeat_question, words)
    consent.record(state, code, heartbeat=allowed)
    click.echo(words.heartbeat_agreed if heartbeat and allowed else words.agreed)


def _answer(question: str, words: Words) -> bool:
    """Ask until the answer is a plain yes or no; where nobody answers there is no yes."""
    while True:
        try:
            said = click.prompt(f"{question} [{words.yes[0]}/{words.no[0]}]", type=str)
        except click.Abort as nobody:
            raise UserError("nobody answered; a script says: qazprobe consent --yes") from nobody
        if said.strip().lower() in words.yes:
            return True
        if said.strip().lower() in words.no:
            return False
        click.echo(words.again)
