"""The rows of a question as CSV or Parquet."""

import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from collector.admin.export import csv_bytes

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
# Of so many batches is one row group of a Parquet file made.
_GROUP_BATCHES = 12


def written(rows: "pa.RecordBatchReader", form: str) -> Iterator[bytes]:
    """The pieces of a file; times are RFC 3339 in UTC, and a null is an empty cell."""
    if form == "parquet":
        yield from _parquet(rows)
        return
    yield csv_bytes([rows.schema.names])
    for batch in rows:
        columns = [column.to_pylist() for column in batch.columns]
        yield csv_bytes([[_cell(one) for one in row] for row in zip(*columns, strict=True)])


def _parquet(rows: "pa.RecordBatchReader") -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    made = _Pieces()
    with parquet.ParquetWriter(pa.PythonFile(made, "w"), rows.schema, compression="zstd") as file:
        for batches in _batched(rows, _GROUP_BATCHES):
            file.write_table(pa.Table.from_batches(batches))
            yield made.taken()
    yield made.taken()


class _Pieces(io.RawIOBase):
    """What was written since the last time: an answer may be larger than memory."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._kept.append(bytes(data))
        return len(self._kept[-1])

    def taken(self) -> bytes:
        found, self._kept = b"".join(self._kept), []
        return found


def _batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of some at a time."""
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        instant = value if value.tzinfo else value.replace(tzinfo=UTC)
        text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value
