"""Compare the files of a lake with its manifest."""

import hashlib
from collections.abc import Iterator

from collector.lake import manifest as manifests
from collector.lake.files import LakeFiles
from collector.lake.manifest import Part


def faults(files: LakeFiles) -> list[str]:
    """A line for each file that is not what the manifest says, or that it does not name."""
    known = manifests.read(files)
    named = {part.path for part in known.parts}
    stray = (name for table in manifests.TABLES for name in files.names(table) if name not in named)
    return [*_damaged(files, known.parts), *(f"{name}: not in the manifest" for name in stray)]


def _damaged(files: LakeFiles, parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if not files.is_there(part.path):
            yield f"{part.path}: missing"
            continue
        found = hashlib.sha256(files.read(part.path)).hexdigest()
        if found != part.sha256:
            yield f"{part.path}: SHA-256 {found}, {part.sha256} expected"
