"""Leave no trace: remove what this program keeps on this machine, and what collectors keep of us.

Rule: only files that this program made are removed, by name; a folder that was chosen by hand
(`$QAZPROBE_HOME`) may hold other things, and those are named and left. Collectors are asked first,
because the keys that prove the records ours are among what is removed.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.endpoint import CollectorEndpoint
from probe.client.keys import Enrolment, Keys
from probe.paths import Home

# Everything that any module keeps; a test compares this with the modules.
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
    "run.lock",
    "throughput.json",
)
FOLDERS = ("keys", "results", "spool", "lists")
# What a collector answers that has nothing of ours: unknown key, nothing there, already gone.
_NOTHING_THERE = frozenset({401, 404, 410})


async def erase_remote(keys: Keys, enrolment: Enrolment, endpoint: CollectorEndpoint) -> str | None:
    """Take back everything a collector has of one key; a line saying why not, or None."""
    identity = keys.identity(
        enrolment.collector, role=enrolment.role, network=enrolment.network or None
    )
    try:
        async with CollectorClient(endpoint, identity) as client:
            await client.erase()
    except CollectorRefused as error:
        if error.status not in _NOTHING_THERE:
            return str(error)
    except CollectorError as error:
        return str(error)
    keys.forget(identity)
    return None


def found(home: Home) -> list[Path]:
    """What is there to remove."""
    roots = dict.fromkeys((home.state, home.config))
    named = (root / name for root in roots for name in (*FOLDERS, *FILES))
    return [path for path in named if path.is_symlink() or path.exists()]


def erase(paths: Sequence[Path], home: Home) -> list[Path]:
    """Remove these, and the folders if nothing else is in them; returns what is left there."""
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
