"""How a stream waits: the loop watches its socket from one read to the next, and never in vain."""

import asyncio
import selectors
import socket
import struct
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING

import pytest

from probe.net.stream import ByteCounter, Stream, connect

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the loop of Windows watches no sockets"
)

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

Pair = tuple[socket.socket, socket.socket]
Run = Callable[[Coroutine[None, None, None]], None]


class CountingSelector(selectors.DefaultSelector):
    """Counts what costs a system call each."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        self.woken = 0

    def register(
        self, fileobj: "FileDescriptorLike", events: int, data: object = None
    ) -> selectors.SelectorKey:
        self.changes += 1
        return super().register(fileobj, events, data)

    def unregister(self, fileobj: "FileDescriptorLike") -> selectors.SelectorKey:
        self.changes += 1
        return super().unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout)
        self.woken += len(found)
        return found


@pytest.fixture
def selector() -> CountingSelector:
    return CountingSelector()


@pytest.fixture
def run(selector: CountingSelector) -> Run:
    def run(coroutine: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            runner.run(coroutine)

    return run


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    yield ours, theirs
    ours.close()
    theirs.close()


async def _read_while_sending(stream: Stream, theirs: socket.socket, data: bytes) -> bytes:
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0.01)
    theirs.sendall(data)
    return await reading


def test_the_loop_is_told_once_to_watch_however_many_reads_wait(
    run: Run, selector: CountingSelector, pair: Pair
) -> None:
    ours, theirs = pair

    async def go() -> None:
        stream = Stream(ours, ByteCounter())
        before = selector.changes
        for number in range(10):
            assert await _read_while_sending(stream, theirs, b"%d" % number) == b"%d" % number
        assert selector.changes == before + 1
        stream.close()
        assert selector.changes == before + 2

    run(go())


def test_bytes_that_nobody_reads_wake_the_loop_once(
    run: Run, selector: CountingSelector, pair: Pair
) -> None:
    ours, theirs = pair

    async def go() -> None:
        stream = Stream(ours, ByteCounter())
        assert await _read_while_sending(stream, theirs, b"a") == b"a"
        theirs.sendall(b"b")
        before = selector.woken
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert selector.woken == before + 1
        assert await stream.read() == b"b"
        assert await _read_while_sending(stream, theirs, b"c") == b"c"
        stream.close()

    run(go())


def test_a_read_that_was_given_up_leaves_the_next_one_its_bytes(run: Run, pair: Pair) -> None:
    ours, theirs = pair

    async def go() -> None:
        stream = Stream(ours, ByteCounter())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await stream.read()
        theirs.sendall(b"late")
        await asyncio.sleep(0.01)
        assert await stream.read() == b"late"
        stream.close()

    run(go())


def test_what_arrives_in_the_moment_a_read_is_given_up_is_kept(run: Run, pair: Pair) -> None:
    ours, theirs = pair

    async def go() -> None:
        stream = Stream(ours, ByteCounter())
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        theirs.sendall(b"abcdef")
        while not stream._waiting[0].done():  # noqa: ASYNC110 - a future tells only who awaits it
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.read(4) == b"abcd"
        assert await stream.read() == b"ef"
        assert await _read_while_sending(stream, theirs, b"g") == b"g"
        stream.close()

    run(go())


def test_a_reset_ends_a_read_that_waits(run: Run) -> None:
    async def go() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            stream = await connect("127.0.0.1", server.getsockname()[1], ByteCounter())
            theirs, _ = server.accept()
            reading = asyncio.ensure_future(stream.read())
            await asyncio.sleep(0.01)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            with pytest.raises(ConnectionResetError):
                await reading
            stream.close()

    run(go())


def test_a_closed_stream_leaves_its_descriptor_to_the_next(run: Run, pair: Pair) -> None:
    ours, theirs = pair

    async def go() -> None:
        first = Stream(ours, ByteCounter())
        await _read_while_sending(first, theirs, b"a")
        number = ours.fileno()
        first.close()
        again, other = socket.socketpair()
        again.settimeout(0)
        assert again.fileno() == number
        second = Stream(again, ByteCounter())
        assert await _read_while_sending(second, other, b"b") == b"b"
        second.close()
        other.close()

    run(go())
