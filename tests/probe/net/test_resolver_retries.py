"""A dropped resolver is asked again beside the targets, never for one of them."""

import asyncio
from collections.abc import Iterable

from probe.experiments.interface import Resolver
from probe.net.resolver_pool import ResolverPool
from probe.net.resolver_retries import PAUSES, ResolverRetries

DOH = Resolver("1.1.1.1", "1.1.1.1", 443, "doh", "one.one.one.one")


class Retried:
    """Retries of a dropped resolver whose pauses take no time, and what happened."""

    def __init__(self, answers: Iterable[bool]) -> None:
        self.answers = iter(answers)
        self.pauses: list[float] = []
        self.asked = 0
        self.pool = ResolverPool((), (DOH,))
        self.retries = ResolverRetries(self.pool, self.pause)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def ask(self) -> bool:
        self.asked += 1
        answer = next(self.answers, None)
        if answer is None:
            await asyncio.Event().wait()
        return bool(answer)

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.pool.note(DOH, answered=False)
            self.retries.follow(DOH, self.ask)


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def test_a_resolver_is_retried_only_once_it_was_dropped() -> None:
    async def scenario() -> Retried:
        retried = Retried([True])
        retried.fail(2)
        await settle()
        assert retried.asked == 0
        retried.fail(1)
        await settle()
        return retried

    retried = asyncio.run(scenario())
    assert retried.asked == 1
    assert DOH in retried.pool.resolvers


def test_many_failures_at_once_are_one_retry_with_growing_pauses() -> None:
    async def scenario() -> Retried:
        retried = Retried([False] * 5)
        retried.fail(40)
        await settle()
        await retried.retries.close()
        return retried

    retried = asyncio.run(scenario())
    assert retried.asked == 6  # the last one was under way when the session ended
    assert retried.pauses == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    assert DOH not in retried.pool.resolvers


def test_a_resolver_that_answered_a_retry_is_retried_again_when_it_is_dropped_again() -> None:
    async def scenario() -> Retried:
        retried = Retried([True, True])
        retried.fail(3)
        await settle()
        retried.fail(3)
        await settle()
        return retried

    assert asyncio.run(scenario()).asked == 2
