"""The counts by hour as a Parquet file, made in a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from collector.admin import parquet_file
from collector.admin.export_process import DONE, NO_STORE, NOT_INSTALLED
from collector.child_process import take_job
from collector.store import Store, StoreError, hourly, open_store
from collector.store.hourly import HourlyCount, HourlySelection

PAGE = 10_000
COLUMNS: Mapping[str, str] = {
    "hour": "TIMESTAMPTZ",
    "experiment": "VARCHAR",
    "target": "VARCHAR",
    "category": "VARCHAR",
    "country": "VARCHAR",
    "asn": "BIGINT",
    "outcome": "VARCHAR",
    "measurements": "BIGINT",
}


class HourlyJob(msgspec.Struct, frozen=True, kw_only=True):
    """Which counts of which store, the category of each target, and the file."""

    store: str
    selection: HourlySelection
    categories: dict[str, str]
    file: str


def main() -> int:
    """Make the file that the job on the standard input asks for."""
    job = take_job(HourlyJob)
    try:
        asyncio.run(_make(job))
    except ModuleNotFoundError:
        return NOT_INSTALLED
    except StoreError:
        return NO_STORE
    return DONE


async def _make(job: HourlyJob) -> None:
    store = await open_store(job.store)
    try:
        await parquet_file.write(Path(job.file), COLUMNS, _pages(store, job))
    finally:
        await store.close()


async def _pages(store: Store, job: HourlyJob) -> AsyncIterator[list[dict[str, object]]]:
    after = hourly.FIRST
    while True:
        operation = hourly.page(job.selection, after=after, limit=PAGE)
        found = await store.read(operation, slow=True)
        if not found:
            return
        after = found[-1][:-1]
        yield [_row(one, job.categories) for one in found]


def _row(one: HourlyCount, categories: Mapping[str, str]) -> dict[str, object]:
    return {
        "hour": datetime.fromtimestamp(one.hour * 3600, UTC),
        "experiment": one.experiment,
        "target": one.target,
        "category": categories.get(one.target, ""),
        "country": one.country,
        "asn": one.asn,
        "outcome": one.outcome,
        "measurements": one.n,
    }
