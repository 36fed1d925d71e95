"""After a clock that was ahead was put right, nothing waits until the time that it showed."""

import asyncio

from collector.store import Operation, Store, clock_ahead, heartbeats, keys, open_store
from collector.store.interface import Execute
from collector.store.keys import Key, ProbeNetwork
from tests.collector.harness import select

DAY = 86_400.0
NOW = 1_795_600_000.0
HERE = ProbeNetwork("KZ", 9198)
# A month, and to the year 2099.
JUMPS = (30 * DAY, 73 * 365 * DAY)


async def live_until(store: Store, at: float) -> None:
    """What is written at a time by the collector's clock."""
    key = Key("k", b"x" * 32, "probe")
    await store.write(keys.enrol(key, None, needs_invite=False, at=at))
    await store.write(heartbeats.record_heartbeat("k", at, HERE, ()))
    assert await store.write(keys.take_lease("metrics", "a", now=at, seconds=60))
    await store.write(conduct(at))


def conduct(at: float) -> Operation[None]:
    sums = {"key_id": "k", "voted": 1, "compared": 1, "agreed": 1}
    days = [{**sums, "day": int(when // DAY)} for when in (NOW, at)]
    yield Execute("conduct_put", days)


def test_leases_keys_and_days_of_the_future_are_taken_back(any_store: str) -> None:
    async def scenario() -> None:
        store = await open_store(any_store)
        try:
            await live_until(store, NOW + JUMPS[1])
            await store.write(clock_ahead.take_back(NOW))
            assert await store.write(keys.take_lease("metrics", "b", now=NOW, seconds=60))
            moved = ProbeNetwork("DE", 1)
            await store.write(heartbeats.record_heartbeat("k", NOW + 7200, moved, ()))
            (probe,) = await store.read(select("active_probes", since=0))
            # The network is the new one, and the key is not active for ever.
            assert (probe[0], NOW <= probe[4] <= NOW + 7200) == ("DE", True)
            (row,) = await store.read(select("conduct_last"))
            assert row[0] == int(NOW // DAY)
        finally:
            await store.close()

    asyncio.run(scenario())


def test_a_collector_that_is_a_little_ahead_is_left_alone(any_store: str) -> None:
    async def scenario() -> None:
        store = await open_store(any_store)
        try:
            await live_until(store, NOW + 60)
            await store.write(clock_ahead.take_back(NOW))
            assert not await store.write(keys.take_lease("metrics", "b", now=NOW, seconds=60))
        finally:
            await store.close()

    asyncio.run(scenario())


def test_heartbeats_are_not_deleted_by_a_clock_that_is_ahead(any_store: str) -> None:
    async def scenario() -> tuple[int, int]:
        store = await open_store(any_store)
        try:
            for hour in range(48):
                own = heartbeats.record_collector_heartbeat(NOW - hour * 3600)
                await store.write(own)
                await store.write(heartbeats.record_heartbeat("k", NOW - hour * 3600, HERE, ()))
            for jump in JUMPS:
                later = NOW + jump + 10 * DAY
                await store.write(heartbeats.record_collector_heartbeat(later))
                await store.write(heartbeats.retire(await store.read(heartbeats.settled(later))))
            kept = await store.read(heartbeats.heartbeats_since(0, NOW + 3600))
            # With a day of it, it is the time.
            for hour in range(25):
                await store.write(heartbeats.record_collector_heartbeat(later + hour * 3600))
            await store.write(heartbeats.retire(await store.read(heartbeats.settled(later))))
            left = await store.read(heartbeats.heartbeats_since(0, NOW + 3600))
            return len(kept), len(left)
        finally:
            await store.close()

    assert asyncio.run(scenario()) == (96, 0)


def test_a_clock_is_doubted_when_nothing_bears_it_out(any_store: str) -> None:
    async def scenario() -> list[float | None]:
        store = await open_store(any_store)

        async def doubted(at: float) -> float | None:
            return await store.read(clock_ahead.doubtful_since(at))

        try:
            found = [await doubted(NOW)]  # an empty store: nothing can be deleted
            key = Key("k", b"x" * 32, "probe")
            await store.write(keys.enrol(key, None, needs_invite=False, at=NOW))
            await store.write(heartbeats.record_heartbeat("k", NOW, HERE, ()))
            found += [await doubted(NOW + DAY), await doubted(NOW + JUMPS[1])]
            # The collector goes on for an hour with that clock: it is no witness of itself.
            for at in range(0, 3600, 240):
                beat = heartbeats.record_collector_heartbeat(NOW + JUMPS[1] + at)
                await store.write(beat)
            found.append(await doubted(NOW + JUMPS[1] + 3600))
            # No probe sends anything for a month, while the collector serves.
            for hour in range(-26, 1):
                own = heartbeats.record_collector_heartbeat(NOW + JUMPS[0] + hour * 3600)
                await store.write(own)
            found.append(await doubted(NOW + JUMPS[0]))
            return found
        finally:
            await store.close()

    hour = NOW // 3600 * 3600
    assert asyncio.run(scenario()) == [None, None, hour, hour, None]
