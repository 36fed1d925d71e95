"""GET /v1/hourly: the counts that outlast the records."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

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


def test_a_page_is_one_statement_of_the_hourly_counts() -> None:
    selection = hourly.HourlySelection(None, "", -1, "", "", 0, 10)
    operation = hourly.page(selection, limit=2)
    assert next(operation).name == "hourly_page"  # type: ignore[union-attr]
