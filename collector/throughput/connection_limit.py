"""Limit the number of connections, and the time until the first request.

Rule: aiohttp closes idle connections only after their first request. Here a connection that has not
sent a whole request head in time is closed, and one over the limit is closed at once.
"""

import asyncio
from collections.abc import Callable

HEAD_SECONDS = 15.0
_HEAD_END = b"\r\n\r\n"


class ConnectionLimiter:
    """A protocol factory that limits the connections of another one."""

    def __init__(self, inner: Callable[[], asyncio.Protocol], limit: int) -> None:
        self._inner = inner
        self._limit = limit
        self.connections = 0

    def __call__(self) -> asyncio.Protocol:
        return _LimitedConnection(self, self._inner())

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self.connections >= self._limit


class _LimitedConnection(asyncio.Protocol):
    """One connection: forwards everything, and closes if the first head takes too long."""

    def __init__(self, limiter: ConnectionLimiter, inner: asyncio.Protocol) -> None:
        self._limiter = limiter
        self._inner = inner
        self._accepted = False
        self._tail: bytes | None = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._limiter.full and isinstance(transport, asyncio.WriteTransport):
            transport.abort()
            return
        self._limiter.connections += 1
        self._accepted = True
        self._timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, transport.close)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._accepted:
            return
        if self._tail is not None:
            self._scan_head(data)
        self._inner.data_received(data)

    def _scan_head(self, data: bytes) -> None:
        seen = (self._tail or b"") + data
        if _HEAD_END in seen:
            self._tail = None
            self._stop()
        else:
            self._tail = seen[-len(_HEAD_END) :]

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._accepted else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        if self._accepted:
            self._accepted = False
            self._limiter.connections -= 1
            self._inner.connection_lost(exc)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
