"""Who loads the line, one at a time, and when."""

import asyncio
import time

from probe.runner.exclusive_line import ExclusiveLine


def test_a_turn_is_told_to_what_was_timed_meanwhile() -> None:
    async def story() -> None:
        turns = ExclusiveLine()
        before = time.monotonic()
        assert turns.between(before, before + 1) == ()
        async with turns.taken():
            await asyncio.sleep(0.02)
            now = time.monotonic()
            (span,) = turns.between(before, now)
            assert 0 <= span.since < span.until <= now - before + 0.001
        after = time.monotonic()
        assert len(turns.between(before, after)) == 1
        assert turns.between(after, after + 1) == ()

    asyncio.run(story())


def test_turns_do_not_overlap() -> None:
    async def story() -> list[str]:
        turns, said = ExclusiveLine(), []

        async def one(name: str) -> None:
            async with turns.taken():
                said.append(f"{name} begins")
                await asyncio.sleep(0)
                said.append(f"{name} ends")

        await asyncio.gather(one("a"), one("b"))
        return said

    assert asyncio.run(story()) == ["a begins", "a ends", "b begins", "b ends"]
