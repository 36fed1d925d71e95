"""POST /v1/heartbeat: only five-minute bits are stored, and nothing about the machine."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from collector.api.heartbeats import BACK_SECONDS
from collector.settings import LAB_LIMITS, CollectorSettings
from collector.store import heartbeats
from collector.store.heartbeats import COLLECTOR_KEY, HeartbeatHour
from probe import codec
from probe.api_types import Heartbeat, MissedInterval
from tests.collector.harness import CollectorHarness, collector


async def kept(harness: CollectorHarness) -> list[HeartbeatHour]:
    found = await harness.service.store.read(heartbeats.heartbeats_since(0))
    return [beat for beat in found if beat.key_id != COLLECTOR_KEY]


def middles(rows: list[HeartbeatHour], what: str) -> list[float]:
    return [at for row in rows for at in heartbeats.slot_times(row.hour, getattr(row, what))]


def test_a_heartbeat_makes_a_probe_active(tmp_path: Path) -> None:
    beat = b'{"boot":"7c1f","at":1795305328.3,"country":"KZ","asn":9198,"region":"KZ-75"}'

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            reply = await sender.ask("POST", "/v1/heartbeat", beat)
            assert reply.data["status"] == "heard"
            assert (await sender.ask("POST", "/v1/heartbeat", b"{}")).status == 200
            assert (await sender.ask("POST", "/v1/heartbeat", b'{"ip":"x"}')).status == 400
            shown = await harness.metrics()
        assert shown['qazprobe_probes_active{country="KZ",asn="9198",region="KZ-75"}'] == 1

    asyncio.run(scenario())


def report(since: float, until: float, reach: str = "nothing", **network: object) -> MissedInterval:
    return MissedInterval(since=since, until=until, reach=reach, **network)  # type: ignore[arg-type]


def test_a_report_is_stored_under_its_network_and_kind(tmp_path: Path) -> None:
    beat = Heartbeat(
        boot="cafe0123",
        at=1.0,
        country="KZ",
        asn=9198,
        unheard=(
            report(7200, 5400, country="KZ", asn=29355),
            report(3600, 1800, "home"),
            report(1200, 600, "abroad"),
        ),
    )

    async def scenario() -> tuple[list[HeartbeatHour], float]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            for _ in range(2):  # a repeated report changes nothing
                reply = await sender.ask("POST", "/v1/heartbeat", codec.encode(beat))
                assert reply.status == 200
            return await kept(harness), time.time()

    rows, now = asyncio.run(scenario())
    cut = middles(rows, "cut")
    assert {(row.country, row.asn) for row in rows if row.cut} == {("KZ", 29355), ("KZ", 9198)}
    assert len(cut) in {14, 15, 16}
    assert all(now - 7200 - 300 <= at <= now - 1800 + 300 for at in cut)
    assert len(middles(rows, "missed")) in {3, 4}
    assert len(middles(rows, "heard")) in {1, 2}
    store = b"".join(path.read_bytes() for path in tmp_path.glob("store.sqlite3*"))
    assert b"cafe0123" not in store


@pytest.mark.parametrize(
    "reported",
    [report(-5, -9), report(60, 90), report(BACK_SECONDS + 1, 0)],
)
def test_an_impossible_report_is_ignored(tmp_path: Path, reported: MissedInterval) -> None:
    async def scenario() -> list[HeartbeatHour]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            beat = Heartbeat(country="KZ", unheard=(reported,))
            assert (await sender.ask("POST", "/v1/heartbeat", codec.encode(beat))).status == 200
            return await kept(harness)

    rows = asyncio.run(scenario())
    assert middles(rows, "cut") == []
    assert len(middles(rows, "heard")) == 1


@pytest.mark.parametrize(
    "beat",
    [
        Heartbeat(unheard=(report(float("1e300"), 0),)),
        Heartbeat(unheard=(report(90, 60),) * 257),
        Heartbeat(at=float("1e300")),
        Heartbeat(asn=2**63 - 1),
        Heartbeat(boot="b" * 4000),
    ],
)
def test_a_heartbeat_beyond_its_bounds_is_refused(tmp_path: Path, beat: Heartbeat) -> None:
    async def scenario() -> int:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            return (await sender.ask("POST", "/v1/heartbeat", codec.encode(beat))).status

    assert asyncio.run(scenario()) == 400


def test_a_serving_collector_stores_its_own_heartbeat(tmp_path: Path) -> None:
    async def scenario() -> list[HeartbeatHour]:
        async with collector(tmp_path) as harness:
            return list(await harness.service.store.read(heartbeats.heartbeats_since(0)))

    (own,) = asyncio.run(scenario())
    assert (own.key_id, own.country) == (COLLECTOR_KEY, "ZZ")


def test_events_list_networks_with_too_few_probes(tmp_path: Path) -> None:
    async def scenario() -> dict[str, object]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            await sender.ask("POST", "/v1/heartbeat", b'{"country":"KZ","asn":9198}')
            reply = await harness.ask("GET", "/v1/events?country=KZ")
            return dict(reply.data)

    found = asyncio.run(scenario())
    assert found["events"] == found["unconfirmed"] == []
    # The middle of the present slot may lie in the future.
    assert found["too_few"] in ([], [{"country": "KZ", "asn": 9198, "probes": 1}])


def test_heartbeats_of_a_key_are_limited(tmp_path: Path) -> None:
    limits = replace(LAB_LIMITS, beat_burst=2.0, beat_rate=0.001)

    async def scenario() -> list[int]:
        async with collector(tmp_path, limits=limits) as harness:
            sender, other = await harness.probe(), await harness.probe()
            made = [await sender.ask("POST", "/v1/heartbeat", b"{}") for _ in range(3)]
            made.append(await other.ask("POST", "/v1/heartbeat", b"{}"))
            return [reply.status for reply in made]

    assert asyncio.run(scenario()) == [200, 200, 429, 200]


def test_the_rows_of_one_heartbeat_are_bounded(tmp_path: Path) -> None:
    """As many reports on as many networks as fit into a body."""
    hour = 3600.0
    overlapping = [report(BACK_SECONDS, 0, country="KZ", asn=n + 1) for n in range(250)]
    hopping = [report(n * hour, n * hour - 60, country="KZ", asn=n) for n in range(256, 0, -1)]

    async def rows(unheard: list[MissedInterval]) -> int:
        folder = tmp_path / str(len(unheard))
        folder.mkdir()
        async with collector(folder, lab=True) as harness:
            sender = await harness.probe()
            beat = codec.encode(Heartbeat(unheard=tuple(unheard)))
            assert (await sender.ask("POST", "/v1/heartbeat", beat)).status == 200
            return len(await kept(harness))

    assert asyncio.run(rows(overlapping)) <= 800
    assert asyncio.run(rows(hopping)) <= 800


@pytest.mark.parametrize("public", [True, False])
def test_that_the_only_probe_of_a_network_is_heard_shows_nowhere_in_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, public: bool
) -> None:
    """Else who asks each minute learns when the only volunteer of a network is at home."""
    monkeypatch.setattr(CollectorSettings, "is_public", property(lambda _: public))

    async def scenario() -> tuple[list[object], list[str]]:
        async with collector(tmp_path, public_min_probes=3) as harness:
            sender = await harness.probe()
            reply = await sender.ask("POST", "/v1/heartbeat", b'{"country":"KZ","asn":9198}')
            assert reply.status == 200
            # A probe is heard when the middle of its five-minute slot is over. The public is told
            # of whole hours when they are over.
            now = time.time()
            soon = min(now + 300, (now // 3600 + 1) * 3600 - 1)
            harness.service.monitor._clock = lambda: soon
            shown = (await harness.ask("GET", "/v1/events")).data["too_few"]
            metrics = await harness.metrics()
            return shown, [name for name in metrics if "probes_heard" in name]

    few, heard = asyncio.run(scenario())
    assert (few, heard) == ([], []) if public else (few and heard)
