"""The counts by hour and the keys of networks, the same in both engines."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from probe.model import Outcome
from tests.collector.harness import KZ, LISTED, OTHER, UNLISTED, collector, record

TIMES = ("2026-11-21T21:39:05.123Z", "2026-11-21T22:00:00.000Z", "2026-11-22T03:01:00.000Z")


def test_pages_of_hours_and_coarse_looks(any_store: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=any_store, public_min_probes=2) as harness:
            away = msgspec.structs.replace(KZ, country="KG", asn=12997)
            for vantage in (KZ, KZ, away):
                await (await harness.probe()).send(
                    *(
                        record(url, started_at=at, vantage=vantage, outcome=outcome)
                        for url in (LISTED, OTHER, UNLISTED)
                        for at in TIMES
                        for outcome in (Outcome.OK, Outcome.BLOCKED)
                    )
                )
            # Three targets, three hours, two networks, two outcomes.
            whole = (await harness.ask("GET", "/v1/hourly")).data["hours"]
            assert len(whole) == 36
            assert sum(one["measurements"] for one in whole) == 54
            assert [one["hour"] for one in whole] == sorted(one["hour"] for one in whole)
            for query, size in (("", 36), ("category=NEWS", 12), ("target=unlisted&asn=9198", 6)):
                rows: list[Any] = []
                cursor: str | None = ""
                while cursor is not None:
                    after = f"&cursor={cursor}" if cursor else ""
                    page = (await harness.ask("GET", f"/v1/hourly?{query}&limit=5{after}")).data
                    rows.extend(page["hours"])
                    cursor = page["next"]
                assert len(rows) == size, query
                assert len({msgspec.json.encode(one) for one in rows}) == size
            found = (await harness.ask("GET", "/v1/measurements?limit=1000")).data["measurements"]
            coarse = {(one["country"], one["coarse"]) for one in found}
            assert coarse == {("KZ", False), ("KG", True)}
            period = "since=2026-11-21T21:00:00Z&until=2026-11-21T21:30:00Z"
            found = (await harness.ask("GET", f"/v1/measurements?{period}")).data["measurements"]
            assert {one["country"] for one in found} == {"KG"}

    asyncio.run(scenario())
