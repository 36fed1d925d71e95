"""The rows of a question as CSV or Parquet."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from collector.admin.export import csv_bytes

if TYPE_CHECKING:
    import pyarrow as pa


def written(rows: "pa.Table", form: str) -> Iterator[bytes]:
    """The pieces of a file; times are RFC 3339 in UTC, and a null is an empty cell."""
    if form == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        made = pa.BufferOutputStream()
        parquet.write_table(rows, made, compression="zstd")
        yield made.getvalue().to_pybytes()
        return
    yield csv_bytes([rows.column_names])
    for batch in rows.to_batches(max_chunksize=10_000):
        columns = [column.to_pylist() for column in batch.columns]
        yield csv_bytes([[_cell(one) for one in row] for row in zip(*columns, strict=True)])


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        instant = value if value.tzinfo else value.replace(tzinfo=UTC)
        text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value
