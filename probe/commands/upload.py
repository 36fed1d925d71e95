"""`qazprobe upload`: send the records that are waiting in the spool."""

import time
from functools import partial
from typing import TYPE_CHECKING

import click

from probe import paths
from probe.commands.run import load_settings
from probe.errors import Exit, UserError
from probe.i18n import _

if TYPE_CHECKING:
    from probe.client.context import ClientContext
    from probe.client.upload import UploadSummary


@click.command()
@click.option("--collector", multiple=True, metavar="URL", help="Collector to send to.")
@click.option("--invite", metavar="TOKEN", help="Token that enrols this machine at the collector.")
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option(
    "--max-time",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="S",
    help="Time limit, seconds.",
)
@click.option("--quiet", is_flag=True, default=None, help="Print problems only.")
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
def command(*, max_time: float, config_file: str | None, **flags: object) -> int:
    """Send the records that are waiting in the spool, and a heartbeat if you allowed it.

    Exit 0 if everything was sent, 4 if records remain (they are kept for the next upload).
    """
    until = time.monotonic() + max_time
    home = paths.find()
    settings = load_settings(home, config_file, flags)

    from msgspec.structs import replace

    from probe.admin.permit import permitted
    from probe.client import context

    destinations = context.assemble(settings, home.state).spool.destinations()
    settings = replace(settings, collector=settings.collector or destinations)
    if not settings.collector:
        raise UserError(
            _("no collector is configured; add --collector URL, or set it in qazprobe.toml")
        )
    with permitted(settings, home, "upload") as permission:
        client = context.assemble(settings, home.state, permission)
        summary = _upload(client, max_time, until)
    for one in summary.deliveries:
        if not settings.quiet:
            click.echo(str(one))
        for line in one.refusals:
            click.echo(line, err=True)
        if one.problem:
            click.echo(one.problem, err=True)
    return Exit.DONE if summary.complete else Exit.NOT_SENT


def _upload(client: "ClientContext", max_time: float, until: float) -> "UploadSummary":
    """Upload the spool, and send a heartbeat meanwhile, as long as that is permitted."""
    import asyncio

    from probe.client.upload import Sender, upload
    from probe.heartbeat import sender as heartbeat

    sender = Sender(
        client.keys,
        role=client.settings.role,
        invite=client.settings.invite,
        budget=max_time,
        permission=client.permission,
    )

    async def go() -> "UploadSummary":
        async with heartbeat.heartbeats(client, partial(click.echo, err=True), until):
            return await upload(client.spool, client.collectors, sender)

    return asyncio.run(client.permission.supervise(go()))
