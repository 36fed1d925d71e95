"""The commands about keys: list them, set their data aside, and take that back."""

import csv
import sys
import time

import click

from collector.admin.commands import parse_instant, store_option, with_store
from collector.settings import SettingsError


@click.command()
@store_option
@click.option("--straying", is_flag=True, help="Only keys that often contradict their network.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV.")
def keys(url: str, *, straying: bool, as_csv: bool) -> None:
    """List the keys: whose votes count and why, origins, branches, and which of them stray."""
    from collector.admin import key_list

    now = time.time()
    rows = with_store(url, lambda store: store.read(key_list.overview(now), slow=True))
    shown = [row for row in rows if row.strays or not straying]
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(
            [key_list.COLUMNS, *(key_list.cells(row, now) for row in shown)]
        )
        return
    for line in key_list.table(shown, now):
        click.echo(line)


@click.command()
@store_option
@click.argument("subject", metavar="KEY|BRANCH")
@click.option("--since", metavar="WHEN", help="Only what was measured since then. [everything]")
@click.option("--reason", metavar="TEXT", required=True, help="Why; it is shown with its events.")
def exclude(url: str, subject: str, since: str | None, reason: str) -> None:
    """Set aside what a key, or every key of an invite, measured; `include` takes it back."""
    from collector.admin import setting_aside

    line = setting_aside.reason_of(reason)
    if line is None:
        limit = setting_aside.REASON_LIMIT
        raise SettingsError(f"--reason: 1 to {limit} printable characters expected")
    start, now = parse_instant(since, 0.0), time.time()
    done = with_store(
        url,
        lambda store: setting_aside.set_aside(store, subject, since=start, reason=line, at=now),
    )
    if done is None:
        raise SettingsError(f"“{subject}”: no key and no branch; `qazcollector keys` lists them")
    click.echo(f"{done.keys} keys, {done.records} records set aside")


@click.command()
@store_option
@click.argument("subject", metavar="KEY|BRANCH")
def include(url: str, subject: str) -> None:
    """Count again what was set aside."""
    from collector.admin import setting_aside

    done = with_store(url, lambda store: setting_aside.take_back(store, subject))
    if done is None:
        raise SettingsError(f"“{subject}”: nothing of it is set aside")
    click.echo(f"{done.keys} keys, {done.records} records counted again")


KEY_COMMANDS = (keys, exclude, include)
