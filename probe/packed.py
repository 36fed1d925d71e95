"""What a run keeps until its end, encoded and compressed: memory must not grow with its list."""

import zlib
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from probe.model import Record

T = TypeVar("T")

_BLOCK = 32  # records of one compressed block: they have much in common
_LEVEL = 1

_encoder = msgspec.msgpack.Encoder()
_records = msgspec.msgpack.Decoder(Record)
_UNFIT = (msgspec.MsgspecError, UnicodeError, RecursionError)


class PackedRecords:
    """Records in their order; each pass decodes them one by one."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._open: list[bytes] = []
        self._odd: list[Record] = []  # what would not be decoded again: out of bounds

    def __len__(self) -> int:
        return len(self._blocks) * _BLOCK + len(self._open) + len(self._odd)

    def __iter__(self) -> Iterator[Record]:
        for block in self._blocks:
            yield from map(_records.decode, msgspec.msgpack.decode(zlib.decompress(block)))
        yield from map(_records.decode, self._open)
        yield from self._odd

    def append(self, record: Record) -> None:
        """Add a record."""
        try:
            data = _encoder.encode(record)
            _records.decode(data)
        except _UNFIT:
            self._odd.append(record)
            return
        self._open.append(data)
        if len(self._open) == _BLOCK:
            self._blocks.append(zlib.compress(_encoder.encode(self._open), _LEVEL))
            self._open.clear()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(map(len, self._blocks)) + sum(map(len, self._open))


class Packed(Generic[T]):
    """One value, packed; what cannot be decoded again, such as one out of bounds, is kept as is."""

    __slots__ = ("_data", "_type", "_value")

    def __init__(self, value: T, type_: object) -> None:
        self._type = type_
        self._value: T | None = None
        self._data = b""
        try:
            data = _encoder.encode(value)
            msgspec.msgpack.decode(data, type=type_)
            self._data = zlib.compress(data, _LEVEL)
        except _UNFIT:
            self._value = value

    def value(self) -> T:
        """Decode it."""
        if self._value is not None:
            return self._value
        return msgspec.msgpack.decode(zlib.decompress(self._data), type=self._type)  # type: ignore[no-any-return]
