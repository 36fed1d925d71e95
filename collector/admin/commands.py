"""The operator's commands besides `serve` and `enroll`: rejudge, retention, and others."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from collector.settings import SettingsError
from collector.store import (
    Store,
    StoreError,
    divide_store,
    is_postgres,
    migrate_store,
    open_store,
    sqlite_path,
)

if TYPE_CHECKING:
    from collector.admin.backup import Summary

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

DEFAULT_STORE = "sqlite:///qazcollector.sqlite3"
_DAY = 86400.0


def store_option(command: F) -> F:
    """The option --store, the same for every command."""
    option = click.option(
        "--store",
        "url",
        metavar="URL",
        default=DEFAULT_STORE,
        envvar="QAZCOLLECTOR_STORE",
        show_default=True,
        help="sqlite:///FILE (four slashes for an absolute path) or postgresql://…",
    )
    return option(command)


def least_probes_option(text: str, *, least: int = 2) -> Callable[[F], F]:
    """The option --public-min-probes; `text` says what happens on networks with fewer."""
    return click.option(
        "--public-min-probes",
        type=click.IntRange(least),
        default=3,
        show_default=True,
        metavar="N",
        help=text,
    )


def quorum_option(command: F) -> F:
    """The option --quorum of commands that detect events."""
    option = click.option(
        "--quorum",
        type=click.IntRange(1),
        default=3,
        show_default=True,
        metavar="N",
        help="Probes that must agree.",
    )
    return option(command)


def with_store(
    url: str, work: Callable[[Store], Coroutine[Any, Any, T]], *, create: bool = False
) -> T:
    """Open a store, run `work` on it, close it, and return the result.

    Without `create` a missing file is an error: a mistyped name must not look like an empty store.
    """
    if not create and not is_postgres(url) and not sqlite_path(url).exists():
        raise StoreError(f"store {sqlite_path(url)}: is not there")

    async def work_and_close() -> T:
        store = await open_store(url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(work_and_close())


@click.command()
@store_option
@click.option("--since", metavar="DAY", help="Only what was measured since then.")
def rejudge(url: str, since: str | None) -> None:
    """Judge stored records again, by the installed rules and with controls that came later."""
    from collector.admin.rejudge import rejudge as judge_again
    from collector.judging import limits
    from probe.certificates.roots import Roots
    from probe.judge import judge as probe_judge

    start, now = parse_instant(since, 0.0), time.time()
    roots = Roots.mozilla()
    limits.limit_time()

    judge = limits.limited(probe_judge)
    done = with_store(
        url, lambda store: judge_again(store, judge, since=start, now=now, roots=roots)
    )
    click.echo(f"{done.judged} judged again, {done.changed} changed")


@contextmanager
def output_file(name: str) -> Iterator[Callable[[bytes], object]]:
    """What writes to a file, which is there when all was written; `-` is the standard output."""
    if name == "-":
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    # A file is replaced when the new one is complete; a pipe or a device is written to directly.
    direct = path.exists() and not path.is_file()
    beside = path if direct else path.with_name(f"{path.name}.partial")
    try:
        with beside.open("wb") as file:
            yield file.write
        if not direct:
            beside.replace(path)
    except OSError as error:
        raise SettingsError(f"{name}: {error.strerror}") from error


def retention_options(command: F) -> F:
    """The options of retention, the same for every command that drops what is old."""
    for option in (
        click.option(
            "--trust-clock",
            is_flag=True,
            help="The clock is right, though the store knows nothing so new.",
        ),
        click.option(
            "--compact",
            is_flag=True,
            help="Write an SQLite file anew as well; a serving collector takes nothing meanwhile.",
        ),
        click.option(
            "--raw-days",
            type=click.IntRange(1),
            metavar="DAYS",
            help="Days to keep their evidence. [--days]",
        ),
        click.option(
            "--days",
            type=click.IntRange(1),
            required=True,
            metavar="DAYS",
            help="Days to keep records.",
        ),
        store_option,
    ):
        command = option(command)
    return command


@click.command()
@retention_options
def retention(
    url: str, days: int, raw_days: int | None, *, compact: bool, trust_clock: bool
) -> None:
    """Drop old evidence and old records, and give their space back; counts stay."""
    drop_old(url, days, raw_days, compact=compact, trust_clock=trust_clock)


def drop_old(
    url: str,
    days: int,
    raw_days: int | None,
    *,
    compact: bool,
    trust_clock: bool,
    upto: Callable[[Store], int | None] = lambda _: None,
) -> None:
    """Drop what is old and tell how much; `upto` gives the last number that may go."""
    from collector.admin.retention import Retired, check_clock, retire

    now = time.time()
    raw = now - min(days, raw_days or days) * _DAY
    before = now - days * _DAY

    async def work(store: Store) -> Retired:
        last = upto(store)
        if not trust_clock:
            await check_clock(store, now)
        return await retire(
            store, now=now, raw_before=raw, before=before, compact=compact, upto=last
        )

    done = with_store(url, work)
    click.echo(f"{done.records} records dropped, the evidence of {done.evidence} others")


@click.command()
@store_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Write a file anew that is there.")
def backup(url: str, file: Path, *, replace: bool) -> None:
    """Copy a store into one file, while collectors serve on; only its owner may read it."""
    from collector.admin import backup as backing

    _report(file, backing.backup(url, file, replace=replace))


@click.command()
@store_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Replace what the store holds.")
def restore(url: str, file: Path, *, replace: bool) -> None:
    """Make a store of a backup, of either engine; stop its collectors first."""
    from collector.admin import backup as backing

    _report(file, backing.restore(url, file, replace=replace))


def _report(file: Path, done: "Summary") -> None:
    what = f"{done.records} records, {done.probes} keys, schema version {done.version}"
    click.echo(f"{file}: {what}, {done.size / 1e6:.1f} MB")


@click.command()
@store_option
@click.option(
    "--partition-by-day",
    "by_day",
    is_flag=True,
    help="Give evidence in PostgreSQL a partition for each day, which retention drops as a whole.",
)
def migrate(url: str, *, by_day: bool) -> None:
    """Bring a store to this version's schema, as serve does when it starts."""
    if by_day:
        divided = asyncio.run(divide_store(url, time.time()))
        click.echo(f"divided by day: {', '.join(divided) or 'all tables were before'}")
    step = asyncio.run(migrate_store(url))
    change = f"{step.before} → {step.after}" if step.before else f"{step.after}, new"
    click.echo(f"schema version {change if step.before != step.after else step.after}")


