"""Turns: so many in all, so few at one place, and a breath between."""

import asyncio
from collections import Counter
from time import monotonic

from probe.net.concurrency import AdaptiveConcurrency
from probe.net.rate_limit import RateLimiter


def crowd(
    limiter: RateLimiter, places: list[str], stay: float = 0.01
) -> tuple[int, int, list[float]]:
    """The most at once in all, the most at once at one place, and when each went in."""
    inside: Counter[str] = Counter()
    most, most_at_one, starts = 0, 0, []

    async def visit(place: str) -> None:
        nonlocal most, most_at_one
        async with limiter.enter(place):
            starts.append(monotonic())
            inside[place] += 1
            most = max(most, inside.total())
            most_at_one = max(most_at_one, inside[place])
            await asyncio.sleep(stay)
            inside[place] -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(visit(place) for place in places))

    asyncio.run(all_of_them())
    return most, most_at_one, starts


def test_so_many_in_all_and_so_few_at_one_place() -> None:
    places = [f"p{number % 10}" for number in range(60)] + ["p0"] * 9
    most, most_at_one, starts = crowd(RateLimiter(AdaptiveConcurrency(8), each=2), places)
    assert (most, most_at_one, len(starts)) == (8, 2, 69)


def test_whoever_waits_for_a_busy_place_holds_up_nobody_else() -> None:
    limiter = RateLimiter(AdaptiveConcurrency(4), each=1)
    started = monotonic()
    _, _, starts = crowd(limiter, ["busy"] * 5 + ["free"], stay=0.05)
    assert len([start for start in starts if start - started < 0.04]) == 2


def test_a_breath_between() -> None:
    _, _, starts = crowd(
        RateLimiter(AdaptiveConcurrency(64), spacing=0.02),
        [f"p{number}" for number in range(6)],
        stay=0,
    )
    assert max(starts) - min(starts) >= 0.09
    _, _, starts = crowd(
        RateLimiter(AdaptiveConcurrency(64), each=9, each_spacing=0.02), ["one"] * 6, stay=0
    )
    assert max(starts) - min(starts) >= 0.09
    _, _, starts = crowd(
        RateLimiter(AdaptiveConcurrency(64), each_spacing=0.5),
        [f"p{number}" for number in range(6)],
        stay=0,
    )
    assert max(starts) - min(starts) < 0.2


def test_old_places_are_forgotten() -> None:
    limiter = RateLimiter(AdaptiveConcurrency(64))
    crowd(limiter, [f"p{number}" for number in range(1500)], stay=0)
    assert len(limiter._states) <= 1500
    crowd(limiter, ["one more"], stay=0)
    assert len(limiter._states) <= 1025


def test_turns_follow_what_the_line_bears() -> None:
    concurrency = AdaptiveConcurrency(64)
    limiter = RateLimiter(concurrency)
    names = [f"p{number}" for number in range(100)]
    assert crowd(limiter, names)[0] == 8
    for _ in range(80):
        concurrency.note(0.05)
    assert crowd(limiter, names)[0] == 64
    for _ in range(80):
        concurrency.note(2.0)
    assert crowd(limiter, names)[0] == 4


def test_who_leaves_while_waiting_takes_no_turn() -> None:
    async def impatient() -> list[str]:
        limiter = RateLimiter(AdaptiveConcurrency(1))
        done: list[str] = []

        async def visit(name: str) -> None:
            async with limiter.enter(name):
                await asyncio.sleep(0.02)
                done.append(name)

        tasks = [asyncio.ensure_future(visit(name)) for name in ("a", "b", "c", "d")]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        await asyncio.sleep(0.015)
        tasks[2].cancel()  # it has its turn by now, or is about to
        await asyncio.wait(tasks)
        return done

    assert asyncio.run(impatient()) == ["a", "d"]
