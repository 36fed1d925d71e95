"""The counts by day, and the pages made of them, the same in both engines."""

import asyncio
from pathlib import Path

from collector.store.interface import Operation, Query
from probe.model import Mechanism, Outcome
from tests.collector.harness import LISTED, OTHER, collector, now, record

HOURS = (-50, -30, -3, -2, -1)


def days(target: str) -> Operation[list[tuple[int, str, int]]]:
    params = {"target": target, "since": 0, "asn": -1}
    rows = yield Query("days_of_target", params)
    return sorted((day, outcome, n) for _, _, day, outcome, n in rows)


def test_days_are_the_sums_of_hours_and_pages_show_them(any_store: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=any_store) as harness:
            probes = [await harness.probe() for _ in range(2)]
            for probe in probes:
                await probe.send(
                    *(
                        record(
                            LISTED,
                            started_at=now(3600.0 * hour),
                            outcome=Outcome.BLOCKED if hour > -10 else Outcome.OK,
                            mechanisms=(Mechanism.TLS_TIMEOUT,) if hour > -10 else (),
                        )
                        for hour in HOURS
                    ),
                    record(OTHER),
                )
            hours = (await harness.ask("GET", "/v1/hourly?target=listed.example")).data["hours"]
            sums = sum(one["measurements"] for one in hours)
            found = await harness.service.store.read(days("listed.example"))
            assert sum(n for *_, n in found) == sums == 2 * len(HOURS)
            assert {type(n) for *_, n in found} == {int}
            texts = {}
            for path in ("/", "/events", "/site/listed.example", "/network/9198", "/category/NEWS"):
                reply = await harness.ask("GET", path)
                assert reply.status == 200, (path, reply.body)
                texts[path] = reply.body.decode()
            assert "2 probes agree: a hint" in texts["/"]
            assert "Events that began: 1 in the last 24 hours, 1 in 7 days." in texts["/"]
            assert "tls.timeout" in texts["/site/listed.example"]
            assert "now: blocked, 2 of 2 probes" in texts["/network/9198"]
            for probe in probes:
                assert (await probe.ask("DELETE", "/v1/probes/me")).status == 200
            assert await harness.service.store.read(days("listed.example")) == []

    asyncio.run(scenario())