@click.command()
@store_option
def doctor(url: str) -> None:
    """Check what is installed and what is stored; exit 1 when a check fails."""
    from collector.admin.doctor import installation, store_health

    stored = with_store(url, store_health)
    results = [*installation(url), *stored]
    for result in results:
        fix = f" → {result.fix}" if result.fix and not result.passed else ""
        click.echo(f"{'ok  ' if result.passed else 'BAD '} {result.message}{fix}")
    if not all(result.passed for result in results):
        sys.exit(1)


@click.command(name="asn-table")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def asn_table(source: Path, target: Path) -> None:
    """Make a small table for --asn-table, quick to load, from rows of first,last,asn,country."""
    from collector import asn
    from probe.asn_table import AsnTableError

    try:
        table = asn.load(source)
        with output_file(str(target)) as write:
            write(table.dump())
    except AsnTableError as error:
        raise SettingsError(str(error)) from error
    except OSError as error:
        raise SettingsError(f"{target}: {error.strerror}") from error
    click.echo(f"{len(table.four.starts) + len(table.six.starts)} ranges")


def parse_instant(text: str | None, default: float) -> float:
    """The Unix time of a day or an RFC 3339 instant."""
    if not text:
        return default
    from collector.record_row import instant

    at = instant(text if "T" in text else f"{text}T00:00:00Z")
    if at is None:
        raise SettingsError(f"“{text}”: a day such as 2026-11-21 or an RFC 3339 instant expected")
    return at


COMMANDS = (rejudge, retention, migrate, backup, restore, doctor, asn_table)
