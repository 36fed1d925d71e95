"""`qazprobe speed`: measure the speed of this line against a server that the user names."""

from typing import TYPE_CHECKING

import click

from probe import paths
from probe.commands.run import check_stdout, load_settings, require_accepted
from probe.commands.trace import named_file
from probe.errors import Exit, UserError
from probe.report.risk_notice import MLAB

if TYPE_CHECKING:
    from probe.interop.ndt7.server_url import Ndt7Url

# Both directions together stay below the default quota of a day, 20 MB.
BYTES = 8_000_000


@click.command("speed")
@click.option(
    "--server",
    required=True,
    metavar="URL",
    help="A server that speaks ndt7: ndt7://HOST[:PORT], with #pin=SHA256 for a key of its own.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(100_000, 2_000_000_000),
    default=BYTES,
    show_default=True,
    metavar="N",
    help="Bytes of each direction at most; the day's quota is counted besides.",
)
@click.option("--resolver", metavar="IP[:PORT]", help="Use this resolver in place of the system's.")
@click.option(
    "--ca-file", metavar="PEM", help="Root certificates of a test laboratory; needs --lab."
)
@click.option("--lab", is_flag=True, default=None, help="This is a test laboratory.")
@click.option("-o", "output", metavar="FILE|-", help="Write the record as a JSON line.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as one JSON object.")
@click.option(
    "--accept-risk",
    "accept_risks",
    is_flag=True,
    help="Accept, in a script, that a server of Measurement Lab publishes your address.",
)
@click.option("--config", "config_file", metavar="FILE", help="Read settings from this file.")
def command(
    server: str,
    *,
    max_bytes: int,
    output: str | None,
    as_json: bool,
    accept_risks: bool,
    config_file: str | None,
    **flags: object,
) -> Exit:
    """Measure the speed of this line against a server that you name.

    One connection down and one up, each for ten seconds or --max-bytes. The server sees the address
    of your line. The record stays here; `qazprobe run -e speed` measures against the servers of
    your collectors.
    """
    check_stdout(output, as_json=as_json)
    home = paths.find()
    settings = load_settings(home, config_file, flags)
    url = _server(server)
    risks = (MLAB,) if url.publishes_addresses else ()
    require_accepted(risks, settings, home, accepted=accept_risks)
    import asyncio

    from probe import codec
    from probe.admin.permit import permitted
    from probe.escape import plain
    from probe.report import speed_text
    from probe.runner import single_speed

    request = single_speed.SpeedRequest(url, max_bytes)
    with named_file("-o", output) as file:
        with permitted(settings, home, "speed") as permission:
            measuring = single_speed.measure(settings, home.state, request)
            record = asyncio.run(permission.supervise(measuring))
        if file is not None:
            file.write(codec.encode(record) + b"\n")
            file.finish()
    if as_json:
        click.echo(speed_text.summary(record))
    elif output != "-":
        for line in speed_text.lines(record):
            click.echo(plain(line, 400))
    return Exit.DONE


def _server(text: str) -> "Ndt7Url":
    from probe.interop.ndt7.server_url import Ndt7UrlError, parse

    try:
        return parse(text)
    except Ndt7UrlError as error:
        raise UserError(f"--server {error}") from error
