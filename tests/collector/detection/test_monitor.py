"""Synthetic weeks through the real store: outages, shutdowns, throttling."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf
from pathlib import Path
from unittest.mock import patch

from collector.detection.monitor import Detections, Monitor
from collector.detection.outage import HEARTBEAT
from collector.store import Store, exclusions, heartbeats, keys, open_store
from collector.store.heartbeats import UnheardPeriod
from collector.store.interface import Execute, Operation
from collector.store.keys import Key, ProbeNetwork
from tests.collector.harness import settings

DAY = 86_400.0
# A Wednesday afternoon in Kazakhstan.
NOW = 1_795_600_000.0
TELECOM, MOBILE, ABROAD = (
    ProbeNetwork("KZ", 9198),
    ProbeNetwork("KZ", 29355),
    ProbeNetwork("DE", 3320),
)
Cut = tuple[float, float]


def probe_heartbeats(
    key: str, network: ProbeNetwork, cuts: Sequence[Cut], *, days: float = 3.0
) -> Iterable[Operation[None]]:
    """The heartbeats until now of a probe that is always on, with none during the cuts."""
    yield invited(key)
    at = NOW - days * DAY + random.Random(key).uniform(0, HEARTBEAT)
    while at < NOW:
        if not any(a <= at < b for a, b in cuts):
            yield heartbeats.record_heartbeat(key, at, network, ())
        at += HEARTBEAT


def invited(key: str) -> Operation[None]:
    """Enrol a key with an invite of its own."""
    if (yield from keys.find_key(key)) is None:
        at = NOW - 9 * DAY
        yield from keys.add_invite(key, "probe", uses=1, at=at, expires_at=at + 1)
        yield from keys.enrol(Key(key, b"x" * 32, "probe"), key, needs_invite=True, at=at)


def collector_heartbeats(until: float = NOW, *, days: float = 3.0) -> Iterable[Operation[None]]:
    at = NOW - days * DAY
    while at < until:
        yield heartbeats.record_collector_heartbeat(at)
        at += HEARTBEAT


def together(parts: Iterable[Iterable[Operation[None]]]) -> Operation[None]:
    """Many small operations as one."""
    for part in parts:
        for one in part:
            yield from one


def probes(network: ProbeNetwork, count: int, *cuts: Cut) -> list[Iterable[Operation[None]]]:
    name = f"{network.country}{network.asn}"
    return [probe_heartbeats(f"{name}-{n}", network, cuts) for n in range(count)]


async def detections(
    folder: Path, parts: Iterable[Iterable[Operation[None]]], *later: Operation[None], quorum: int
) -> Detections:
    store: Store = await open_store(f"sqlite:///{folder}/store.sqlite3")
    try:
        await store.write(together([collector_heartbeats(), *parts]))
        monitor = Monitor(settings(folder, quorum=quorum), store, lambda: NOW)
        # However slow this machine is now, each change is looked at.
        with patch("collector.detection.monitor.CHEAP_SECONDS", inf):
            before = await monitor.detections()
            if not later:
                return before
            for one in later:
                await store.write(one)
            monitor.touch()
            return await monitor.detections()
    finally:
        await store.close()


def detect(
    folder: Path,
    parts: Iterable[Iterable[Operation[None]]],
    *later: Operation[None],
    quorum: int = 3,
) -> Detections:
    return asyncio.run(detections(folder, parts, *later, quorum=quorum))


def kinds(found: Detections) -> list[tuple[str, str, int, bool]]:
    return sorted((e.kind, e.country, e.asn, e.ended_at is None) for e in found.events)


SHUTDOWN = (NOW - 7200.0, NOW + 1.0)


def test_a_quiet_week_has_no_event(tmp_path: Path) -> None:
    found = detect(tmp_path, [*probes(TELECOM, 4), *probes(MOBILE, 4)])
    assert (found.events, found.unconfirmed, found.too_few) == ((), (), {})


def test_an_outage_of_one_network_is_unconfirmed(tmp_path: Path) -> None:
    found = detect(
        tmp_path, [*probes(TELECOM, 5, SHUTDOWN), *probes(MOBILE, 5), *probes(ABROAD, 1)]
    )
    assert found.events == ()
    (outage,) = found.unconfirmed
    assert (outage.country, outage.asn, outage.probes) == ("KZ", 9198, 5)
    assert SHUTDOWN[0] < outage.started_at <= SHUTDOWN[0] + 900
    assert found.too_few == {("DE", 3320): 1}


def test_outages_of_two_networks_are_a_shutdown_if_a_probe_abroad_is_seen(tmp_path: Path) -> None:
    def both() -> list[Iterable[Operation[None]]]:
        return [*probes(TELECOM, 4, SHUTDOWN), *probes(MOBILE, 4, SHUTDOWN)]

    assert detect(tmp_path / "a", both()).events == ()  # the collector's own line may have broken
    found = detect(tmp_path / "b", [*both(), *probes(ABROAD, 1)])
    assert kinds(found) == [("shutdown", "KZ", asn, True) for asn in (0, 9198, 29355)]
    assert all("another_network" in event.sources for event in found.events)


def test_reports_that_probes_were_cut_off_confirm_an_outage(
    tmp_path: Path,
) -> None:
    over = (NOW - 7200.0, NOW - 3600.0)
    back = [
        heartbeats.record_heartbeat(
            f"KZ9198-{n}", NOW - 1, TELECOM, [UnheardPeriod(*over, TELECOM, cut=True)]
        )
        for n in range(2)
    ]
    found = detect(tmp_path, probes(TELECOM, 5, over), *back)
    events = [event for event in found.events if event.asn == 9198]
    assert [(e.kind, e.sources) for e in events] == [("shutdown", ("silence", "spool"))]
    assert abs(events[0].started_at - over[0]) <= HEARTBEAT
    assert events[0].ended_at is not None
    assert abs(events[0].ended_at - over[1]) <= 900


def laptops(count: int) -> list[Iterable[Operation[None]]]:
    """On for some hours of each evening, so that an outage is within their habits."""
    now = [(NOW - 7200.0, NOW - 5400.0), (NOW - 1800.0, NOW)]
    on = [(NOW - n * DAY - 5 * 3600.0, NOW - n * DAY - 3600.0) for n in range(1, 4)]

    def off(at: float) -> bool:
        return not any(a <= at < b for a, b in [*on, *now])

    edges = sorted({NOW - 4 * DAY, *(edge for span in [*on, *now] for edge in span), NOW})
    cuts = [(a, b) for a, b in pairwise(edges) if off((a + b) / 2)]
    return [probe_heartbeats(f"laptop{n}", TELECOM, cuts, days=4.0) for n in range(count)]


def test_reports_of_three_laptops_make_a_shutdown_without_an_outage(tmp_path: Path) -> None:
    over = (NOW - 5400.0, NOW - 1800.0)
    found = detect(tmp_path / "silent", laptops(3))
    assert (found.events, found.unconfirmed) == ((), ())
    back = [
        heartbeats.record_heartbeat(
            f"laptop{n}", NOW - 1, TELECOM, [UnheardPeriod(*over, TELECOM, cut=True)]
        )
        for n in range(3)
    ]
    found = detect(tmp_path / "reported", laptops(3), *back)
    events = [event for event in found.events if event.asn == 9198]
    assert [(e.kind, e.sources, e.probes) for e in events] == [("shutdown", ("spool",), 3)]
    assert abs(events[0].started_at - over[0]) <= HEARTBEAT
    assert events[0].ended_at is not None
    assert abs(events[0].ended_at - over[1]) <= HEARTBEAT


def test_one_report_confirms_nothing(tmp_path: Path) -> None:
    over = (NOW - 7200.0, NOW - 3600.0)
    back = heartbeats.record_heartbeat(
        "KZ9198-0", NOW - 1, TELECOM, [UnheardPeriod(*over, TELECOM, cut=True)]
    )
    assert detect(tmp_path, probes(TELECOM, 5, over), back).events == ()


def test_an_outage_is_refuted_by_probes_that_missed_only_the_collector(tmp_path: Path) -> None:
    over = (NOW - 7200.0, NOW - 3600.0)
    back = [
        heartbeats.record_heartbeat(
            f"KZ9198-{n}", NOW - 1, TELECOM, [UnheardPeriod(*over, TELECOM, cut=False)]
        )
        for n in range(4)
    ]
    found = detect(tmp_path, probes(TELECOM, 5, over), *back)
    assert (found.events, found.unconfirmed) == ((), ())


def test_networks_with_fewer_than_three_probes_are_listed(tmp_path: Path) -> None:
    found = detect(tmp_path, [*probes(TELECOM, 2, SHUTDOWN), *probes(MOBILE, 2)])
    assert (found.events, found.unconfirmed) == ((), ())
    assert found.too_few == {("KZ", 29355): 2}


def test_there_is_no_outage_while_the_collector_was_down(tmp_path: Path) -> None:
    """The collector was down for two hours, so the heartbeats of every network stop at once."""

    async def scenario() -> Detections:
        store = await open_store(f"sqlite:///{tmp_path}/store.sqlite3")
        try:
            down = (NOW - 7200.0, NOW - 600.0)
            parts = [*probes(TELECOM, 5, down), *probes(MOBILE, 5, down), *probes(ABROAD, 2, down)]
            own = [
                collector_heartbeats(down[0]),
                iter(
                    [
                        heartbeats.record_collector_heartbeat(NOW - 300),
                        heartbeats.record_collector_heartbeat(NOW - 1),
                    ]
                ),
            ]
            await store.write(together([*own, *parts]))
            return await Monitor(settings(tmp_path), store, lambda: NOW).detections()
        finally:
            await store.close()

    found = asyncio.run(scenario())
    assert (found.events, found.unconfirmed) == ((), ())


# --- throttling and connectivity ------------------------------------------------------------------


def measured(*points: dict[str, object]) -> Operation[None]:
    usual: dict[str, object] = {
        "experiment": "throttle",
        "target": "t.example",
        "country": "KZ",
        "asn": 9198,
        "outcome": "ok",
        "mechanisms": "",
        "rate_target": None,
        "rate_reference": None,
        "foreign_alive": None,
        "domestic_alive": None,
    }
    rows = [{**usual, "id": str(n), **point} for n, point in enumerate(points)]
    for row in rows:
        yield from invited(str(row["key_id"]))
    yield Execute("series_add", rows)


def shown(found: Detections) -> list[tuple[str, str, tuple[str, ...], bool]]:
    return [(e.kind, e.target, e.sources, e.ended_at is None) for e in found.events]


def slow(key: str, minutes_ago: float, ratio: float = 0.1) -> dict[str, object]:
    return {
        "key_id": key,
        "at": NOW - minutes_ago * 60,
        "outcome": "throttled" if ratio < 1 / 3 else "ok",
        "rate_target": 1e6 * ratio,
        "rate_reference": 1e6,
    }


def test_two_probes_that_both_confirmed_make_an_event(tmp_path: Path) -> None:
    twice = [slow("a", 200), slow("a", 150), slow("b", 100), slow("b", 60)]
    found = detect(tmp_path / "two", [], measured(*twice))
    assert shown(found) == [("throttling", "t.example", ("confirmed",), True)]
    assert found.events[0].started_at == NOW - 60 * 60
    once = [slow("a", 200), slow("b", 100)]
    assert detect(tmp_path / "once", [], measured(*once)).events == ()
    alone = [slow("a", 200), slow("a", 150)]
    assert detect(tmp_path / "alone", [], measured(*alone)).events == ()
    assert len(detect(tmp_path / "lab", [], measured(*alone), quorum=1).events) == 1


def test_two_probes_among_four_that_find_it_fast_are_no_event(tmp_path: Path) -> None:
    twice = [slow("a", 200), slow("a", 150), slow("b", 100), slow("b", 60)]
    others = [slow(key, 120, ratio=1.0) for key in "cdef"]
    assert detect(tmp_path / "six", [], measured(*twice, *others)).events == ()
    # One that measured it last week does not count against it.
    old = [slow("c", 7 * 24 * 60, ratio=1.0)]
    assert len(detect(tmp_path / "three", [], measured(*twice, *old)).events) == 1


def test_an_event_ends_when_its_probes_find_the_target_fast(tmp_path: Path) -> None:
    points = [slow("a", 200), slow("a", 150), slow("b", 190), slow("b", 140)]
    fast = [slow(key, 10, ratio=1.0) for key in "ab"]
    (event,) = detect(tmp_path, [], measured(*points, *fast)).events
    assert event.ended_at == NOW - 600


def weeks(key: str, experiment: str, *, fall: float) -> list[dict[str, object]]:
    """Four tests a day for four weeks; three days ago the rate fell."""
    dice = random.Random(key)
    found = []
    for step in range(28 * 4):
        at = NOW - 28 * DAY + step * DAY / 4
        factor = fall if at > NOW - 3 * DAY else 1.0
        rate = 2e6 * factor * dice.lognormvariate(0, 0.2)
        point = {"key_id": key, "experiment": experiment, "at": at, "rate_reference": rate}
        found.append({**point, "id": f"{key}{step}", "target": "unlisted"})
    return found


def test_a_line_that_fell_at_two_probes_is_throttling_without_a_target(tmp_path: Path) -> None:
    points = [*weeks("a", "speed", fall=0.1), *weeks("b", "speed", fall=0.1)]
    found = detect(tmp_path / "both", [], measured(*points))
    assert shown(found) == [("throttling", "", ("fallen",), True)]
    assert NOW - 3 * DAY < found.events[0].started_at < NOW - DAY
    points = [*weeks("a", "speed", fall=0.1), *weeks("b", "speed", fall=1.0)]
    assert detect(tmp_path / "one", [], measured(*points)).events == ()


def cut(key: str, mechanism: str, minutes_ago: float = 10) -> dict[str, object]:
    return {
        "key_id": key,
        "experiment": "connectivity",
        "target": "unlisted",
        "at": NOW - minutes_ago * 60,
        "outcome": "blocked",
        "mechanisms": mechanism,
    }


def test_connectivity_measurements_confirm_an_outage(tmp_path: Path) -> None:
    rows = [{**cut(f"KZ9198-{n}", "access.whitelist", 90), "id": str(n)} for n in range(2)]
    found = detect(tmp_path, probes(TELECOM, 5, SHUTDOWN), measured(*rows))
    events = [event for event in found.events if event.asn == 9198]
    assert [event.sources for event in events] == [("silence", "connectivity")]


def test_a_shutdown_that_excluded_keys_reported_is_none(tmp_path: Path) -> None:
    over = (NOW - 5400.0, NOW - 1800.0)
    back = [
        heartbeats.record_heartbeat(
            f"laptop{n}", NOW - 1, TELECOM, [UnheardPeriod(*over, TELECOM, cut=True)]
        )
        for n in range(3)
    ]
    aside = exclusions.exclude("laptop1", since=NOW - DAY, reason="made up", at=NOW)
    assert len(detect(tmp_path / "told", laptops(3), *back).events) == 2
    assert detect(tmp_path / "excluded", laptops(3), *back, dropped(aside)).events == ()


def dropped(operation: Operation[object]) -> Operation[None]:
    yield from operation


def test_an_outage_of_excluded_keys_is_taken_back(tmp_path: Path) -> None:
    """Also one that was detected before they were excluded."""
    aside = [
        dropped(exclusions.exclude(f"KZ9198-{n}", since=NOW - DAY, reason="made up", at=NOW))
        for n in range(3)
    ]
    found = detect(tmp_path / "told", [*probes(TELECOM, 5, SHUTDOWN), *probes(MOBILE, 5)])
    assert len(found.unconfirmed) == 1
    parts = [*probes(TELECOM, 5, SHUTDOWN), *probes(MOBILE, 5)]
    assert detect(tmp_path / "excluded", parts, *aside).unconfirmed == ()


def test_heartbeats_of_an_erased_key_are_deleted(tmp_path: Path) -> None:
    async def scenario() -> int:
        store = await open_store(f"sqlite:///{tmp_path}/store.sqlite3")
        try:
            key = Key("k", b"x" * 32, "probe")
            await store.write(keys.enrol(key, None, needs_invite=False, at=NOW))
            await store.write(heartbeats.record_heartbeat("k", NOW, TELECOM, ()))
            await store.write(measured({"key_id": "k", "at": NOW}))
            await store.write(keys.erase("k", 0.0))
            return len(await store.read(heartbeats.heartbeats_since(0)))
        finally:
            await store.close()

    assert asyncio.run(scenario()) == 0


def test_heartbeats_are_kept_for_five_weeks(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        store = await open_store(f"sqlite:///{tmp_path}/store.sqlite3")
        try:
            for at in (NOW - 36 * DAY, NOW - 34 * DAY):
                await store.write(heartbeats.record_heartbeat("k", at, TELECOM, ()))
            await store.write(heartbeats.retire(NOW))
            return [beat.hour for beat in await store.read(heartbeats.heartbeats_since(0))]
        finally:
            await store.close()

    assert asyncio.run(scenario()) == [int((NOW - 34 * DAY) // 3600)]


def test_an_outage_is_found_after_a_clock_that_was_ahead(tmp_path: Path) -> None:
    """The clock shows some hours more for a while; the alarm may not wait until it is that late."""
    began = NOW - 2400
    before, after = (began, NOW + DAY), (0.0, began)
    clock = [began]

    async def scenario() -> Detections:
        store: Store = await open_store(f"sqlite:///{tmp_path}/store.sqlite3")
        try:
            monitor = Monitor(settings(tmp_path, quorum=3), store, lambda: clock[0])
            silent = [*probes(TELECOM, 5, before), *probes(MOBILE, 5, before)]
            others = [collector_heartbeats(began), *probes(ABROAD, 2, before)]
            await store.write(together([*silent, *others]))
            await monitor.detections()
            clock[0] = NOW + 4 * 3600
            await monitor.detections()
            own = (heartbeats.record_collector_heartbeat(began + n * 300) for n in range(9))
            await store.write(together([own, *probes(ABROAD, 2, after)]))
            clock[0] = NOW
            monitor.touch()
            return await monitor.detections()
        finally:
            await store.close()

    found = asyncio.run(scenario())
    assert {event.asn for event in found.events if event.kind == "shutdown"} >= {9198, 29355}
