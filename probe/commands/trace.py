"""`qazprobe trace`: locate the hop at which a name is interfered with."""

from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from probe import paths
from probe.commands.run import ACCEPT_RISKS, check_stdout, load_settings, require_accepted
from probe.errors import Exit, UserError
from probe.i18n import _
from probe.report.risk_notice import TRACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from probe.asn_table import Owner
    from probe.model import Record
    from probe.user_files import UserFile


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
    metavar="N",
    default=24,
    show_default=True,
    help="Largest distance to test.",
)
@click.option(
    "--tries",
    type=click.IntRange(2, 10),
    metavar="N",
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
    from probe.runner.networks import table_of_networks

    url = _url(target, lab=settings.lab)
    _check_address(address, lab=settings.lab)
    _check_name(harmless, url)
    table_of_networks(settings)
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
    from probe.runner import single_trace

    with named_file("--pcap", pcap) as capture, named_file("-o", output) as file:
        with permitted(settings, home, "trace") as permission:
            tracing = single_trace.trace(settings, home.state, url, options)
            traced = asyncio.run(permission.supervise(tracing))
        if file is not None:
            file.write(codec.encode(traced.record) + b"\n")
            file.finish()
        if capture is not None:
            _write_pcap(capture, traced.captures)
    _show(traced.record, traced.owners, output, as_json=as_json)
    return Exit.DONE


@contextmanager
def named_file(option: str, path: str | None) -> "Iterator[UserFile | None]":
    """Yield the file that an option names; it is opened before anything is measured."""
    if path is None:
        yield None
        return
    from probe import user_files

    file = None
    try:
        file = user_files.begin(path)
        yield file
    except OSError as error:
        raise UserError(f"{option} {path}: {_(error.strerror or '')}") from error
    finally:
        if file is not None:
            file.close()


def _url(target: str, *, lab: bool) -> str:
    """Parse a URL, or a bare name, which stands for its https page."""
    from probe.urls import TargetError, parse_target

    try:
        return parse_target(target if "://" in target else f"https://{target}/", lab=lab)
    except TargetError as error:
        raise UserError(str(error)) from error


def _check_address(address: str | None, *, lab: bool) -> None:
    """Refuse what is no address, and outside a laboratory an address of a private network."""
    from probe.public_address import is_global

    if address is None:
        return
    try:
        ip_address(address)
    except ValueError as error:
        message = _("--address {address}: an IP address expected")
        raise UserError(message.format(address=address)) from error
    if ":" in address:
        raise UserError(_("--address {address}: IPv4 only").format(address=address))
    if not (lab or is_global(address)):
        message = _("--address {address}: a public address expected")
        raise UserError(message.format(address=address))


def _check_name(harmless: str | None, url: str) -> None:
    """Refuse what cannot be compared: an address as target, or a harmless name that is none."""
    from probe.compare import host_of, is_address
    from probe.urls import TargetError, ascii_host

    host = host_of(url)
    if is_address(host):
        raise UserError(_("{host}: an address; a name expected").format(host=host))
    if harmless is None:
        return
    try:
        name = ascii_host(harmless)
    except TargetError as error:
        raise UserError(f"--harmless: {error}") from error
    if is_address(name) or name == host:
        message = _("--harmless {name}: another name than the target's expected")
        raise UserError(message.format(name=name))


def _write_pcap(file: "UserFile", captures: tuple[bytes, ...]) -> None:
    """Write the captured packets; if there are none, say so without failing."""
    if not captures:
        file.discard()
        click.echo(_("qazprobe: no pcap: packets could not be captured"), err=True)
        return
    file.write(captures[0])
    file.finish()


def _show(
    record: "Record", owners: "Mapping[str, Owner]", output: str | None, *, as_json: bool
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
            *trace_text.conclusions(record),
        ):
            click.echo(plain(line, 200))
