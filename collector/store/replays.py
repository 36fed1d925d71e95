"""Signed requests that were carried out, so that none is carried out twice.

Rule: a request is marked in the transaction that carries it out. What failed is not marked, and
the same bytes may be sent again; what succeeded is refused whichever collector of the store it is
sent to, and after a restart too.
"""

from collector.store.interface import Execute, Operation, Query

# A request is carried out if its time of signing is within so many seconds of the collector's time.
WINDOW = 300.0
# Marks are kept for longer, in case the collector's clock is put back.
KEPT_SECONDS = 4 * WINDOW
_FOR_EVER = 2**62


class Replayed(Exception):  # noqa: N818 - a state of the request
    """The request was carried out before."""


def once(mark: bytes, created: int) -> Operation[None]:
    """Mark a request, or raise `Replayed`."""
    if not (yield Query("request_mark", {"mark": mark, "created": created})):
        raise Replayed


def for_ever(mark: bytes) -> Operation[bool]:
    """Mark a request that has no time and so fits for ever; whether it is the first of its kind."""
    return bool((yield Query("request_mark", {"mark": mark, "created": _FOR_EVER})))


def forget(now: float) -> Operation[None]:
    """Delete the marks of requests that would be refused for their age."""
    yield Execute("request_forget", [{"before": int(now - KEPT_SECONDS)}])
