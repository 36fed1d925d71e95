"""How long the explorer's pages take with a million measurements: `python -m bench explorer`.

Each page is asked with other parameters each time. *Cold*: no result of the page is kept from
before; *warm*: the same page again. The time of the processor is that of the collector, of the
client, and of PostgreSQL; other work on the machine changes it less than the time by the clock.
`--writing` asks while records arrive, so that snapshots and events are made anew beside the pages.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from bench import explorer_store, temporary_postgres
from collector.result_cache import ResultCache
from collector.serve import settle
from collector.store.interface import Operation, Query
from tests.collector.harness import CollectorHarness, collector, record

ROWS, TURNS = 1_000_000, 50
LANGUAGES = ("en", "ru", "kk")
KINDS = ("blocking", "shutdown", "interception", "throttling")
PathOf = Callable[[int], str]
# The pages by name; `n` is another number each time.
PAGES: Mapping[str, PathOf] = {
    "/": lambda n: f"/?lang={LANGUAGES[n % 3]}",
    "/events": lambda n: f"/events?lang={LANGUAGES[n % 3]}",
    "/events, filtered": lambda n: f"/events?state=confirmed&asn={1 + n % 7}",
    "/events, of a kind": lambda n: f"/events?kind={KINDS[n % 4]}&category=NEWS",
    "/site/NAME": lambda n: f"/site/target{n * 37 % 800}.example?lang={LANGUAGES[n % 3]}",
    "/site/NAME, 1,250 rates": lambda n: f"/site/target7.example?lang={LANGUAGES[n % 3]}",
    "/network/ASN": lambda n: f"/network/{1 + n % 7}?lang={LANGUAGES[n % 3]}",
    "/category/CODE, 100 sites": lambda n: f"/category/NEWS?part={1 + n % 8}",
    "/e/ID": lambda n: f"/e/{n * 97 % 5000:08x}?lang={LANGUAGES[n % 3]}",
    "/e/ID/looks.csv": lambda n: f"/e/{n * 89 % 5000:08x}/looks.csv",
    "/w/ID, 255 events": lambda n: f"/w/aa?lang={LANGUAGES[n % 3]}",
    "/interceptions": lambda n: f"/interceptions?lang={LANGUAGES[n % 3]}",
    "/interceptions, filtered": lambda n: f"/interceptions?asn={1 + n % 7}&country=KZ",
    "/outages": lambda n: f"/outages?lang={LANGUAGES[n % 3]}",
    "/outages, filtered": lambda n: f"/outages?asn={1 + n % 7}",
    "/feed.atom": lambda n: f"/feed.atom?lang={LANGUAGES[n % 3]}",
    "/feed.atom, filtered": lambda n: f"/feed.atom?site=target{n * 31 % 800}.example",
}
LISTS: Mapping[str, PathOf] = {
    "/metrics": lambda _: "/metrics",
    "/v1/measurements": lambda n: f"/v1/measurements?limit=1000&asn={1 + n % 7}",
    "/v1/measurements, target": lambda n: f"/v1/measurements?target=target{n * 37 % 800}.example",
    "/v1/verdicts": lambda n: f"/v1/verdicts?asn={1 + n % 7}",
    "/v1/hourly": lambda n: f"/v1/hourly?target=target{n * 37 % 800}.example&limit=1000",
    "/v1/events": lambda n: f"/v1/events?asn={1 + n % 7}",
    "/v1/waves": lambda _: "/v1/waves",
    "/v1/interceptions": lambda n: f"/v1/interceptions?asn={1 + n % 7}",
}


class Took(NamedTuple):
    """Milliseconds by the clock and of the processor."""

    wall: float
    worked: float


class PageTimes(NamedTuple):
    """How long each request of one page took, and the size of its last answer."""

    cold: list[Took]
    warm: list[Took]
    size: int


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is made anew beside the pages, as long as nothing is written."""
    with ExitStack() as stack:
        for where in ("metrics.snapshot", "events.keeper"):
            stack.enter_context(patch(f"collector.{where}.OLD_SECONDS", inf))
        yield


