"""`qazprobe results publish`: send measurements to where they become public, for good."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import paths
from probe.commands.results_chosen import choose, decoded_records, kept_files
from probe.commands.run import load_settings, require_accepted
from probe.errors import Exit, UserError
from probe.escape import plain
from probe.i18n import _, ngettext
from probe.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.client.endpoint import CollectorEndpoint
    from probe.interop.ooni.publishing import Publication
    from probe.model import Record


@click.command("publish")
@click.option(
    "--to",
    "url",
    required=True,
    metavar="URL",
    help="A collector that takes OONI's measurements, such as https://api.ooni.org.",
)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Only this run (id or `last`).")
@click.option(
    "--outcome",
    "outcomes",
    type=click.Choice([one.value for one in Outcome]),
    multiple=True,
    help="Only this outcome.",
)
@click.option(
    "--file",
    "files",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Publish records from this file instead of the results kept here.",
)
@click.option(
    "--accept-risk",
    "accept_risks",
    is_flag=True,
    help="Agree in a script, after reading the text; it makes everything sent public for good.",
)
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
def command(
    *,
    url: str,
    runs: tuple[str, ...],
    outcomes: tuple[str, ...],
    files: tuple[Path, ...],
    accept_risks: bool,
    config_file: str | None,
) -> int:
    """Publish results to OONI or another collector of its kind. This cannot be undone.

    Nothing is published unless you run this command and agree to its text. No timer runs it. Exit 0
    if everything was taken, 4 if not.
    """
    from probe.admin.permit import permitted
    from probe.interop.ooni import publishing
    from probe.report.risk_notice import publishing_to

    home = paths.find()
    settings = load_settings(home, config_file, {})
    endpoint = _endpoint(url)
    receiver = endpoint.url.removesuffix(publishing.SUBMIT)
    require_accepted((publishing_to(receiver),), settings, home, accepted=accept_risks)
    with permitted(settings, home, "publish") as permission:
        kept = kept_files(files)

        def records() -> "Iterator[Record]":
            return decoded_records(choose(kept, runs, outcomes))

        published = publishing.PublishedList(home.state, receiver)
        made = publishing.prepare(records(), published.ids())
        _say_what_is_sent(made)
        if made.ready:
            sending = publishing.publish(endpoint, records(), made, published)
            asyncio.run(permission.supervise(sending))
    _say_how_it_went(made)
    return Exit.DONE if made.complete else Exit.NOT_SENT


def _endpoint(url: str) -> "CollectorEndpoint":
    from probe.client import endpoint
    from probe.interop.ooni.publishing import SUBMIT

    base = url.rstrip("/").removesuffix(SUBMIT)
    try:
        return endpoint.parse(f"{base}{SUBMIT}")
    except endpoint.EndpointError as error:
        raise UserError(f"--to: {error}") from error


def _say_what_is_sent(made: "Publication") -> None:
    number = len(made.ready)
    text = ngettext("{number} measurement to publish", "{number} measurements to publish", number)
    click.echo(text.format(number=number))
    for (reason, experiment), number in made.tally.left_out.most_common():
        why = _(reason).format(experiment=experiment)
        click.echo(_("left out: {number} ({why})").format(number=number, why=why), err=True)


def _say_how_it_went(made: "Publication") -> None:
    if made.accepted:
        click.echo(_("published: {number}").format(number=made.accepted))
    for one in made.refused:
        click.echo(plain(one, 300), err=True)
    if made.problem is not None:
        click.echo(plain(made.problem, 300), err=True)
