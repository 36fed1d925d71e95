"""The command `qazcollector pull`: the records of another collector into a lake."""

import asyncio
import time
from pathlib import Path

import click

from collector.lake.command import day_of, lake_option, progress
from collector.settings import SettingsError


@click.command()
@click.argument("url")
@lake_option
@click.option("--since", required=True, metavar="DAY", help="From this day on.")
@click.option("--until", metavar="DAY", help="Until before this day. [tomorrow]")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the token of its operator; without one comes what the public may see.",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, exists=True),
    metavar="PEM",
    help="The authority of its certificate, if that is a private one.",
)
@click.option("--trusted", is_flag=True, help="Count the looks of its keys as it does.")
def pull(  # noqa: PLR0917 - its options
    url: str,
    lake_: str,
    since: str,
    until: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    trusted: bool,  # noqa: FBT001 - click's way
) -> None:
    """Take another collector's records of some days into the lake, instead of those it had."""
    from collector.lake.files import LakeFiles
    from collector.lake.pulling import LakePull, LakePulled
    from collector.lake.remote import RemoteCollector, checked, export_of

    token = _token(token_file) if token_file else ""
    remote = RemoteCollector(checked(url), token, ca_file)
    last = day_of(until) or time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))
    files, told = LakeFiles(lake_), progress("records")

    async def work() -> LakePulled:
        params = {"format": "jsonl", "since": day_of(since), "until": last}
        async with export_of(remote, params) as found:
            pulled = LakePull(files, found.origin, day_of(since), last, trusted=trusted, told=told)
            async for line in found.lines:
                pulled.add(line)
        return pulled.finish()

    done = asyncio.run(work())
    told(-1)
    click.echo(f"{done.records} records, {done.known} known, {done.replaced} replaced")
    if done.refused:
        click.echo(f"{done.refused} lines are no records", err=True)


def _token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"--token-file {file}: cannot be read") from error
