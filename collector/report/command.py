"""The command `qazcollector report`."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.admin.commands import (
    least_probes_option,
    parse_instant,
    store_option,
    with_store,
)
from collector.settings import SettingsError

if TYPE_CHECKING:
    from collector.report.asked import Language, ReportAsked


@click.command()
@store_option
@click.option("--since", required=True, metavar="DAY", help="The first day, in UTC.")
@click.option("--until", required=True, metavar="DAY", help="The day after the last one.")
@click.option("--country", required=True, metavar="CC", help="The country, such as KZ.")
@click.option(
    "--categories",
    metavar="CODES",
    help="Only sites of these categories, such as NEWS,HUMR,ANON. [all]",
)
@click.option(
    "--lang",
    "language",
    type=click.Choice(["en", "ru", "kk"]),
    default="en",
    show_default=True,
    help="Language of the page and the charts.",
)
@least_probes_option(
    "On networks with fewer probes times are hours, and nothing tells who measured."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The folder to make; it must not be there yet.",
)
def report(
    *,
    url: str,
    since: str,
    until: str,
    country: str,
    categories: str | None,
    language: "Language",
    public_min_probes: int,
    output: Path,
) -> None:
    """Write a report of a country and a time: a page, tables, charts and the frozen data."""
    from collector.report.asked import ReportAsked
    from collector.report.making import make, new_folder

    asked = ReportAsked(
        since=_day("--since", since),
        until=_day("--until", until),
        country=_country(country),
        categories=_categories(categories),
        language=language,
        least=public_min_probes,
    )
    _check(asked)
    _stop_in_order()
    with new_folder(output) as folder:
        data = with_store(url, lambda store: make(store, asked, folder, _progress))
    click.echo(f"{output}: {data.records} measurements, data.parquet {data.sha256}")


def _day(option: str, text: str) -> float:
    from collector.report.asked import DAY

    at = parse_instant(text, 0.0)
    if at % DAY:
        raise SettingsError(f"{option} “{text}”: a whole day expected, such as 2026-11-21")
    return at


def _country(text: str) -> str:
    if not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise SettingsError(f"--country “{text}”: two letters expected, such as KZ")
    return text.upper()


def _categories(text: str | None) -> tuple[str, ...]:
    """Known codes in order: after a mistyped one the report would say that nothing is blocked."""
    from probe.categories import NAMES

    if text is None:
        return ()
    codes = sorted({code.strip().upper() for code in text.split(",") if code.strip()})
    for code in codes:
        if code not in NAMES:
            near = get_close_matches(code, NAMES, n=1) or sorted(NAMES)
            raise SettingsError(f"--categories “{code}”: unknown; there is {', '.join(near)}")
    if not codes:
        raise SettingsError("--categories: no code given, such as NEWS,HUMR,ANON")
    return tuple(codes)


def _check(asked: "ReportAsked") -> None:
    from collector.report.asked import DAY, MOST_DAYS

    if asked.until <= asked.since:
        raise SettingsError("--until is not after --since; it is the day after the last one")
    if asked.days > MOST_DAYS:
        raise SettingsError(f"{asked.days} days; a report covers at most {MOST_DAYS}")
    if asked.until > time.time() + DAY:
        raise SettingsError("--until lies in the future; the last day may be today")


def _stop_in_order() -> None:
    """Make SIGTERM an exit that removes what was begun."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextmanager
def _progress(label: str, length: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update
