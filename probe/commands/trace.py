"""`qazprobe trace`: find where on the way a name is interfered with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import paths
from probe.commands.run import load_settings, require_consent
from probe.errors import Exit, UserError

if TYPE_CHECKING:
    from probe.asn_table import Owner
    from probe.model import Record


@click.command("trace")
@click.argument("target", metavar="TARGET")
@click.option(
    "--harmless", metavar="NAME", help="The name to compare with.  [default: one of ours]"
)
@click.option("--address", metavar="IP", help="Trace the way there, whatever the name resolves to.")
@click.option(
    "--max-hops", type=click.IntRange(1, 64), default=24, show_default=True, help="No farther."
)
@click.option(
    "--tries",
    type=click.IntRange(2, 10),
    default=3,
    show_default=True,
    help="Looks with the target's name at each hop.",
)
@click.option(
    "--residual",
    type=click.IntRange(0, 900),
    default=0,
    metavar="SECONDS",
    help="Wait so long for an address to be forgotten, and say how long it took.",
)
@click.option("--pcap", metavar="FILE", help="Scrubbed packets of this trace; needs CAP_NET_RAW.")
@click.option("--asn-table", metavar="FILE", help="Whose networks routers are in (iptoasn format).")
@click.option("--resolver", metavar="IP[:PORT]", help="Ask this resolver as the system's.")
@click.option("--ca-file", metavar="PEM", help="A laboratory's own roots; needs --lab.")
@click.option("--lab", is_flag=True, default=None, help="All of this is a laboratory.")
@click.option("-o", "output", metavar="FILE|-", help="Write the record there as a JSON line.")
@click.option("--json", "as_json", is_flag=True, help="What was found, as one JSON object.")
@click.option("--config", "config_file", metavar="FILE", help="Settings from there instead.")
def command(
    target: str,
    *,
    harmless: str | None,
    address: str | None,
    max_hops: int,
    tries: int,
    residual: int,
    pcap: str | None,
    asn_table: str | None,
    output: str | None,
    as_json: bool,
    config_file: str | None,
    **flags: object,
) -> Exit:
    """Find where on the way a name is interfered with.

    Offers TARGET's name, and a harmless one, with packets that cross one router, then two, and so
    on. Says between which hops they begin to fare differently. It asks for TARGET's name dozens of
    times in a minute, which stands out more than a run does: `docs/trace.md`.
    """
    if output == "-" and as_json:
        raise UserError("-o - and --json both want stdout; choose one")
    places = paths.find()
    settings = load_settings(places, config_file, flags)
    url = _url(target)
    require_consent(settings, places)
    options = {
        "harmless": harmless,
        "address": address,
        "max_hops": max_hops,
        "tries": tries,
        "residual": residual,
        "keep": pcap is not None,
    }
    import asyncio

    from probe import codec
    from probe.asn_table import OwnersError, check, look_up
    from probe.runner import single_trace
    from probe.runner.output import Sink

    try:
        table = Path(asn_table) if asn_table else None
        check(table)
        sink = Sink.open(output)
    except (OSError, OwnersError) as error:
        raise UserError(str(error)) from error
    try:
        traced = asyncio.run(single_trace.trace(settings, places.ready(), url, options))
        sink.write(codec.encode(traced.record))
    finally:
        sink.close()
    if pcap is not None:
        _keep(pcap, traced.captures)
    _tell(traced.record, look_up(table, _routers(traced.record)), output, as_json=as_json)
    return Exit.DONE


def _url(target: str) -> str:
    """A URL, or a bare name, which means its https page."""
    from probe.urls import TargetError, parse_url

    try:
        return parse_url(target if "://" in target else f"https://{target}/")
    except TargetError as error:
        raise UserError(str(error)) from error


def _routers(record: "Record") -> list[str]:
    from probe.report.trace_text import routers_at

    found = (step.address for step in routers_at(record).values())
    return [address for address in found if address is not None and address[0].isdigit()]


def _keep(pcap: str, captures: tuple[bytes, ...]) -> None:
    """Write what was captured; nothing captured is said, and is no fault."""
    if not captures:
        click.echo("qazprobe: no pcap: single packets could not be looked at", err=True)
        return
    import os

    from probe.atomic_files import private_file

    try:
        handle = private_file(Path(pcap), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(handle, "wb") as file:
            file.write(captures[0])
    except OSError as error:
        raise UserError(f"--pcap {pcap}: {error.strerror}") from error


def _tell(
    record: "Record", owners: "dict[str, Owner]", output: str | None, *, as_json: bool
) -> None:
    """To whoever reads: a person, or a script."""
    from probe.escape import plain
    from probe.report import trace_text

    if as_json:
        from probe.report.trace_json import summary

        click.echo(summary(record, owners))
    elif output != "-":
        for line in (
            *trace_text.table(record, owners),
            "",
            *trace_text.conclusions(record, owners),
        ):
            click.echo(plain(line, 200))
