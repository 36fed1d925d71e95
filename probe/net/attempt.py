"""Await one network operation: the only module that turns exceptions into data.

Failures are classified by type, errno and OpenSSL's reason symbols, never by message text. Errors
that the network does not cause (a bug, no more file descriptors) propagate.
"""

import asyncio
import errno as codes
import ssl
from collections.abc import Awaitable
from time import monotonic
from typing import Generic, TypeVar

from msgspec import Struct

from probe.failure import Failure

T = TypeVar("T")


class NetworkEvent(Exception):  # noqa: N818 - an event, not an error of ours
    """An event that Python has no exception for: a FIN, a certificate that does not verify."""

    def __init__(self, failure: Failure, detail: str | None = None) -> None:
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail


class Attempt(Struct, Generic[T], frozen=True):
    """The result of one operation.

    Attributes:
        value: What it returned, or None if it failed.
        detail: A short symbol (never an address or a message) where `failure` is not specific.
        errno: The system's error number, if there was one.
        elapsed: Seconds.
    """

    value: T | None
    failure: Failure | None
    detail: str | None
    errno: int | None
    elapsed: float


_BY_NAME = {
    "ECONNREFUSED": Failure.REFUSED,
    "ECONNRESET": Failure.RESET,
    "ECONNABORTED": Failure.ABORTED,
    "ETIMEDOUT": Failure.TIMEOUT,
    # A reset that follows a FIN is reported as a broken pipe: the FIN came first.
    "EPIPE": Failure.EOF,
    "ESHUTDOWN": Failure.EOF,
    "EHOSTUNREACH": Failure.HOST_UNREACHABLE,
    "EHOSTDOWN": Failure.HOST_UNREACHABLE,
    "ENETUNREACH": Failure.NETWORK_UNREACHABLE,
    # No source address of this family, so no route.
    "EADDRNOTAVAIL": Failure.NETWORK_UNREACHABLE,
    "EAFNOSUPPORT": Failure.NETWORK_UNREACHABLE,
    "ENONET": Failure.NETWORK_UNREACHABLE,
    # A link-local address without an interface, or whose interface is gone.
    "ENODEV": Failure.NETWORK_UNREACHABLE,
    "ENXIO": Failure.NETWORK_UNREACHABLE,
    "ENETDOWN": Failure.NETWORK_DOWN,
    "ENETRESET": Failure.RESET,
    # A policy of this machine or the first router; rare, and the errno says which.
    "EACCES": Failure.UNKNOWN,
    "EPERM": Failure.UNKNOWN,
    "EPROTO": Failure.UNKNOWN,
    "ENOPROTOOPT": Failure.UNKNOWN,
    "EMSGSIZE": Failure.UNKNOWN,
    "ENOBUFS": Failure.UNKNOWN,
}
# Windows error numbers without an errno (winerror.h).
_BY_WINERROR = {
    64: Failure.RESET,  # ERROR_NETNAME_DELETED
    121: Failure.TIMEOUT,  # ERROR_SEM_TIMEOUT
    1225: Failure.REFUSED,
    1231: Failure.NETWORK_UNREACHABLE,
    1232: Failure.HOST_UNREACHABLE,
    1234: Failure.REFUSED,  # ERROR_PORT_UNREACHABLE
    1236: Failure.ABORTED,
}
_BY_TYPE: dict[type[OSError], Failure] = {
    ConnectionRefusedError: Failure.REFUSED,
    ConnectionResetError: Failure.RESET,
    ConnectionAbortedError: Failure.ABORTED,
}
_BY_ERRNO = {
    number: failure
    for name, failure in _BY_NAME.items()
    for number in (getattr(codes, name, None), getattr(codes, "WSA" + name, None))
    if number is not None
}


def classify(error: BaseException) -> tuple[Failure, str | None] | None:
    """The failure for an exception and a detail; None if the network did not cause it."""
    if isinstance(error, NetworkEvent):
        return error.failure, error.detail
    if isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError):
        return Failure.EOF, None
    if isinstance(error, ssl.SSLError):
        # OpenSSL's reason is a symbol (`WRONG_VERSION_NUMBER`) without local data, absent in some.
        return Failure.SSL_HANDSHAKE, (getattr(error, "reason", None) or "")[:64] or None
    if isinstance(error, TimeoutError):
        return Failure.TIMEOUT, None
    return _by_number(error) if isinstance(error, OSError) else None


async def attempt(action: Awaitable[T], *, limit: float) -> Attempt[T]:
    """Await `action` for at most `limit` seconds; network errors become a failure."""
    started = monotonic()
    try:
        async with asyncio.timeout(limit):
            value = await action
    except (OSError, NetworkEvent) as error:
        classified = classify(error)
        if classified is None:
            raise
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, ssl.SSLError):
            number = None  # OpenSSL's own numbering
        return Attempt(None, *classified, number, monotonic() - started)
    return Attempt(value, None, None, None, monotonic() - started)


def _by_number(error: OSError) -> tuple[Failure, str | None] | None:
    number = error.errno
    failure = (
        _BY_TYPE.get(type(error))
        or _BY_WINERROR.get(getattr(error, "winerror", None) or 0)
        or _BY_ERRNO.get(number or 0)
    )
    if failure is None:
        return None
    return failure, codes.errorcode.get(number or 0) if failure is Failure.UNKNOWN else None
