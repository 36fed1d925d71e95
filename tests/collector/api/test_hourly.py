"""GET /v1/hourly: the counts that outlast the records."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.admin import retention
from collector.store import hourly
from probe.model import Outcome
from tests.collector.harness import KZ, LISTED, OTHER, UNLISTED, CollectorHarness, collector, record

AT = "2026-11-21T21:39:05.123Z"
LATER = "2026-11-22T03:01:00Z"


async def counts(harness: CollectorHarness, query: str = "") -> list[dict[str, Any]]:
    reply = await harness.ask("GET", f"/v1/hourly?{query}")
    assert reply.status == 200, reply.body
    rows: list[dict[str, Any]] = reply.data["hours"]
    return rows


def test_hours_have_numbers_by_outcome_and_filters(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            away = msgspec.structs.replace(KZ, country="KG", asn=12997)
            await (await harness.probe()).send(
                record(started_at=AT),
                record(started_at=AT.replace("39", "40")),
                record(OTHER, started_at=AT, outcome=Outcome.BLOCKED),
                record(UNLISTED, started_at=LATER),
            )
            await (await harness.probe()).send(record(started_at=LATER, vantage=away))
            first, second, *_ = await counts(harness)
            assert first == {
                "hour": "2026-11-21T21:00:00.000Z",
                "experiment": "web",
                "target": "listed.example",
                "category": "NEWS",
                "country": "KZ",
                "asn": 9198,
                "outcome": "ok",
                "measurements": 2,
            }
            assert (second["target"], second["outcome"]) == ("other.example", "blocked")
            for query, size in (
                ("", 4),
                ("target=listed.example", 2),
                ("target=unlisted", 1),
                ("category=HUMR", 1),
                ("category=NEWS", 2),
                ("category=NEWS&target=other.example", 0),
                ("country=kg", 1),
                ("asn=AS9198", 3),
                ("outcome=blocked", 1),
                ("experiment=dns", 0),
                ("since=2026-11-22", 2),
                ("until=2026-11-22", 2),
                ("since=2026-11-21T21:00:00Z", 4),
                ("since=2026-11-21T21:00:01Z", 2),
                ("since=2026-11-21T21:00:00Z&until=2026-11-21T22:00:00Z", 2),
            ):
                assert len(await counts(harness, query)) == size, query
            reply = await harness.ask("GET", "/v1/hourly?category=NOSUCH")
            assert reply.status == 400
            assert reply.data["error"].startswith("category: one of HUMR, NEWS expected; param")

    asyncio.run(scenario())


def test_hours_stay_when_records_go_and_are_read_from_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record(LISTED, started_at=AT))
            before = await counts(harness)
            store = harness.service.store
            now = harness.service.clock()
            await retention.retire(store, now=now + 1, raw_before=now, before=now)
            assert (await harness.ask("GET", "/v1/measurements")).data["measurements"] == []
            assert await counts(harness) == before

    asyncio.run(scenario())


def test_all_hours_are_one_parquet_file_whose_parts_can_be_read(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = "/v1/hourly?format=parquet&asn=9198"

    async def scenario() -> bytes:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(
                record(started_at=AT), record(OTHER, started_at=LATER), record(UNLISTED)
            )
            whole = await harness.ask("GET", path)
            assert whole.status == 200, whole.body
            end = await harness.ask("GET", path, None, {"Range": "bytes=-4"})
            assert (end.status, end.body) == (206, b"PAR1")
            head = await harness.ask("HEAD", path)
            assert (head.status, head.headers["Accept-Ranges"]) == (200, "bytes")
            assert head.headers["ETag"] == whole.headers["ETag"]
            for name, value in (("limit", "5"), ("cursor", "x")):
                refused = await harness.ask("GET", f"{path}&{name}={value}")
                assert (refused.status, refused.data["error"].split(":")[0]) == (400, name)
            return whole.body

    file = tmp_path / "hours.parquet"
    file.write_bytes(asyncio.run(scenario()))
    with duckdb.connect() as connection:
        names = "epoch(hour), typeof(hour), target, category, asn, measurements"
        rows = connection.execute(f"SELECT {names} FROM '{file}' ORDER BY hour").fetchall()
    assert len(rows) == 3
    first = datetime(2026, 11, 21, 21, tzinfo=UTC).timestamp()
    when = "TIMESTAMP WITH TIME ZONE"
    assert rows[0] == (first, when, "listed.example", "NEWS", 9198, 1)


def test_a_page_is_one_statement_of_the_hourly_counts() -> None:
    selection = hourly.HourlySelection(None, "", -1, "", "", 0, 10)
    operation = hourly.page(selection, limit=2)
    assert next(operation).name == "hourly_page"  # type: ignore[union-attr]
