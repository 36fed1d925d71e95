"""Measurements as clients wrote them, where the operator keeps them, as operations."""

import zlib

from collector.store import Operation, Query


def original(uid: str) -> Operation[bytes | None]:
    """A measurement by its name; None when it is not kept."""
    rows = yield Query("original_get", {"uid": uid})
    return zlib.decompress(bytes(rows[0][0])) if rows else None
