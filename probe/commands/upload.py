"""`qazprobe upload`: send what is waiting to be sent, now."""

import time

import click

from probe import paths
from probe.commands.run import load_settings
from probe.errors import Exit, UserError
from probe.escape import plain


@click.command()
@click.option("--collector", multiple=True, metavar="URL", help="Send there.")
@click.option("--invite", metavar="TOKEN", help="Enrols this machine at the collector.")
@click.option("--ca-file", metavar="PEM", help="A laboratory's own roots; needs --lab.")
@click.option("--lab", is_flag=True, default=None, help="All of this is a laboratory.")
@click.option(
    "--max-time",
    type=float,
    default=300.0,
    show_default=True,
    metavar="S",
    help="Seconds that it may take.",
)
@click.option("--quiet", is_flag=True, default=None, help="Say nothing when all is well.")
@click.option("--config", "config_file", metavar="FILE", help="Settings from there instead.")
def command(*, max_time: float, config_file: str | None, **flags: object) -> int:
    """Send what is waiting to be sent, now; with the heartbeat where that is allowed.

    Exit 0 when nothing is left, 4 when something is (it stays here for the next time).
    """
    until = time.monotonic() + max_time
    places = paths.find()
    settings = load_settings(places, config_file, flags)

    import asyncio

    from msgspec.structs import replace

    from probe.client import context
    from probe.client.upload import Sender, UploadSummary, upload
    from probe.heartbeat import sender as heartbeat

    waits_for = context.assemble(settings, places.state).spool.destinations()
    settings = replace(settings, collector=settings.collector or waits_for)
    if not settings.collector:
        raise UserError("no collector is known; name one with --collector, or in qazprobe.toml")
    made = context.assemble(settings, places.ready())
    sender = Sender(made.keys, role=settings.role, invite=settings.invite, budget=max_time)

    async def go() -> UploadSummary:
        async with heartbeat.heartbeats(made, lambda line: click.echo(line, err=True), until):
            return await upload(made.spool, made.collectors, sender)

    summary = asyncio.run(go())
    for one in summary.deliveries:
        if not settings.quiet:
            click.echo(one.told())
        for reason, count in one.reasons.items():
            click.echo(f"{one.collector}: rejected {count}: {plain(reason)}", err=True)
        if one.problem:
            click.echo(one.problem, err=True)
    return Exit.DONE if summary.complete else Exit.NOT_SENT
