"""Rows of one day and country as a sorted Parquet file, and such a file back as a table."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from collector.lake.files import LakeFiles
from collector.lake.manifest import Manifest, Part
from collector.lake.schema import ORDER, ROWS_IN_GROUP, VERSION, schema, types
from collector.settings import SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

# zstd's own default; higher levels take four times as long for a twentieth less.
_LEVEL = 3
_UNLIKE = frozenset({"id", "step", "der"})


class Partition(NamedTuple):
    """A day, `YYYY-MM-DD` in UTC, and a country."""

    day: str
    country: str

    @property
    def folder(self) -> str:
        """Its folder in a table, as engines read it."""
        return f"dt={self.day}/country={self.country}"


def partition_of(at: float, country: str) -> Partition:
    """Where a measurement of this Unix time belongs."""
    return _partition(int(at // 86_400), country)


@lru_cache(maxsize=4096)
def _partition(day: int, country: str) -> Partition:
    return Partition(datetime.fromtimestamp(day * 86_400, UTC).date().isoformat(), country)


def table_of(table: str, rows: Iterable[Mapping[str, Any]]) -> "pa.Table":
    """The same as `table_of_columns` of rows; what a row lacks is null."""
    known = list(rows)
    return table_of_columns(table, {name: [r.get(name) for r in known] for name in types(table)})


def table_of_columns(table: str, columns: Mapping[str, Sequence[Any]]) -> "pa.Table":
    """Columns as a table; times are Unix times. A value of another type than its column's is null.

    Old records have fields of other types, and no record stops a lake.
    """
    import pyarrow as pa

    wanted = schema(table)
    arrays = [
        _array(columns[name], type_, wanted.field(name).type)
        for name, type_ in types(table).items()
    ]
    return pa.Table.from_arrays(arrays, schema=wanted)


def _array(values: Sequence[Any], kind: str, type_: Any) -> Any:
    import pyarrow as pa

    if kind == "time":
        values = [None if at is None else round(at * 1000) for at in values]
    try:
        return pa.array(values, type_)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        fitting = _FITTING[kind]
        return pa.array([one if fitting(one) else None for one in values], type_)


def _is_whole(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_number(value: object) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= 2**53)


_FITTING: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "text": lambda value: isinstance(value, str),
        "flag": lambda value: isinstance(value, bool),
        "whole": _is_whole,
        "number": _is_number,
        "time": _is_whole,
        "bytes": lambda value: isinstance(value, bytes),
    }
)


def write_part(
    files: LakeFiles, table: str, where: Partition, rows: "pa.Table", *, origin: str, name: str
) -> Part:
    """Write rows as a file of a table, sorted; it belongs to the lake when the manifest says so."""
    import pyarrow as pa
    from pyarrow import parquet

    order = [(column, "ascending") for column in ORDER[table]]
    made = pa.BufferOutputStream()
    parquet.write_table(
        rows.sort_by(order),
        made,
        compression="zstd",
        compression_level=_LEVEL,
        row_group_size=ROWS_IN_GROUP,
        sorting_columns=parquet.SortingColumn.from_ordering(rows.schema, order),
        write_page_index=True,
        **_columns_with_dictionary(rows),
    )
    content = made.getvalue().to_pybytes()
    path = f"{table}/{where.folder}/{name}.parquet"
    files.write(path, content)
    return Part(
        table=table,
        path=path,
        day=where.day,
        country=where.country,
        origin=origin,
        rows=rows.num_rows,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        schema=VERSION,
    )


def _columns_with_dictionary(rows: "pa.Table") -> dict[str, Any]:
    """All but those whose values are all different, of which a list is no gain."""
    return {"use_dictionary": [one for one in rows.column_names if one not in _UNLIKE]}


def read_part(files: LakeFiles, part: Part, only: Sequence[str] | None = None) -> "pa.Table":
    """The rows of a file, or only these columns; columns that its version lacks are null.

    Raises:
        SettingsError: It is damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        found = parquet.read_table(pa.BufferReader(files.read(part.path)), columns=only)
    except (OSError, ValueError) as error:
        raise SettingsError(f"lake {files.root}: {part.path} is damaged: see lake check") from error
    wanted = schema(part.table)
    if only is not None:
        wanted = pa.schema([wanted.field(name) for name in only])
    columns = [
        found.column(field.name)
        if field.name in found.column_names
        else pa.nulls(found.num_rows, field.type)
        for field in wanted
    ]
    return pa.Table.from_arrays(columns, schema=wanted)


def ids_of(
    files: LakeFiles, known: Manifest, where: Partition, *, without: str = ""
) -> Iterator[str]:
    """The ids of the records that the lake has there, but those of one origin."""
    for part in known.of("measurements"):
        if (part.day, part.country) == where and part.origin != without:
            yield from read_part(files, part, ["id"]).column("id").to_pylist()