async def measure(
    folder: Path, store: str, pages: Mapping[str, PathOf], turns: int, *, writing: bool
) -> dict[str, PageTimes]:
    """How long each page takes."""
    clock = partial(_worked, _servers_of(store))
    async with _prepared(folder, store, writing=writing) as harness:
        found = {}
        for name, path_of in pages.items():
            cold, warm, size = [], [], 0
            for n in range(turns):
                harness.service.results = ResultCache()
                took, size = await _asked(harness, path_of(n), clock)
                cold.append(took)
                again, _ = await _asked(harness, path_of(n), clock)
                warm.append(again)
            found[name] = PageTimes(cold, warm, size)
    return found


@asynccontextmanager
async def _prepared(folder: Path, store: str, *, writing: bool) -> AsyncIterator[CollectorHarness]:
    """A collector whose events are made, as they are in one that has run for a while."""
    async with collector(folder, store=store, public_min_probes=3) as harness:
        await harness.service.events.keep()
        while await harness.service.store.read(_is_due()):
            harness.service.events.touch()
            await harness.service.events.keep()
            await asyncio.sleep(0.1)
        await harness.service.snapshots.snapshot()
        await settle()
        beside = asyncio.create_task(_write(harness)) if writing else None
        yield harness
        if beside is not None:
            beside.cancel()


def _is_due() -> Operation[bool]:
    rows = yield Query("places_due", {"target": "", "country": "", "asn": -1, "limit": 1})
    return bool(rows)


async def _asked(
    harness: CollectorHarness, path: str, clock: Callable[[], float]
) -> tuple[Took, int]:
    began, worked = time.perf_counter(), clock()
    reply = await harness.ask("GET", path)
    took = Took((time.perf_counter() - began) * 1000, (clock() - worked) * 1000)
    assert reply.status == 200, (path, reply.body[:200])
    return took, len(reply.body)


async def _write(harness: CollectorHarness) -> None:
    probe = await harness.probe()
    while True:
        await probe.upload(record("https://target9.example/"))
        await asyncio.sleep(0.5)


def _servers_of(store: str) -> Path | None:
    """The file with the number of the PostgreSQL process of a temporary server."""
    _, _, folder = store.partition("?host=")
    return Path(folder) / "data" / "postmaster.pid" if folder else None


def _worked(servers: Path | None) -> float:
    """Seconds of the processor: of this process, and of the processes of PostgreSQL."""
    worked = time.process_time()
    if servers is not None:
        parent = servers.read_text().split()[0]
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            worked += sum(map(_ran, children.read_text().split()))
    return worked


def _ran(process: str) -> float:
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        return 0.0


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--folder", type=Path, help="keep the store here, or use the one there")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--writing", action="store_true", help="while records arrive")
    parser.add_argument("--lists", action="store_true", help="of the API instead of pages")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = asked.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "store.sqlite3").exists():
            explorer_store.make(folder, asked.rows)
        store = f"sqlite:///{folder}/store.sqlite3"
        if asked.postgres:
            store = stack.enter_context(temporary_postgres.running())
            explorer_store.copy(folder, store)
        if not asked.writing:
            stack.enter_context(quiet())
        every = LISTS if asked.lists else PAGES
        pages = {name: path for name, path in every.items() if asked.only in name}
        _show(asyncio.run(measure(folder, store, pages, asked.turns, writing=asked.writing)))


def _show(found: Mapping[str, PageTimes]) -> None:
    print(f"{'':26} {'':>6}  of the processor, ms       by the clock, ms           warm, processor")
    heads = ("p50", "p95", "worst", "p50", "p95", "worst", "p50", "p95")
    print(f"{'page':26} {'KB':>6} {' '.join(f'{one:>8}' for one in heads)}")
    for name, of in found.items():
        numbers = (
            *_spread([one.worked for one in of.cold]),
            *_spread([one.wall for one in of.cold]),
            *_spread([one.worked for one in of.warm])[:2],
        )
        print(f"{name:26} {of.size / 1024:6.0f} {' '.join(f'{one:8.1f}' for one in numbers)}")


def _spread(values: list[float]) -> tuple[float, float, float]:
    """The median, the 95th percentile, and the worst."""
    ranked = sorted(values)
    p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
    return statistics.median(values), p95, ranked[-1]


if __name__ == "__main__":
    main()
