"""Cursors of lists: where the next page begins, as text.

Rule: a cursor is the key of the last row of a page, so it stays valid while rows come and go. It is
sealed, so that it tells nothing that the rows do not tell.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from collector.api.http import Refused
from collector.service import Service

T = TypeVar("T")
K = TypeVar("K")


def refused() -> Refused:
    """The refusal of a cursor that is none of ours."""
    return Refused(400, "malformed", "cursor: `next` of the page before expected")


def cursor_of(service: Service, key: object) -> str:
    """The key of a row as a cursor."""
    return service.seal.close(msgspec.json.encode(key))


def key_of(service: Service, cursor: str, type_: type[K]) -> K:
    """The key of a row in a cursor.

    Raises:
        Refused: It was not made here, or for another list.
    """
    opened = service.seal.open(cursor)
    if opened is None:
        raise refused()
    try:
        return msgspec.json.decode(opened, type=type_)
    except msgspec.MsgspecError as error:
        raise refused() from error


def part(
    service: Service,
    rows: Sequence[T],
    key: Callable[[T], K],
    type_: type[K],
    *,
    cursor: str | None,
    limit: int | None,
) -> tuple[list[T], str | None]:
    """A page of rows that are sorted by `key`, and the cursor of the next one."""
    after = None if cursor is None else key_of(service, cursor, type_)
    left = [row for row in rows if after is None or key(row) > after]  # type: ignore[operator]
    shown = left if limit is None else left[:limit]
    return shown, cursor_of(service, key(shown[-1])) if len(shown) < len(left) else None
