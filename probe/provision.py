"""What some experiments are given for a run: anchors, servers, and what the day has left.

The day's spending is kept in the state folder, so that many short runs together stay under one cap.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from probe import durable
from probe.budget import DAILY_BYTES, UNMETERED_BYTES, Purse, Spending, today
from probe.kit import Kit
from probe.known import Anchor, anchors
from probe.plan import Job

FILE = "throughput.json"
LOOKS_AROUND = "connectivity"
OFFERS_NAMES = "mitm"

Options = Mapping[str, Mapping[str, object]]


def open_purse(state: Path, options: Mapping[str, object]) -> Purse:
    """What may be spent today: as it was kept, under the cap that was chosen.

    `daily_bytes` sets the cap; `unmetered = true` raises it for lines that are not paid by volume.
    """
    try:
        kept = msgspec.json.decode((state / FILE).read_bytes(), type=Spending)
    except (OSError, msgspec.MsgspecError):
        kept = None
    chosen = options.get("daily_bytes")
    default = UNMETERED_BYTES if options.get("unmetered") is True else DAILY_BYTES
    cap = chosen if isinstance(chosen, int) and chosen >= 0 else default
    return Purse(today(kept, datetime.now(UTC).date().isoformat()), cap)


def keep_purse(state: Path, purse: Purse) -> None:
    """Keep what was spent."""
    durable.write(state / FILE, msgspec.json.encode(purse.spending))


@asynccontextmanager
async def provided(
    options: Options, jobs: Iterable[Job], tools: Kit, state: Path
) -> AsyncIterator[Options]:
    """The options of a run, with what it knows besides: anchors, collectors, servers, a purse.

    Servers of the configuration come before those that collectors announce. What was spent is kept
    at the end, however the run ends.
    """
    around = {"anchors": _sites(tools), **options.get(LOOKS_AROUND, {})}
    offers = {"collectors": tools.collectors, **options.get(OFFERS_NAMES, {})}
    options = {**options, LOOKS_AROUND: around, OFFERS_NAMES: offers}
    names = dict.fromkeys(job.experiment for job in jobs)
    loading = [
        name for name in names if name in tools.experiments and tools.experiments[name].alone
    ]
    if not loading:
        yield options
        return
    announced = await tools.bulk() if tools.bulk is not None else ()
    purse = open_purse(state, options.get(loading[0], {}))
    given: dict[str, Mapping[str, object]] = {
        name: {"bulk": announced, **options.get(name, {}), "budget": purse} for name in loading
    }
    try:
        yield {**options, **given}
    finally:
        with suppress(OSError):  # a full disk was said already
            keep_purse(state, purse)


def _sites(tools: Kit) -> tuple[Anchor, ...]:
    """The run's own anchors with their classes; one that nobody classed counts as abroad."""
    classed = {one.url: one for one in anchors()}
    return tuple(
        classed.get(one.url, Anchor(one.url, foreign=one.foreign is not False, essential=False))
        for one in tools.anchors
    )
