"""The key of the hashes that name the origins of keys (columns `origin` of the store).

Rule: beside an embedded store it is in a file of its own, so that a copy of the store alone does
not tell which /24 or /48 a key was enrolled from. A shared store holds it, since several collectors
need it.
"""

import os
import secrets
from pathlib import Path

from collector.store import Execute, Operation, Query, Store, sqlite_path

BYTES = 32
_NAME = "origin_secret"


async def origin_secret(url: str, store: Store) -> bytes:
    """The secret of a store, made on first use."""
    if url.startswith("sqlite:"):
        file = sqlite_path(url)
        return _in_file(file.with_name(f"{file.name}.origins"))
    return bytes.fromhex(await store.write(_in_store()))


def _in_file(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_bytes()
        if len(kept) == BYTES:
            return kept
        handle = os.open(path, os.O_WRONLY | os.O_TRUNC)  # was cut short when it was made
    made = secrets.token_bytes(BYTES)
    with os.fdopen(handle, "wb") as file:
        file.write(made)
    return made


def _in_store() -> Operation[str]:
    yield Execute("meta_add", [{"name": _NAME, "value": secrets.token_hex(BYTES)}])
    rows = yield Query("meta_get", {"name": _NAME})
    return str(rows[0][0])
