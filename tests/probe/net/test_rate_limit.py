"""Limits in all and per key, and the spacing of starts."""

import asyncio
from collections import Counter
from time import monotonic

from probe.net.concurrency import AdaptiveConcurrency
from probe.net.rate_limit import RateLimiter


def run_visits(
    limiter: RateLimiter, keys: list[str], stay: float = 0.01
) -> tuple[int, int, list[float]]:
    """The maximum in all, the maximum per key, and the start times."""
    inside: Counter[str] = Counter()
    most, most_per_key, starts = 0, 0, []

    async def visit(key: str) -> None:
        nonlocal most, most_per_key
        async with limiter.enter(key):
            starts.append(monotonic())
            inside[key] += 1
            most = max(most, inside.total())
            most_per_key = max(most_per_key, inside[key])
            await asyncio.sleep(stay)
            inside[key] -= 1

    async def run_all() -> None:
        await asyncio.gather(*(visit(key) for key in keys))

    asyncio.run(run_all())
    return most, most_per_key, starts


def test_the_total_and_the_number_per_key_are_limited() -> None:
    keys = [f"p{number % 10}" for number in range(60)] + ["p0"] * 9
    most, most_per_key, starts = run_visits(RateLimiter(AdaptiveConcurrency(8), each=2), keys)
    assert (most, most_per_key, len(starts)) == (8, 2, 69)


def test_waiting_for_a_busy_key_uses_no_slot() -> None:
    begun: list[str] = []

    async def scenario() -> None:
        limiter, free_is_in = RateLimiter(AdaptiveConcurrency(4), each=1), asyncio.Event()

        async def visit(name: str) -> None:
            async with limiter.enter(name):
                begun.append(name)
                if name == "free":
                    free_is_in.set()
                await asyncio.wait_for(free_is_in.wait(), 30)

        await asyncio.gather(*(visit(name) for name in ["busy"] * 5 + ["free"]))

    asyncio.run(scenario())
    assert begun == ["busy", "free"] + ["busy"] * 4


def test_starts_are_spaced() -> None:
    _, _, starts = run_visits(
        RateLimiter(AdaptiveConcurrency(64), spacing=0.02),
        [f"p{number}" for number in range(6)],
        stay=0,
    )
    assert max(starts) - min(starts) >= 0.09
    _, _, starts = run_visits(
        RateLimiter(AdaptiveConcurrency(64), each=9, each_spacing=0.02), ["one"] * 6, stay=0
    )
    assert max(starts) - min(starts) >= 0.09
    _, _, starts = run_visits(
        RateLimiter(AdaptiveConcurrency(64), each_spacing=0.5),
        [f"p{number}" for number in range(6)],
        stay=0,
    )
    assert max(starts) - min(starts) < 0.2


def test_idle_keys_are_dropped() -> None:
    limiter = RateLimiter(AdaptiveConcurrency(64))
    run_visits(limiter, [f"p{number}" for number in range(1500)], stay=0)
    assert len(limiter._states) <= 1500
    run_visits(limiter, ["one more"], stay=0)
    assert len(limiter._states) <= 1025


def test_the_limit_follows_the_adaptive_concurrency() -> None:
    concurrency = AdaptiveConcurrency(64)
    limiter = RateLimiter(concurrency)
    names = [f"p{number}" for number in range(100)]
    assert run_visits(limiter, names)[0] == 8
    for _ in range(80):
        concurrency.note(0.05)
    assert run_visits(limiter, names)[0] == 64
    for _ in range(80):
        concurrency.note(2.0)
    assert run_visits(limiter, names)[0] == 4


def test_a_cancelled_waiter_takes_no_slot() -> None:
    async def cancel_two() -> list[str]:
        limiter = RateLimiter(AdaptiveConcurrency(1))
        begun = {name: asyncio.Event() for name in "abcd"}
        done: list[str] = []
        leave = asyncio.Event()

        async def visit(name: str) -> None:
            async with limiter.enter(name):
                begun[name].set()
                await (asyncio.sleep(60) if name == "c" else leave.wait())
                done.append(name)

        tasks = [asyncio.ensure_future(visit(name)) for name in begun]
        async with asyncio.timeout(30):
            await begun["a"].wait()
            tasks[1].cancel()  # it waits for its slot
            leave.set()
            await begun["c"].wait()
            tasks[2].cancel()  # it has its slot
            await asyncio.wait(tasks)
        assert not begun["b"].is_set()
        return done

    assert asyncio.run(cancel_two()) == ["a", "d"]


def test_silent_connections_do_not_hold_up_others() -> None:
    async def enter_many(most: int) -> int:
        concurrency = AdaptiveConcurrency(most, first=2)
        concurrency._usual = -0.49  # silent after 0.02 s
        limiter = RateLimiter(concurrency)
        entered: list[int] = []
        full = asyncio.Event()

        async def visit(number: int) -> None:
            async with limiter.enter(f"p{number}"):
                entered.append(number)
                if len(entered) == min(most, 12):
                    full.set()
                await asyncio.Event().wait()

        tasks = [asyncio.ensure_future(visit(number)) for number in range(12)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(entered) == 2
        await full.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (limiter._all._inside, limiter._all._counted) == (0, 0)
        return len(entered)

    assert asyncio.run(enter_many(64)) == 12
    assert asyncio.run(enter_many(8)) == 8
