"""A heartbeat leaves five-minute bits, and nothing that it said of its machine."""

import asyncio
import time
from pathlib import Path

import pytest

from collector.api.heartbeats import BACK_SECONDS
from collector.store import heartbeats
from collector.store.heartbeats import COLLECTOR_KEY, HeartbeatHour
from probe import codec
from probe.api_types import Heartbeat, Unheard
from tests.collector.harness import CollectorHarness, collector


async def kept(harness: CollectorHarness) -> list[HeartbeatHour]:
    found = await harness.service.store.read(heartbeats.heartbeats_since(0))
    return [beat for beat in found if beat.key_id != COLLECTOR_KEY]


def middles(rows: list[HeartbeatHour], what: str) -> list[float]:
    return [at for row in rows for at in heartbeats.slot_times(row.hour, getattr(row, what))]


def test_a_heartbeat_is_all_it_takes_to_be_active(tmp_path: Path) -> None:
    beat = b'{"boot":"7c1f","at":1795305328.3,"country":"KZ","asn":9198,"region":"KZ-75"}'

    async def story() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            reply = await sender.ask("POST", "/v1/heartbeat", beat)
            assert reply.data["status"] == "heard"
            assert (await sender.ask("POST", "/v1/heartbeat", b"{}")).status == 200
            assert (await sender.ask("POST", "/v1/heartbeat", b'{"ip":"x"}')).status == 400
            shown = await harness.metrics()
        assert shown['qazprobe_probes_active{country="KZ",asn="9198",region="KZ-75"}'] == 1

    asyncio.run(story())


def stay(since: float, until: float, reach: str = "nothing", **harness: object) -> Unheard:
    return Unheard(since=since, until=until, reach=reach, **harness)  # type: ignore[arg-type]


def test_what_it_tells_of_the_past_is_kept_where_and_as_it_was(tmp_path: Path) -> None:
    beat = Heartbeat(
        boot="cafe0123",
        at=1.0,
        country="KZ",
        asn=9198,
        unheard=(
            stay(7200, 5400, country="KZ", asn=29355),
            stay(3600, 1800, "home"),
            stay(1200, 600, "abroad"),
        ),
    )

    async def story() -> tuple[list[HeartbeatHour], float]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            for _ in range(2):  # told twice is told once
                reply = await sender.ask("POST", "/v1/heartbeat", codec.encode(beat))
                assert reply.status == 200
            return await kept(harness), time.time()

    rows, now = asyncio.run(story())
    cut = middles(rows, "cut")
    assert {(row.country, row.asn) for row in rows if row.cut} == {("KZ", 29355), ("KZ", 9198)}
    assert len(cut) in {14, 15, 16}
    assert all(now - 7200 - 300 <= at <= now - 1800 + 300 for at in cut)
    assert len(middles(rows, "missed")) in {3, 4}
    assert len(middles(rows, "heard")) in {1, 2}
    store = b"".join(path.read_bytes() for path in tmp_path.glob("store.sqlite3*"))
    assert b"cafe0123" not in store


@pytest.mark.parametrize(
    "told",
    [stay(-5, -9), stay(60, 90), stay(BACK_SECONDS + 1, 0), stay(float("1e300"), 0)],
)
def test_a_past_that_cannot_have_been_is_passed_over(tmp_path: Path, told: Unheard) -> None:
    async def story() -> list[HeartbeatHour]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            beat = Heartbeat(country="KZ", unheard=(told,))
            assert (await sender.ask("POST", "/v1/heartbeat", codec.encode(beat))).status == 200
            return await kept(harness)

    rows = asyncio.run(story())
    assert middles(rows, "cut") == []
    assert len(middles(rows, "heard")) == 1


def test_a_collector_that_serves_says_that_it_listens(tmp_path: Path) -> None:
    async def story() -> list[HeartbeatHour]:
        async with collector(tmp_path) as harness:
            return list(await harness.service.store.read(heartbeats.heartbeats_since(0)))

    (own,) = asyncio.run(story())
    assert (own.key_id, own.country) == (COLLECTOR_KEY, "ZZ")


def test_events_say_what_is_not_known(tmp_path: Path) -> None:
    async def story() -> dict[str, object]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            await sender.ask("POST", "/v1/heartbeat", b'{"country":"KZ","asn":9198}')
            reply = await harness.ask("GET", "/v1/events?country=KZ")
            return dict(reply.data)

    found = asyncio.run(story())
    assert found["events"] == found["unconfirmed"] == []
    # Its five minutes may not be half over yet.
    assert found["too_few"] in ([], [{"country": "KZ", "asn": 9198, "probes": 1}])
