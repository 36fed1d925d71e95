"""The measurements in a file: JSON lines, one document, gzip, or a tar archive of post cans.

Rule: a file may be hostile. Memory is bounded by one measurement, whatever the file inflates to; a
measurement that cannot be read is reported with its place, and the next one is read.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

# The largest measurement that OONI's own tests contain has 845 kB. Decoded, JSON that is nothing
# but brackets takes twenty times its size.
MEASUREMENT_BYTES = 4 * 1024 * 1024
# One document with several measurements, which is decoded as a whole.
DOCUMENT_BYTES = 2 * MEASUREMENT_BYTES
# A line without end is passed over up to here; then the rest of the file is given up.
_PASSED_OVER = 256 * MEASUREMENT_BYTES
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"\x04\x22\x4d\x18": "LZ4: unpack it first",
    b"\x28\xb5\x2f\xfd": "Zstandard: unpack it first",
    b"\xfd7zXZ\x00": "XZ: unpack it first",
    b"BZh": "bzip2: unpack it first",
    b"PK\x03\x04": "ZIP: unpack it first",
}
_TAR_AT, _TAR = 257, b"ustar"
_PEEK = 512
_CANS = (".post", ".json")


@dataclass(frozen=True, slots=True)
class Found:
    """A measurement, or why there is none.

    Attributes:
        place: The file, and the line or the member in it.
        content: The decoded measurement; None where it is refused.
        uid: Its uid, where the file's name has it.
        refused: Why it cannot be read, in a few words.
    """

    place: str
    content: Any = None
    uid: str = ""
    refused: str = ""


def measurements(file: Path) -> Iterator[Found]:
    """Every measurement of a file; OSError where the file itself cannot be opened."""
    with file.open("rb") as opened:
        start = opened.peek(_PEEK)[:_PEEK]
        foreign = next((why for magic, why in _FOREIGN.items() if start.startswith(magic)), None)
        if foreign is not None:
            yield Found(str(file), refused=foreign)
            return
        packed = start.startswith(_GZIP)
        stream = cast("BufferedReader", gzip.GzipFile(fileobj=opened) if packed else opened)
        try:
            yield from _unpacked(stream, str(file))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Found(str(file), refused=f"the gzip stream is damaged ({_words(error)})")
        except tarfile.TarError as error:
            yield Found(str(file), refused=f"the tar archive is damaged ({_words(error)})")


def _unpacked(stream: BufferedReader, name: str) -> Iterator[Found]:
    start = stream.peek(_PEEK)[:_PEEK]
    if start[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        yield from _members(stream, name)
    elif start.lstrip()[:1] == b"[":
        yield from _document(stream, name)
    else:
        yield from _lines(stream, name)


# --- JSON lines, or one document over several lines -----------------------------------------------


def _lines(stream: BufferedReader, name: str) -> Iterator[Found]:
    number = 0
    while line := stream.readline(MEASUREMENT_BYTES + 1):
        number += 1
        place = f"{name}:{number}"
        if len(line) > MEASUREMENT_BYTES:
            ended = _pass_over(stream)
            what = f"a line of more than {MEASUREMENT_BYTES} bytes"
            yield Found(place, refused=what if ended else f"{what}; the rest is not read")
            if not ended:
                return
        elif number == 1 and _begins_document(line):
            yield from _document(stream, name, line)
            return
        elif line.strip():
            yield from read(line, place)


def _pass_over(stream: BufferedReader) -> bool:
    """Read to the end of the line; False where it has none that is near."""
    passed = 0
    while passed < _PASSED_OVER:
        part = stream.readline(MEASUREMENT_BYTES)
        if not part or part.endswith(b"\n"):
            return True
        passed += len(part)
    return False


def _begins_document(line: bytes) -> bool:
    """The first line is the beginning of an object that goes on in the next ones."""
    return line.strip() == b"{"


def _document(stream: BufferedReader, name: str, start: bytes = b"") -> Iterator[Found]:
    whole = start + stream.read(DOCUMENT_BYTES + 1)
    if len(whole) > DOCUMENT_BYTES:
        why = f"one JSON document of more than {DOCUMENT_BYTES} bytes; write one line a measurement"
        yield Found(name, refused=why)
    elif whole.strip():
        yield from read(whole, name)


def read(data: bytes, place: str, uid: str = "") -> Iterator[Found]:
    """The measurements in one JSON value: one, a list, a post can, or an answer of the API."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError) as error:
        yield Found(place, refused=f"no JSON ({_words(error)})")
        return
    yield from _opened(value, place, uid)


def _opened(value: Any, place: str, uid: str, depth: int = 0) -> Iterator[Found]:
    if isinstance(value, list) and depth == 0:
        for number, one in enumerate(value, 1):
            yield from _opened(one, f"{place}[{number}]", uid, 1)
        return
    if not isinstance(value, dict):
        yield Found(place, refused="no JSON object")
        return
    inner = _inside(value)
    if inner is None or depth > 1:
        yield Found(place, value, uid)
    elif isinstance(inner, str):
        known = value.get("measurement_uid")
        data = inner.encode("utf-8", "replace")
        yield from read(data, place, known if isinstance(known, str) else uid)
    else:
        yield from _opened(inner, place, uid, depth + 1)


def _inside(value: dict[str, Any]) -> Any:
    """What a post can or an answer of the API wraps; None for a measurement itself."""
    if "test_keys" in value:
        return None
    for name in ("content", "raw_measurement"):
        if isinstance(value.get(name), dict | str) and value[name]:
            return value[name]
    return None


# --- archives -------------------------------------------------------------------------------------


class _Bounded:
    """A file for `tarfile`, which reads as much at once as a header says: that is bounded."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MEASUREMENT_BYTES:
            raise tarfile.ReadError("a header of this size")
        return self._stream.read(size)

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, position: int, whence: int = 0) -> int:
        return self._stream.seek(position, whence)


def _members(stream: BufferedReader, name: str) -> Iterator[Found]:
    bounded = cast("BinaryIO", _Bounded(stream))
    with tarfile.open(fileobj=bounded, mode="r:", errorlevel=1) as archive:
        while (one := archive.next()) is not None:
            vars(archive)["members"] = []  # of millions of members none is kept
            place = f"{name}:{one.name[:200]}"
            if not one.isreg() or not one.name.endswith(_CANS):
                continue
            if one.size > MEASUREMENT_BYTES:
                yield Found(place, refused=f"more than {MEASUREMENT_BYTES} bytes")
                continue
            opened = archive.extractfile(one)
            data = opened.read() if opened is not None else b""
            uid = one.name.rpartition("/")[2].rpartition(".")[0]
            yield from read(data, place, uid)


def _words(error: Exception) -> str:
    """The first line of a message."""
    return (str(error) or type(error).__name__).splitlines()[0][:120]
