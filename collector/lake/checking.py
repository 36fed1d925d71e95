"""Compare the files of a lake with its manifest."""

import hashlib
from collections.abc import Iterator

from collector.lake import manifest as manifests
from collector.lake.files import LakeFiles
from collector.lake.manifest import Part
from collector.settings import SettingsError


def faults(files: LakeFiles) -> list[str]:
    """A line for each file that differs from the manifest, or is not in it."""
    known = manifests.read(files)
    named = {part.path for part in known.parts}
    stray = (name for table in manifests.TABLES for name in files.names(table) if name not in named)
    return [*_damaged(files, known.parts), *(f"{name}: not in the manifest" for name in stray)]


def upto(files: LakeFiles, origin: str) -> int:
    """The number of the last record of a collector that the lake has.

    Raises:
        SettingsError: It has none of this collector, or lacks one of its files.
    """
    known = manifests.read(files)
    if origin not in known.origins:
        raise SettingsError(f"lake {files.root}: has nothing of this store")
    there = {name for table in manifests.TABLES for name in files.names(table)}
    missing = [part.path for part in known.parts if part.path not in there]
    if missing:
        raise SettingsError(f"lake {files.root}: {missing[0]}: missing; nothing was dropped")
    return known.origins[origin].upto


def _damaged(files: LakeFiles, parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if not files.is_there(part.path):
            yield f"{part.path}: missing"
            continue
        found = hashlib.sha256(files.read(part.path)).hexdigest()
        if found != part.sha256:
            yield f"{part.path}: SHA-256 {found}, {part.sha256} expected"
