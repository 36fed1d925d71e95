"""Await one network action and say how it went: the only place where exceptions become data.

Failures are told apart by type, errno and OpenSSL's reason symbols, never by message text. What is
not the network's doing (our own bug, no more file descriptors) is not caught and propagates.
"""

import asyncio
import errno as codes
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from probe.failure import Failure

T = TypeVar("T")


class NetworkEvent(Exception):  # noqa: N818 - not an error of ours: the network's, on its way to data
    """Something the network did that is no exception of Python's own: a FIN, an unproven name."""

    def __init__(self, failure: Failure, detail: str | None = None) -> None:
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """How one action went.

    Attributes:
        value: What it gave, or None when it failed.
        detail: A short symbol (never an address or a message) where `failure` says too little.
        errno: What the system said, where it said anything.
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
    # A reset that follows a FIN is reported as a broken pipe: the FIN was the first fact.
    "EPIPE": Failure.EOF,
    "ESHUTDOWN": Failure.EOF,
    "EHOSTUNREACH": Failure.HOST_UNREACHABLE,
    "EHOSTDOWN": Failure.HOST_UNREACHABLE,
    "ENETUNREACH": Failure.NETWORK_UNREACHABLE,
    # No source address of this family: there is no way out for it.
    "EADDRNOTAVAIL": Failure.NETWORK_UNREACHABLE,
    "EAFNOSUPPORT": Failure.NETWORK_UNREACHABLE,
    "ENONET": Failure.NETWORK_UNREACHABLE,
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
# Windows reports some with numbers of its own that have no errno (winerror.h).
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
    """The word for an exception, and a symbol; None when it is not the network's doing."""
    if isinstance(error, NetworkEvent):
        return error.failure, error.detail
    if isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError):
        return Failure.EOF, None
    if isinstance(error, ssl.SSLError):
        return Failure.SSL_HANDSHAKE, _symbol(error)
    if isinstance(error, TimeoutError):
        return Failure.TIMEOUT, None
    return _by_number(error) if isinstance(error, OSError) else None


async def attempt(action: Awaitable[T], *, limit: float) -> Attempt[T]:
    """Await `action` for at most `limit` seconds and say how it went."""
    started = monotonic()
    try:
        async with asyncio.timeout(limit):
            value = await action
    except (OSError, NetworkEvent) as error:
        word = classify(error)
        if word is None:
            raise
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, ssl.SSLError):
            number = None  # OpenSSL's own numbering, no errno
        return Attempt(None, word[0], word[1], number, monotonic() - started)
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


def _symbol(error: ssl.SSLError) -> str | None:
    """OpenSSL's reason as its symbol (`WRONG_VERSION_NUMBER`), which carries nothing local."""
    reason: str | None = getattr(error, "reason", None)  # where OpenSSL has a name for it
    return reason[:64] if reason else None
