import asyncio

import pytest

from collector import result_cache
from collector.result_cache import ResultCache


class Maker:
    """Makes numbers, each after some time on its clock."""

    def __init__(self, cost: float = 0.0) -> None:
        self.now = 0.0
        self.made = 0
        self._cost = cost

    def clock(self) -> float:
        return self.now

    async def make(self) -> int:
        self.made += 1
        await asyncio.sleep(0)
        self.now += self._cost
        return self.made


def test_a_cheap_result_is_made_anew_after_each_write() -> None:
    async def scenario() -> None:
        maker = Maker()
        cache = ResultCache(maker.clock)
        assert [await cache.get("a", revision, maker.make) for revision in (1, 1, 2)] == [1, 1, 2]
        maker.now += result_cache.OLD_SECONDS
        assert await cache.get("a", 2, maker.make) == 3

    asyncio.run(scenario())


def test_an_expensive_result_is_made_once_in_a_few_times_its_duration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.result_cache.CHEAP_SECONDS", 0.25)

    async def scenario() -> None:
        maker = Maker(cost=2.0)
        cache = ResultCache(maker.clock)
        assert await cache.get("a", 1, maker.make) == 1
        maker.now += 9.0
        assert await cache.get("a", 2, maker.make) == 1
        maker.now += 2.0
        assert await cache.get("a", 2, maker.make) == 2

    asyncio.run(scenario())


def test_many_who_ask_at_once_get_one_result() -> None:
    async def scenario() -> None:
        maker = Maker()
        cache = ResultCache(maker.clock)
        found = await asyncio.gather(*(cache.get("a", 1, maker.make) for _ in range(10)))
        assert found == [1] * 10
        assert not cache._making

    asyncio.run(scenario())


def test_a_failure_is_not_kept() -> None:
    async def broken() -> int:
        raise ValueError

    async def scenario() -> None:
        maker = Maker()
        cache = ResultCache(maker.clock)
        outcomes = await asyncio.gather(
            cache.get("a", 1, broken), cache.get("a", 1, maker.make), return_exceptions=True
        )
        assert [type(one) for one in outcomes] == [ValueError, int]
        assert not cache._making

    asyncio.run(scenario())


def test_the_number_of_results_is_limited() -> None:
    async def scenario() -> None:
        maker = Maker()
        cache = ResultCache(maker.clock)
        for key in range(result_cache.RESULTS + 1):
            await cache.get(key, 1, maker.make)
        assert await cache.get(result_cache.RESULTS, 1, maker.make) == result_cache.RESULTS + 1
        assert await cache.get(0, 1, maker.make) == result_cache.RESULTS + 2

    asyncio.run(scenario())
