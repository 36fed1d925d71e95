"""Who may hold a connection open: so many at once, and only those who say what they want.

Rule: aiohttp bounds an idle connection after its first request, not before it. Here a connection
that has not sent a whole request head in time is closed, and one too many is closed at once.
"""

import asyncio
from collections.abc import Callable

HEAD_SECONDS = 15.0
_HEAD_END = b"\r\n\r\n"


class ConnectionLimiter:
    """A protocol factory that lets in so many guests of another one."""

    def __init__(self, inner: Callable[[], asyncio.Protocol], limit: int) -> None:
        self._inner = inner
        self._limit = limit
        self.guests = 0

    def __call__(self) -> asyncio.Protocol:
        return _Guest(self, self._inner())

    @property
    def full(self) -> bool:
        """Nobody else may come in."""
        return self.guests >= self._limit


class _Guest(asyncio.Protocol):
    """One connection: passes everything on, and watches the clock until the first head is whole."""

    def __init__(self, keeper: ConnectionLimiter, inner: asyncio.Protocol) -> None:
        self._keeper = keeper
        self._inner = inner
        self._inside = False
        self._tail: bytes | None = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._keeper.full and isinstance(transport, asyncio.WriteTransport):
            transport.abort()
            return
        self._keeper.guests += 1
        self._inside = True
        self._timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, transport.close)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._inside:
            return
        if self._tail is not None:
            self._watch(data)
        self._inner.data_received(data)

    def _watch(self, data: bytes) -> None:
        seen = (self._tail or b"") + data
        if _HEAD_END in seen:
            self._tail = None
            self._stop()
        else:
            self._tail = seen[-len(_HEAD_END) :]

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inside else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        if self._inside:
            self._inside = False
            self._keeper.guests -= 1
            self._inner.connection_lost(exc)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
