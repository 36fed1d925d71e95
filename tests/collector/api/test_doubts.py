"""Records whose evidence the collector doubts: kept, judged, shown, and without a vote."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from collector.admin.rejudge import rejudge
from probe.model import Control, Mechanism, Outcome, Record, Verdict
from tests.collector.harness import CollectorHarness, collector, fine, record, select

BAD = (Mechanism.TLS_TIMEOUT,)


def impossible() -> Record:
    steps = tuple(replace(one, elapsed=60.0) if one.id == 1 else one for one in fine())
    return record(steps=steps, outcome=Outcome.BLOCKED, mechanisms=BAD)


async def votes(harness: CollectorHarness) -> list[str]:
    rows = await harness.service.store.read(
        select("votes_of_day", first=0, after=10**9, target="", last="~")
    )
    return [row[4] for row in rows]


def test_an_impossible_record_is_shown_and_has_no_vote(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            assert (await sender.send(impossible())).stored == 1
            metrics = await harness.metrics()
            (shown,) = (await harness.ask("GET", "/v1/measurements")).data["measurements"]
            assert (shown["doubts"], shown["voting"]) == ("times", False)
            assert shown["outcome"] == "blocked"
            assert metrics['qazcollector_doubted_total{doubt="times"}'] == 1
            assert await votes(harness) == []

    asyncio.run(scenario())


def test_chains_are_checked_against_real_roots_unless_the_record_is_a_laboratory_s(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, verify_chains=True, lab=True, workers=0) as harness:
            sender = await harness.probe()
            await sender.send(record())  # its chain is not in the record
            await sender.send(record(lab=True))
            rows = (await harness.ask("GET", "/v1/measurements")).data["measurements"]
            assert sorted(row["doubts"] for row in rows) == ["", "certificates"]

    asyncio.run(scenario())


def test_a_control_measurement_that_this_collector_never_had_proves_nothing(tmp_path: Path) -> None:
    controls_seen: list[int] = []

    def judge(made: Record) -> Verdict:
        controls_seen.append(len(made.control))
        return Verdict(outcome=Outcome.OK)

    invented = Control(id="00000000-0000-7000-8000-000000000000", age=0.0, steps=fine())

    async def scenario() -> None:
        async with collector(tmp_path, judge=judge, workers=0) as harness:
            await (await harness.probe()).send(record(control=(invented,)))
            await harness.metrics()
            store = harness.service.store
            await rejudge(store, judge, since=0.0, now=2e9)

    asyncio.run(scenario())
    assert controls_seen == [0, 0]
