"""The manifest of a lake: which files belong to it, what is in them, and how far each origin came.

Rule: it is written last. A file that it does not name is not part of the lake: a writer that was
killed left it, and the next one deletes it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from collector.lake.files import LakeFiles
from collector.settings import SettingsError

NAME = "manifest.json"
FORMAT = "qazprobe-lake/1"
TABLES = ("measurements", "steps", "certificates", "votes", "events", "verdicts")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file.

    Attributes:
        path: Below the root.
        day: The day of the measurements in it, `YYYY-MM-DD`.
        origin: The collector whose records it has.
        size: Bytes.
        sha256: Of the file, hex.
        schema: The version of its columns (`collector.lake.schema.VERSION`).
    """

    table: str
    path: str
    day: str
    country: str
    origin: str
    rows: int
    size: int
    sha256: str
    schema: int


class LakeOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """A collector whose records are in the lake.

    Attributes:
        upto: Number of the last record that was written.
        erased: Pseudonyms of keys whose records were removed, each with the mark of its erasure.
    """

    upto: int = -1
    erased: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the lake is made of; `generation` grows with every change."""

    format: str = FORMAT
    generation: int = 0
    origins: Mapping[str, LakeOrigin] = MappingProxyType({})
    parts: tuple[Part, ...] = ()

    def of(self, table: str) -> list[Part]:
        """The files of one table."""
        return [part for part in self.parts if part.table == table]

    def changed(
        self,
        *,
        without: Iterable[Part] = (),
        more: Iterable[Part] = (),
        origins: Mapping[str, LakeOrigin] | None = None,
    ) -> "Manifest":
        """The next generation."""
        gone = {part.path for part in without}
        kept = [part for part in self.parts if part.path not in gone]
        parts = sorted([*kept, *more], key=lambda part: part.path)
        return Manifest(
            generation=self.generation + 1,
            origins={**self.origins, **(origins or {})},
            parts=tuple(parts),
        )


def read(files: LakeFiles, *, create: bool = False) -> Manifest:
    """The manifest of the lake; with `create`, an empty one where there is none yet.

    Raises:
        SettingsError: There is none, or what is there is no manifest, or one of a later version.
    """
    if not files.is_there(NAME):
        # A mistyped name must not look like an empty lake.
        if not create:
            raise SettingsError(f"lake {files.root}: is not there ({NAME} is missing)")
        return Manifest()
    try:
        found = msgspec.json.decode(files.read(NAME), type=Manifest)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"lake {files.root}: {NAME} is damaged: {error}") from error
    if found.format != FORMAT:
        raise SettingsError(f"lake {files.root}: {FORMAT} expected, {found.format} found")
    return found


def write(files: LakeFiles, manifest: Manifest) -> None:
    """Replace the manifest, after all files that it names are written."""
    files.write(NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def sweep(files: LakeFiles, manifest: Manifest) -> int:
    """Delete the files of writers that were killed; return how many there were."""
    named = {part.path for part in manifest.parts}
    left = [name for table in TABLES for name in files.names(table) if name not in named]
    for name in left:
        files.delete(name)
    return len(left)
