"""Target lists that were downloaded: kept in the state folder, with where they are from and when.

A list is kept under its name (`kz`, `citizenlab-kz`) or, if it is from a URL, under a hash of that.
"""

import hashlib
import re
from contextlib import suppress
from pathlib import Path

import msgspec

from probe import atomic_files

FOLDER = "lists"
# Of a kept file no more is read; a download is not longer.
MOST_BYTES = 8 * 1024 * 1024
CITIZENLAB = "citizenlab:"
# Where Citizen Lab publishes its lists. They are not shipped: their licence (CC BY-NC-SA 4.0) does
# not allow every use that ours allows.
CITIZENLAB_FOLDER = "https://raw.githubusercontent.com/citizenlab/test-lists/master/lists"
_CODE = re.compile(r"[a-z]{2}|global")


class ListOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kept list is from.

    Attributes:
        source: The URL that it was downloaded from, or that was asked for it.
        etag: Its version there.
        checked: When it was asked for last, Unix time.
    """

    source: str = ""
    etag: str | None = None
    checked: float = 0.0


class KeptList(msgspec.Struct, frozen=True):
    """The files of one list."""

    path: Path

    @property
    def exists(self) -> bool:
        """Whether the list is here."""
        return self.path.is_file()

    @property
    def origin(self) -> ListOrigin:
        """Where it is from; unknown if there is no note, or it is unreadable."""
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=ListOrigin)
        except (OSError, ValueError, RecursionError):
            return ListOrigin()

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".json")

    def keep(self, body: bytes, origin: ListOrigin) -> None:
        """Keep a new version; raises `OSError`."""
        atomic_files.write(self.path, body)
        self.note(origin)

    def note(self, origin: ListOrigin) -> None:
        """Keep where the list is from and when that was asked; raises `OSError`."""
        atomic_files.write(self._note, msgspec.json.encode(origin))

    def remove(self) -> None:
        """Remove the list."""
        for file in (self.path, self._note):
            with suppress(FileNotFoundError):
                file.unlink()


def kept(state: Path, spec: str) -> KeptList:
    """The kept list of a name, of `citizenlab:CODE` or of a URL."""
    if is_url(spec):
        name = f"url-{hashlib.sha256(spec.encode()).hexdigest()[:32]}"
    else:
        name = spec.replace(":", "-")
    return KeptList(state / FOLDER / f"{name}.csv")


def is_url(spec: str) -> bool:
    """Whether a list is named by its URL."""
    return spec.lower().startswith(("https://", "http://"))


def url_of(spec: str, mirror: str | None) -> str | None:
    """The URL of a list that has one: its own, or that of a list of Citizen Lab."""
    if is_url(spec):
        return spec
    code = spec.removeprefix(CITIZENLAB)
    if code == spec or _CODE.fullmatch(code) is None:
        return None
    return f"{(mirror or CITIZENLAB_FOLDER).rstrip('/')}/{code}.csv"
