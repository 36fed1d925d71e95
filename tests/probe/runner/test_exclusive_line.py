"""One experiment loads the line at a time; when it did is remembered."""

import asyncio
import time

from probe.runner.exclusive_line import ExclusiveLine


def test_what_was_measured_meanwhile_is_marked() -> None:
    async def scenario() -> None:
        line = ExclusiveLine()
        before = time.monotonic()
        assert line.between(before, before + 1) == ()
        async with line.taken():
            await asyncio.sleep(0.02)
            now = time.monotonic()
            (span,) = line.between(before, now)
            assert 0 <= span.since < span.until <= now - before + 0.001
        after = time.monotonic()
        assert len(line.between(before, after)) == 1
        assert line.between(after, after + 1) == ()

    asyncio.run(scenario())


def test_the_line_is_held_once_at_a_time() -> None:
    async def scenario() -> list[str]:
        line, log = ExclusiveLine(), []

        async def one(name: str) -> None:
            async with line.taken():
                log.append(f"{name} begins")
                await asyncio.sleep(0)
                log.append(f"{name} ends")

        await asyncio.gather(one("a"), one("b"))
        return log

    assert asyncio.run(scenario()) == ["a begins", "a ends", "b begins", "b ends"]
