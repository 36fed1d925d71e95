"""The files of a lake, in a folder or on object storage, by pyarrow's file systems.

Rule: a file appears whole or not at all. A file system is written beside and renamed; object
storage shows an object when all of it has arrived.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.settings import SettingsError

_BESIDE = ".partial"


class LakeFiles:
    """Files by their path below the lake's root, with `/` between folders."""

    def __init__(self, root: str) -> None:
        """Open the root, which need not be there yet.

        Raises:
            SettingsError: It is no folder and no address that pyarrow knows.
        """
        from pyarrow import fs

        self.root = root
        with self._one_line():
            if "://" in root:
                self.system, self._base = fs.FileSystem.from_uri(root)
            else:
                self.system, self._base = fs.LocalFileSystem(), str(Path(root).resolve())
            if not self._base:
                raise ValueError("a folder or s3://BUCKET/… expected")
        self.local = self.system.type_name == "local"
        self._kinds: Any = fs.FileType

    @contextmanager
    def _one_line(self, name: str = "") -> Iterator[None]:
        """Tell in one line what a file system has against a lake or a file of it."""
        try:
            yield
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            reason = str(error).splitlines()[0]
            where = f"lake {self.root}: {name}: " if name else f"lake {self.root}: "
            raise SettingsError(where + reason) from error

    def path(self, name: str) -> str:
        """The path by which the file system knows a file."""
        return f"{self._base}/{name}"

    def is_there(self, name: str) -> bool:
        """Whether there is such a file."""
        with self._one_line(name):
            found = self.system.get_file_info(self.path(name))
        return bool(found.type == self._kinds.File)

    def read(self, name: str) -> bytes:
        """All of a file.

        Raises:
            SettingsError: It is not there, or cannot be read.
        """
        with self._one_line(name), self.system.open_input_stream(self.path(name)) as file:
            return bytes(file.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file; on a file system it survives a loss of power from here on.

        Raises:
            SettingsError: It cannot be written.
        """
        with self._one_line(name):
            self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        path = self.path(name)
        self.system.create_dir(path.rpartition("/")[0], recursive=True)
        beside = path + _BESIDE if self.local else path
        with self.system.open_output_stream(beside) as file:
            file.write(content)
        if self.local:
            _flush(beside)
            os.replace(beside, path)  # noqa: PTH105 - a path of pyarrow's
            _flush(path.rpartition("/")[0])

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens where it is gone already."""
        if self.is_there(name):
            self.system.delete_file(self.path(name))

    def names(self, folder: str) -> list[str]:
        """Every file below a folder, by its path below the root."""
        from pyarrow import fs

        selector = fs.FileSelector(self.path(folder), recursive=True, allow_not_found=True)
        found = self.system.get_file_info(selector)
        whole = (one.path for one in found if one.type == self._kinds.File)
        return sorted(path[len(self._base) + 1 :] for path in whole)


def _flush(path: str) -> None:
    """Make a file, or the names in a folder, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
