"""Network exceptions are classified by type and number; other exceptions propagate."""

import asyncio
import errno
import ssl

import pytest

from probe.failure import Failure
from probe.net.attempt import NetworkEvent, attempt, classify


async def raising(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Failure.REFUSED),
        (ConnectionResetError(errno.ECONNRESET, "x"), Failure.RESET),
        (ConnectionAbortedError(errno.ECONNABORTED, "x"), Failure.ABORTED),
        (BrokenPipeError(errno.EPIPE, "x"), Failure.EOF),
        (OSError(errno.EHOSTUNREACH, "x"), Failure.HOST_UNREACHABLE),
        (OSError(errno.ENETUNREACH, "x"), Failure.NETWORK_UNREACHABLE),
        (OSError(errno.EADDRNOTAVAIL, "x"), Failure.NETWORK_UNREACHABLE),
        (OSError(errno.ENETDOWN, "x"), Failure.NETWORK_DOWN),
        (TimeoutError(errno.ETIMEDOUT, "x"), Failure.TIMEOUT),
        (PermissionError(errno.EPERM, "x"), Failure.UNKNOWN),
        (ConnectionResetError(64, "as asyncio raises it on Windows"), Failure.RESET),
        (ssl.SSLZeroReturnError(6, "x"), Failure.EOF),
        (ssl.SSLEOFError(8, "x"), Failure.EOF),
        (ssl.SSLError(1, "x"), Failure.SSL_HANDSHAKE),
        (NetworkEvent(Failure.SSL_AUTHORITY, "why"), Failure.SSL_AUTHORITY),
    ],
)
def test_each_error_is_classified(error: Exception, failure: Failure) -> None:
    done = asyncio.run(attempt(raising(error), limit=1))
    assert (done.value, done.failure) == (None, failure)
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        assert done.errno == error.errno


def test_an_unknown_failure_has_the_errno_symbol() -> None:
    done = asyncio.run(attempt(raising(PermissionError(errno.EPERM, "secret")), limit=1))
    assert done.detail == "EPERM"


def test_a_value_comes_with_its_duration() -> None:
    done = asyncio.run(attempt(asyncio.sleep(0.05, "value"), limit=1))
    assert (done.value, done.failure) == ("value", None)
    assert 0.04 < done.elapsed < 0.5


def test_out_of_time() -> None:
    done = asyncio.run(attempt(asyncio.sleep(5), limit=0.05))
    assert (done.failure, done.errno) == (Failure.TIMEOUT, None)
    assert 0.04 < done.elapsed < 0.5


@pytest.mark.parametrize(
    "bug", [KeyError("x"), AssertionError(), FileNotFoundError(errno.ENOENT, "x"), OSError("x")]
)
def test_our_own_bugs_propagate(bug: Exception) -> None:
    with pytest.raises(type(bug)):
        asyncio.run(attempt(raising(bug), limit=1))


def test_too_many_open_files_is_not_a_network_failure() -> None:
    assert classify(OSError(errno.EMFILE, "x")) is None


def test_cancelling_cancels() -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(attempt(asyncio.sleep(5), limit=5))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
