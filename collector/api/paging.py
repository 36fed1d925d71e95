"""Cursors of lists: where the next page begins, as text.

Rule: a cursor is the key of the last row of a page, so it stays valid while rows come and go. It
tells nothing that the rows do not tell.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from collector.api.http import Refused
from collector.service import Service

T = TypeVar("T")
K = TypeVar("K", bound=tuple[object, ...])


def refused() -> Refused:
    """The refusal of a cursor that is none of ours."""
    return Refused(400, "malformed", "cursor: `next` of the page before expected")


def of_number(service: Service, number: int | None) -> str | None:
    """A record's number as a cursor that does not tell it."""
    return None if number is None else service.seal.close(number)


def number_of(service: Service, cursor: str | None) -> int | None:
    """The number of a record in a cursor.

    Raises:
        Refused: It was not made here.
    """
    if cursor is None:
        return None
    number = service.seal.open(cursor)
    if number is None:
        raise refused()
    return number


def of_key(key: Sequence[object]) -> str:
    """The key of a row as a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def key_of(cursor: str, type_: type[K]) -> K:
    """The key of a row in a cursor.

    Raises:
        Refused: It is no such key.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(text, type=type_)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise refused() from error


def part(
    rows: Sequence[T],
    key: Callable[[T], K],
    type_: type[K],
    *,
    cursor: str | None,
    limit: int | None,
) -> tuple[list[T], str | None]:
    """A page of rows that are sorted by `key`, and the cursor of the next one."""
    after = None if cursor is None else key_of(cursor, type_)
    left = [row for row in rows if after is None or key(row) > after]
    shown = left if limit is None else left[:limit]
    return shown, of_key(key(shown[-1])) if len(shown) < len(left) else None
