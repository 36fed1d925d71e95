"""A folder of measurements laid out as OONI's buckets are, written in bounded memory.

    FOLDER/raw/20261121/21/KZ/webconnectivity/2026112121_KZ_webconnectivity.qazprobe.0.jsonl.gz

One line is one measurement. Lines come in any order of hours, countries and tests; what is not
written yet is at most a few megabytes, and each file grows by one gzip member after another. The
folder is made beside its name and renamed when it is complete: a process that is killed leaves
nothing under that name.
"""

import errno
import gzip
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from probe.interop.ooni.out.from_record import UID

HELD = 4 * 1024 * 1024  # bytes of lines in memory
_LEVEL = 6


def bucket_of(measurement: dict[str, Any]) -> str:
    """The path of the file that a measurement stands in, by its id."""
    moment, country, name, _digest = measurement[UID].split("_")
    hour = moment[:10]
    folder = f"raw/{hour[:8]}/{hour[8:]}/{country}/{name}"
    return f"{folder}/{hour}_{country}_{name}.qazprobe.0.jsonl.gz"


class BucketFolder:
    """The folder while it is written."""

    def __init__(self, folder: Path) -> None:
        self._beside = folder
        self._waiting: dict[str, list[bytes]] = {}
        self._held = 0

    def add(self, path: str, line: bytes) -> None:
        """Add one line to a file."""
        self._waiting.setdefault(path, []).append(line)
        self._held += len(line)
        if self._held > HELD:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for path, lines in self._waiting.items():
            file = self._beside / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as opened:
                opened.write(gzip.compress(b"\n".join([*lines, b""]), _LEVEL, mtime=0))
        self._waiting.clear()
        self._held = 0


@contextmanager
def writing_buckets(folder: Path) -> Iterator[BucketFolder]:
    """Yield a folder to write; if anything fails, nothing stands under its name.

    Raises:
        OSError: It cannot be written, or it has something in it: two exports are not mixed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        code = errno.ENOTEMPTY if folder.is_dir() else errno.EEXIST
        raise OSError(code, os.strerror(code), str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
    try:
        open_folder = BucketFolder(beside)
        yield open_folder
        open_folder.flush()
        if folder.is_dir():
            folder.rmdir()
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
