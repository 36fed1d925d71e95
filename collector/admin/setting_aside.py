"""Set data aside and take that back: the exclusion, then the counts, page by page.

Rule: what was interrupted is finished by doing the same again.
"""

from collections.abc import Iterable
from typing import NamedTuple

from collector.store import Store, exclusions

REASON_LIMIT = 200


class Moved(NamedTuple):
    """How many keys it concerned, and how many of their records were moved."""

    keys: int
    records: int


def reason_of(text: str) -> str | None:
    """A reason in one line; None when it is empty or too long."""
    line = " ".join(text.split())
    return line if line and len(line) <= REASON_LIMIT and line.isprintable() else None


async def set_aside(
    store: Store, subject: str, *, since: float, reason: str, at: float
) -> Moved | None:
    """Set aside what a key, or every key of a branch, measured since then; None: no such name."""
    operation = exclusions.exclude(subject, since=since, reason=reason, at=at)
    found = await store.write(operation)
    return None if found is None else Moved(len(found), await _recount(store, found))


async def take_back(store: Store, subject: str) -> Moved | None:
    """Count again what was set aside; None: nothing of it is."""
    found = await store.write(exclusions.include(subject))
    if found is not None:
        return Moved(len(found), await _recount(store, found))
    # An interrupted one left the counts of some records behind.
    keys = await store.read(exclusions.keys_of(subject))
    records = await _recount(store, keys)
    return Moved(len(keys), records) if records else None


async def _recount(store: Store, keys: Iterable[str]) -> int:
    moved = 0
    for key_id in keys:
        page = await store.write(exclusions.recount(key_id, -1))
        while page is not None:
            moved += page.moved
            page = await store.write(exclusions.recount(key_id, page.last))
    return moved
