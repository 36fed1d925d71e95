"""What some experiments are given for a run: anchors, servers, and what the day has left.

The day's spending is kept in the state folder, so that many short runs together stay under one cap.
Bulk servers are remembered there too: on the day on which they matter, the collector that names
them may be out of reach.
"""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from probe import atomic_files
from probe.api_types import BulkReply
from probe.experiments.throughput import ServerHealth
from probe.model import Data
from probe.ordering import Job
from probe.reference_data import Anchor, anchors
from probe.runner.daily_quota import DAILY_BYTES, UNMETERED_BYTES, DailyQuota, QuotaUsage, today
from probe.runner.ports import RunDependencies

FILE = "throughput.json"
MEMORY = "bulk.json"
LOOKS_AROUND = "connectivity"
OFFERS_NAMES = "mitm"
COMPARES = "throttle"
REMEMBERED = 16
FORGET_SECONDS = 60 * 86_400.0

Options = Mapping[str, Mapping[str, object]]


class Known(Data, frozen=True, kw_only=True):
    """A bulk server, and when it was last announced (Unix time)."""

    at: float
    server: BulkReply


def open_purse(state: Path, options: Mapping[str, object]) -> DailyQuota:
    """What may be spent today: as it was kept, under the cap that was chosen.

    `daily_bytes` sets the cap; `unmetered = true` raises it for lines that are not paid by volume.
    """
    try:
        kept = msgspec.json.decode((state / FILE).read_bytes(), type=QuotaUsage)
    except (OSError, msgspec.MsgspecError):
        kept = None
    chosen = options.get("daily_bytes")
    default = UNMETERED_BYTES if options.get("unmetered") is True else DAILY_BYTES
    cap = chosen if isinstance(chosen, int) and chosen >= 0 else default
    return DailyQuota(today(kept, datetime.now(UTC).date().isoformat()), cap)


def keep_purse(state: Path, purse: DailyQuota) -> None:
    """Keep what was spent."""
    atomic_files.write(state / FILE, msgspec.json.encode(purse.spending))


@dataclass(slots=True)
class RunOptions:
    """What a run is given.

    Attributes:
        options: Of every experiment of its jobs.
        standing: How the bulk servers have done in this run.
    """

    options: Options
    tools: RunDependencies
    state: Path
    purse: DailyQuota
    servers: tuple[BulkReply, ...] | None = None
    standing: ServerHealth = field(default_factory=ServerHealth)

    async def loading(self, name: str) -> Mapping[str, object]:
        """The options of an experiment that loads the line; collectors are asked once.

        Servers of the configuration come before those that collectors announce.
        """
        if self.servers is None:
            announced = await self.tools.bulk() if self.tools.bulk is not None else ()
            self.servers = remembered(self.state, announced)
        own = self.options.get(name, {})
        return {"bulk": self.servers, **own, "budget": self.purse, "standing": self.standing}

    async def comparing(self) -> Mapping[str, object] | None:
        """What `throttle` is given for a follow-up; None when the day has nothing left."""
        return await self.loading(COMPARES) if self.purse.left else None


@asynccontextmanager
async def provided(
    options: Options, jobs: Iterable[Job], tools: RunDependencies, state: Path
) -> AsyncIterator[RunOptions]:
    """The options of a run, with what it knows besides: anchors, collectors, servers, a purse.

    What was spent is kept at the end, however the run ends.
    """
    around = {**_own_server(state), "anchors": _sites(tools), **options.get(LOOKS_AROUND, {})}
    offers = {"collectors": tools.collectors, **options.get(OFFERS_NAMES, {})}
    options = {**options, LOOKS_AROUND: around, OFFERS_NAMES: offers}
    names = dict.fromkeys(job.experiment for job in jobs)
    loading = [
        name for name in names if name in tools.experiments and tools.experiments[name].alone
    ]
    first = loading[0] if loading else COMPARES
    purse = open_purse(state, {**options.get(first, {}), **options.get(COMPARES, {})})
    before = purse.spending
    provision = RunOptions(options, tools, state, purse)
    given = {name: await provision.loading(name) for name in loading}
    provision.options = {**options, **given}
    try:
        yield provision
    finally:
        if purse.spending != before:
            with suppress(OSError):  # a full disk was said already
                keep_purse(state, purse)


def remembered(
    state: Path, announced: Iterable[BulkReply], *, now: float | None = None
) -> tuple[BulkReply, ...]:
    """The servers that are announced now, then those of other days; all are kept for later."""
    moment = time.time() if now is None else now
    fresh = {_place(one): Known(at=moment, server=one) for one in announced}
    known = {**fresh, **{p: k for p, k in _memory(state).items() if p not in fresh}}
    lasting = [one for one in known.values() if 0 <= moment - one.at <= FORGET_SECONDS]
    newest = sorted(lasting, key=lambda one: -one.at)[:REMEMBERED]
    if fresh:
        with suppress(OSError):
            atomic_files.write(state / MEMORY, msgspec.json.encode(newest))
    return tuple(one.server for one in newest)


def _memory(state: Path) -> dict[tuple[str, int], Known]:
    try:
        kept = msgspec.json.decode((state / MEMORY).read_bytes(), type=list[Known])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {_place(one.server): one for one in kept}


def _place(server: BulkReply) -> tuple[str, int]:
    return server.address, server.port


def _own_server(state: Path) -> Mapping[str, object]:
    """A machine of ours to knock at when nothing else answers: the bulk server of other days.

    Whether it takes the connection or refuses it, it answers: a packet to that port came through.
    """
    known = remembered(state, ())
    return {"own_server": known[0].address} if known else {}


def _sites(tools: RunDependencies) -> tuple[Anchor, ...]:
    """The run's own anchors with their classes; one that nobody classed counts as abroad."""
    classed = {one.url: one for one in anchors()}
    return tuple(
        classed.get(one.url, Anchor(one.url, foreign=one.foreign is not False, essential=False))
        for one in tools.anchors
    )
