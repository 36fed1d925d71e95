"""`qazprobe trace`: locate the hop at which a name is interfered with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from probe import paths
from probe.commands.run import ACCEPT_RISKS, check_stdout, load_settings, require_accepted
from probe.errors import Exit, UserError
from probe.i18n import _
from probe.report.risk_notice import TRACE

if TYPE_CHECKING:
    from probe.asn_table import Owner
    from probe.model import Record


@click.command("trace")
@click.argument("target", metavar="TARGET")
@click.option(
    "--harmless", metavar="NAME", help="Control name to compare with.  [default: a bundled one]"
)
@click.option(
    "--address",
    metavar="IP",
    help="Trace this address instead of the one that the name resolves to.",
)
@click.option(
    "--max-hops",
    type=click.IntRange(1, 64),
    default=24,
    show_default=True,
    help="Largest distance to test.",
)
@click.option(
    "--tries",
    type=click.IntRange(2, 10),
    default=3,
    show_default=True,
    help="Attempts with the target's name at each hop.",
)
@click.option(
    "--residual",
    type=click.IntRange(0, 900),
    default=0,
    metavar="SECONDS",
    help="Wait up to this long for residual blocking to end, and report how long it took.",
)
@click.option(
    "--pcap", metavar="FILE", help="Write the scrubbed packets of this trace; needs CAP_NET_RAW."
)
@click.option("--asn-table", metavar="FILE", help="Table of address owners in iptoasn format.")
@click.option("--resolver", metavar="IP[:PORT]", help="Use this resolver in place of the system's.")
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option("-o", "output", metavar="FILE|-", help="Write the record as a JSON line.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@ACCEPT_RISKS
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
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
    accept_risks: bool,
    config_file: str | None,
    **flags: object,
) -> Exit:
    """Locate the hop at which a name is interfered with.

    Sends TARGET's name and a harmless name in packets that can cross one router, then two, and so
    on, and reports between which hops the results begin to differ. TARGET's name is sent dozens of
    times in a minute, which is more conspicuous than a run: see `docs/trace.md`.
    """
    check_stdout(output, as_json=as_json)
    home = paths.find()
    settings = load_settings(home, config_file, flags)
    url = _url(target)
    require_accepted((TRACE,), settings, home, accepted=accept_risks)
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
    from probe.admin.permit import permitted
    from probe.asn_table import AsnTableError, check, look_up
    from probe.runner import single_trace

    try:
        table = Path(asn_table) if asn_table else None
        check(table)
    except AsnTableError as error:
        raise UserError(str(error)) from error
    with _output(output) as write:
        with permitted(settings, home, "trace") as permission:
            tracing = single_trace.trace(settings, home.state, url, options)
            traced = asyncio.run(permission.supervise(tracing))
        write(codec.encode(traced.record) + b"\n")
    if pcap is not None:
        _write_pcap(pcap, traced.captures)
    _show(traced.record, look_up(table, _routers(traced.record)), output, as_json=as_json)
    return Exit.DONE


@contextmanager
def _output(path: str | None) -> Iterator[Callable[[bytes], None]]:
    """Yield what writes the record; the file is opened before anything is measured."""
    if path is None:
        yield lambda _line: None
        return
    from probe import user_files

    try:
        file = user_files.begin(path)
    except OSError as error:
        raise UserError(f"-o {path}: {_(error.strerror or '')}") from error
    try:
        yield file.write
        file.finish()
    finally:
        file.close()


def _url(target: str) -> str:
    """Parse a URL, or a bare name, which stands for its https page."""
    from probe.urls import TargetError, parse_url

    try:
        return parse_url(target if "://" in target else f"https://{target}/")
    except TargetError as error:
        raise UserError(str(error)) from error


def _routers(record: "Record") -> list[str]:
    from probe.report.trace_text import routers_at

    found = (step.address for step in routers_at(record).values())
    return [address for address in found if address is not None and address[0].isdigit()]


def _write_pcap(pcap: str, captures: tuple[bytes, ...]) -> None:
    """Write the captured packets; if there are none, say so without failing."""
    if not captures:
        click.echo(_("qazprobe: no pcap: packets could not be captured"), err=True)
        return
    from probe import user_files

    try:
        user_files.write(pcap, captures[:1])
    except OSError as error:
        raise UserError(f"--pcap {pcap}: {_(error.strerror or '')}") from error


def _show(
    record: "Record", owners: "dict[str, Owner]", output: str | None, *, as_json: bool
) -> None:
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
