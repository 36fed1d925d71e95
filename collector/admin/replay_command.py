"""The command `qazcollector events replay`."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.admin.commands import quorum_option, with_store
from collector.admin.export_options import place_options, selection
from collector.settings import SettingsError
from probe.translated_help import SummarisedGroup

if TYPE_CHECKING:
    from collector.admin.replay import Told
    from collector.admin.replay_looks import SortedLooks
    from collector.events.reconcile import StoredEvent
    from collector.standing import Standings
    from collector.store import Store
    from collector.store.queries import Selection

_STORES = ("sqlite:", "postgresql:", "postgres:")
_PAGE = 2000
_WHOLE = 1000
_DAY = 86_400.0


@click.group(cls=SummarisedGroup)
def events() -> None:
    """Events: what happened, where, from when to when."""


@events.command()
@click.option(
    "--from",
    "source",
    required=True,
    metavar="STORE|FILE",
    help="A store's URL, or a file that export made: .jsonl, .csv (also .gz, .zst) or .parquet.",
)
@quorum_option
@click.option(
    "--window",
    type=click.FloatRange(0, min_open=True),
    metavar="DAYS",
    help="Only the looks of the last days before the newest one.",
)
@click.option("--everybody", is_flag=True, help="Count every key, as if all were independent.")
@click.option(
    "--against",
    metavar="STORE|FILE",
    help="Compare with the events of this store, or of a file in JSON from /v1/events."
    " [those of the store, if it is one]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What is written.",
)
@place_options
def replay(
    *,
    source: str,
    quorum: int,
    window: float | None,
    everybody: bool,
    against: str | None,
    format_: str,
    **selected: Any,
) -> None:
    """Tell the events that looks give with other parameters, and what differs from the stored."""
    from collector.admin import replay as replaying
    from collector.admin.replay_looks import SortedLooks
    from collector.events.timeline import Rules
    from collector.standing import EVERYBODY

    wanted = selection(**selected)
    looks = SortedLooks()
    try:
        standings = _read(source, wanted, looks)
        since = max(looks.oldest, looks.newest - window * _DAY if window else 0.0)
        rules = Rules(quorum, EVERYBODY if everybody else standings)
        with _progress("replaying", len(looks)) as step:
            found = list(replaying.replayed(looks, rules, since=since, progress=step))
        known = _known(against or (source if source.startswith(_STORES) else None), wanted)
        told = [replaying.Told(one) for one in found]
        if known is not None:
            told = replaying.compared(found, known, since=since)
        _write(told, format_, looks=len(looks), quorum=quorum, is_compared=known is not None)
    finally:
        looks.close()


def _read(source: str, wanted: "Selection", looks: "SortedLooks") -> "Standings":
    """Sort the looks of a source; whose looks count."""
    from collector.admin import replay_looks

    if source.startswith(_STORES):
        return with_store(source, lambda store: _read_store(store, wanted, looks))
    with _progress("reading", _WHOLE) as step:
        done = 0

        def progress(share: float) -> None:
            nonlocal done
            step(int(share * _WHOLE) - done)
            done = int(share * _WHOLE)

        rows = replay_looks.read_file(Path(source), progress)
        found = (one for row in rows if (one := replay_looks.of_columns(row)) is not None)
        looks.add(one for one in found if replay_looks.is_selected(one.look, wanted))
    return looks.standings()


async def _read_store(store: "Store", wanted: "Selection", looks: "SortedLooks") -> "Standings":
    from collector.admin import replay_looks
    from collector.conduct import read_standings
    from collector.store import exports

    is_lab, cursor = False, -1
    with _progress("reading", await store.read(exports.count(wanted), slow=True)) as step:
        while True:
            page = exports.rows_after(cursor, wanted, limit=_PAGE)
            rows = await store.read(page, slow=True)
            if not rows:
                break
            cursor = rows[-1].seq
            is_lab = is_lab or any(row.lab for row in rows)
            looks.add(one for row in rows if (one := replay_looks.of_row(row)) is not None)
            step(len(rows))
    return await store.read(read_standings(time.time(), lab=is_lab), slow=True)


def _known(against: str | None, wanted: "Selection") -> "list[StoredEvent] | None":
    """The stored events to compare with; None: nothing is compared."""
    from collector.admin import replay as replaying

    if against is None:
        return None
    if against.startswith(_STORES):
        from collector.events.storage import all_events

        stored = with_store(against, lambda store: store.read(all_events(), slow=True))
    else:
        try:
            stored = replaying.read_events(Path(against).read_bytes(), against)
        except OSError as error:
            raise SettingsError(f"{against}: {error.strerror}") from error
    return replaying.comparable(stored, wanted)


def _write(
    told: "Sequence[Told]", format_: str, *, looks: int, quorum: int, is_compared: bool
) -> None:
    import msgspec

    from collector.admin import replay as replaying

    counts = {change: sum(one.change == change for one in told) for change in replaying.MARKS}
    del counts[""]
    if format_ == "json":
        events_ = [replaying.as_json(one) for one in told]
        summary = counts if is_compared else None
        found = {"looks": looks, "quorum": quorum, "compared": summary, "events": events_}
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=1))
        return
    for line in replaying.table(told) if told else ():
        click.echo(line)
    said = f"{len(told) - counts['vanished']} events of {looks} looks"
    if is_compared:
        said += "; " + ", ".join(f"{n} {change}" for change, n in counts.items())
    click.echo(f"qazcollector: {said}", err=True)


@contextmanager
def _progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


EVENT_COMMANDS = (events,)
