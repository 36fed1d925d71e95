"""Remove what this program keeps on this machine and what collectors keep of its records.

Rule: only files that this program made are removed, by name; a user's `$QAZPROBE_HOME` may hold
other files, which are listed and kept. Collectors are asked first, because the keys that prove the
records ours are among the removed files.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from probe import paths
from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.endpoint import CollectorEndpoint
from probe.client.keys import Enrolment, Keys
from probe.paths import Home

# Every file that any module writes; a test compares this list with the modules.
FILES = (
    "bugs.log",
    "bulk.json",
    "cautions.json",
    "consent.json",
    "heartbeat.json",
    "heartbeat.lock",
    "held.jsonl",
    "networks.json",
    "networks.key",
    "qazprobe.toml",
    paths.LOCK,
    "throughput.json",
)
FOLDERS = ("keys", "results", "spool", "lists")
# HTTP statuses of a collector that has no records of ours: unknown key, not found, already gone.
_NO_RECORDS = frozenset({401, 404, 410})


async def erase_remote(keys: Keys, enrolment: Enrolment, endpoint: CollectorEndpoint) -> str | None:
    """Delete the records of one key at its collector; return the problem in one line, or None."""
    identity = keys.identity(
        enrolment.collector, role=enrolment.role, network=enrolment.network or None
    )
    try:
        async with CollectorClient(endpoint, identity) as client:
            await client.erase()
    except CollectorRefused as error:
        if error.status not in _NO_RECORDS:
            return str(error)
    except CollectorError as error:
        return str(error)
    keys.forget(identity)
    return None


def found(home: Home) -> list[Path]:
    """Return the files and folders to remove that exist."""
    roots = dict.fromkeys((home.state, home.config))
    named = (root / name for root in roots for name in (*FOLDERS, *FILES))
    return [path for path in named if path.is_symlink() or path.exists()]


def erase(paths: Sequence[Path], home: Home) -> list[Path]:
    """Remove these, then each folder if it is empty; return what is left in them."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    left: list[Path] = []
    for root in dict.fromkeys((home.state, home.config)):
        rest = sorted(root.iterdir()) if root.is_dir() else []
        left += rest
        if root.is_dir() and not rest:
            root.rmdir()
    return left
