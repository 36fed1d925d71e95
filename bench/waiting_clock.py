"""A clock that stands still while the program computes, and jumps to the next timer."""

import asyncio
import selectors


class Clock:
    """Virtual seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        """In place of `time.monotonic`."""
        return self.now


CLOCK = Clock()


class _JumpingSelector(selectors.SelectSelector):
    """Nothing is awaited but timers: instead of sleeping, the clock is put forward."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or not timeout:
            return ready if timeout is not None else ready or super().select(None)
        CLOCK.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on that clock."""

    def __init__(self) -> None:
        super().__init__(_JumpingSelector())

    def time(self) -> float:
        return CLOCK.now
