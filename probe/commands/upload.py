"""`qazprobe upload`: send the records that are waiting in the spool."""

import time
from functools import partial

import click

from probe import paths
from probe.commands.run import load_settings
from probe.errors import Exit, UserError
from probe.escape import plain


@click.command()
@click.option("--collector", multiple=True, metavar="URL", help="Collector to send to.")
@click.option("--invite", metavar="TOKEN", help="Token that enrols this machine at the collector.")
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option(
    "--max-time",
    type=float,
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

    import asyncio

    from msgspec.structs import replace

    from probe.client import context
    from probe.client.upload import Sender, UploadSummary, upload
    from probe.heartbeat import sender as heartbeat

    destinations = context.assemble(settings, home.state).spool.destinations()
    settings = replace(settings, collector=settings.collector or destinations)
    if not settings.collector:
        raise UserError(
            "no collector is configured; add --collector URL, or set it in qazprobe.toml"
        )
    client = context.assemble(settings, home.ready())
    sender = Sender(client.keys, role=settings.role, invite=settings.invite, budget=max_time)

    async def go() -> UploadSummary:
        async with heartbeat.heartbeats(client, partial(click.echo, err=True), until):
            return await upload(client.spool, client.collectors, sender)

    summary = asyncio.run(go())
    for one in summary.deliveries:
        if not settings.quiet:
            click.echo(str(one))
        for reason, count in one.reasons.items():
            click.echo(f"{one.collector}: rejected {count}: {plain(reason)}", err=True)
        if one.problem:
            click.echo(one.problem, err=True)
    return Exit.DONE if summary.complete else Exit.NOT_SENT
