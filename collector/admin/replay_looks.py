"""The looks that a replay is made of, out of a store or an exported file, sorted on disk.

Rule: the same measurements are looks as in a serving collector: of each hour the newest one of a
key, target and experiment that could tell, and every measurement of connectivity. Memory does not
grow with their number, because they wait in a temporary database.
"""

import csv
import gzip
import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Set as AbstractSet
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import msgspec

from collector.admin import export_packing
from collector.events.engine import Where
from collector.events.model import Look
from collector.record_row import instant
from collector.settings import SettingsError
from collector.standing import INVITED, OPEN, KeyStanding, Standings
from collector.store.exports import ExportRow
from collector.store.measurements import CONCLUSIVE, UNLISTED
from collector.store.queries import Selection

LINE_CONFIDENCE = 0.9
_LONG_AGO = 1e12
_AT_ONCE = 1000
_DUCKDB: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": "256MB"}

_SCHEMA = """
CREATE TABLE look (
  target TEXT, country TEXT, asn INTEGER, slot TEXT, key TEXT, experiment TEXT,
  at REAL, id TEXT, outcome TEXT, mechanisms TEXT, authority TEXT, confidence REAL,
  UNIQUE (slot, key, target, experiment)
)
"""
_PUT = """
INSERT INTO look VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (slot, key, target, experiment) DO UPDATE SET country = excluded.country,
  asn = excluded.asn, at = excluded.at, id = excluded.id, outcome = excluded.outcome,
  mechanisms = excluded.mechanisms, authority = excluded.authority,
  confidence = excluded.confidence
WHERE excluded.at >= look.at
"""
_SORTED = """
SELECT at, id, key, experiment, target, country, asn, outcome, mechanisms, authority, confidence
FROM look WHERE at >= ? ORDER BY target, country, asn
"""


class Measured(NamedTuple):
    """What a replay needs of one measurement."""

    look: Look
    origin: str = ""
    standing: str = "vouched"


class ExportedColumns(msgspec.Struct):
    """The columns of an export that a replay needs; what is coarse has no id and no key."""

    id: str | None
    key: str | None
    origin: str | None
    standing: Literal["vouched", "earned", "stranger"]
    role: str
    lab: bool
    voting: bool
    excluded: bool
    experiment: str
    target: str
    measured_at: str | float
    country: str
    asn: int
    outcome: str
    mechanisms: str | None
    authority: str | None
    confidence: float


_COLUMNS = ", ".join(ExportedColumns.__struct_fields__).replace("measured_at", "epoch(measured_at)")
_PARQUET = f"SELECT {_COLUMNS} FROM read_parquet(?)"  # noqa: S608 - constant names


class SortedLooks:
    """Looks on disk, by target and network, and what is known of their keys."""

    def __init__(self) -> None:
        # A database without a name is a temporary file that is gone when it is closed.
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute(_SCHEMA)
        self._connection.execute("BEGIN")
        self._standing: dict[str, str] = {}
        self._origins: set[tuple[str, str, int, str]] = set()

    def add(self, measured: Iterable[Measured]) -> None:
        """Add looks, the later arrived ones later."""
        self._connection.executemany(_PUT, map(self._noted, measured))

    def _noted(self, one: Measured) -> tuple[object, ...]:
        """The row of a look, after its key was noted."""
        look = one.look
        self._standing[look.key] = one.standing
        where = look.key, look.country, look.asn
        self._origins.update((*where, word) for word in one.origin.split())
        slot = str(int(look.at // 3600)) if look.target else look.id
        return (*look[4:7], slot, look.key, look.experiment, *look[:2], *look[7:])

    def __len__(self) -> int:
        return int(self._connection.execute("SELECT COUNT(*) FROM look").fetchone()[0])

    @property
    def oldest(self) -> float:
        """Time of the oldest look; 0 when there is none."""
        return float(self._connection.execute("SELECT MIN(at) FROM look").fetchone()[0] or 0.0)

    @property
    def newest(self) -> float:
        """Time of the newest look; 0 when there is none."""
        return float(self._connection.execute("SELECT MAX(at) FROM look").fetchone()[0] or 0.0)

    def places(self, since: float = 0.0) -> Iterator[tuple[Where, list[Look]]]:
        """The looks since then at each target and network."""
        rows = map(Look._make, self._connection.execute(_SORTED, (since,)))
        for where, looks in groupby(rows, key=lambda one: (one.target, one.country, one.asn)):
            yield where, list(looks)

    def standings(self) -> Standings:
        """Whose looks count, as the export said; of keys that share an origin one does."""
        keys = [_key(key, word) for key, word in self._standing.items()]
        return Standings(keys, self._origins, now=_LONG_AGO)

    def close(self) -> None:
        """Delete everything."""
        self._connection.close()


def _key(key: str, word: str) -> KeyStanding:
    if word == "vouched":
        return KeyStanding(key, way=INVITED)
    days = 10_000 if word == "earned" else 0
    return KeyStanding(key, way=OPEN, origin=key, agreed_days=days)


def of_row(row: ExportRow) -> Measured | None:
    """The look of a stored record; None when it is none."""
    if row.role != "probe" or not row.voting or not row.counted:
        return None
    look = Look(
        row.at, row.id, row.key_id, row.experiment, row.target, row.country, row.asn, row.outcome,
        row.mechanisms, row.authority, row.confidence,
    )  # fmt: skip
    return _measured(look, "", "vouched")


def of_columns(cells: "ExportedColumns") -> Measured | None:
    """The look of an exported row; None when it is none."""
    if cells.role != "probe" or not cells.voting or cells.excluded:
        return None
    at = cells.measured_at
    look = Look(
        (instant(at) or 0.0) if isinstance(at, str) else at,
        cells.id or "",
        cells.key or "",
        cells.experiment,
        cells.target,
        cells.country,
        cells.asn,
        cells.outcome,
        cells.mechanisms or "",
        cells.authority or "",
        cells.confidence,
    )
    return _measured(look, cells.origin or "", "vouched" if cells.lab else cells.standing)


def _measured(look: Look, origin: str, standing: str) -> Measured | None:
    if look.experiment == "connectivity":
        line = look._replace(target="", authority="", confidence=LINE_CONFIDENCE)
        return Measured(line, origin, standing)
    if look.target == UNLISTED or look.outcome not in CONCLUSIVE:
        return None
    return Measured(look, origin, standing)


def is_selected(look: Look, wanted: Selection) -> bool:
    """Whether a look of a file is wanted."""
    return (
        wanted.since <= look.at < wanted.until
        and wanted.target in {"", look.target}
        and wanted.country in {"", look.country}
        and wanted.asn in {-1, look.asn}
        and wanted.experiment in {"", look.experiment}
    )


# --- files ---------------------------------------------------------------------------------------


def read_file(path: Path, progress: Callable[[float], None]) -> Iterator[ExportedColumns]:
    """The exported rows of a file, whose name says its format.

    Raises:
        SettingsError: It cannot be read, or is no export with pseudonyms.
    """
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    try:
        if name.endswith(".parquet"):
            yield from _parquet(path, progress)
        elif name.endswith((".jsonl", ".csv")):
            with _opened(path, progress) as file:
                yield from (_jsonl if name.endswith(".jsonl") else _csv)(file, path)
        else:
            raise SettingsError(f"{path}: .jsonl, .csv (also .gz, .zst) or .parquet expected")
    except (OSError, EOFError, UnicodeError, csv.Error) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error


@contextmanager
def _opened(path: Path, progress: Callable[[float], None]) -> Iterator[BinaryIO]:
    """The file's contents, while progress tells which share of the file was read."""
    size = max(1, path.stat().st_size)
    with path.open("rb") as raw, _Told(raw, lambda: progress(raw.tell() / size)) as told:
        buffered = io.BufferedReader(told, 1 << 20)
        packing = export_packing.by_name(path.name)
        if packing == "gzip":
            yield cast("BinaryIO", gzip.GzipFile(fileobj=buffered))
        elif packing == "zstd":
            yield export_packing.zstd().ZstdFile(buffered)
        else:
            yield buffered


class _Told(io.RawIOBase):
    """A file that tells whenever something was read from it."""

    def __init__(self, file: BinaryIO, tell: Callable[[], None]) -> None:
        self._file = file
        self._tell = tell

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        self._tell()
        return len(found)


class _RecordColumns(msgspec.Struct):
    collector: dict[str, bool | float | str | None] | None = None


_line = msgspec.json.Decoder(_RecordColumns)


def _jsonl(file: Iterable[bytes], path: Path) -> Iterator[ExportedColumns]:
    for number, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            columns = _line.decode(text).collector
        except msgspec.MsgspecError as error:
            raise SettingsError(f"{path}:{number}: no record ({error})") from error
        yield _columns(columns or {}, f"{path}:{number}")


def _csv(file: BinaryIO, path: Path) -> Iterator[ExportedColumns]:
    reader = csv.DictReader(io.TextIOWrapper(file, "utf-8", newline=""))
    for number, columns in enumerate(reader, 2):
        yield _columns(columns, f"{path}:{number}")


def _parquet(path: Path, progress: Callable[[float], None]) -> Iterator[ExportedColumns]:
    import duckdb

    try:
        yield from _parquet_rows(duckdb.connect(config=_DUCKDB), path, progress)
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise SettingsError(f"{path}: cannot be read ({reason})") from error


def _parquet_rows(
    connection: Any, path: Path, progress: Callable[[float], None]
) -> Iterator[ExportedColumns]:
    with connection:
        file = [str(path)]
        rows = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", file).fetchall()
        names = ExportedColumns.__struct_fields__
        _require({row[0] for row in rows}, str(path))
        counted = connection.execute("SELECT COUNT(*) FROM read_parquet(?)", file).fetchall()
        found, done = connection.execute(_PARQUET, file), 0
        while page := found.fetchmany(_AT_ONCE):
            done += len(page)
            progress(done / counted[0][0])
            for row in page:
                yield _columns(dict(zip(names, row, strict=True)), str(path))


def _columns(cells: Mapping[str, Any], where: str) -> ExportedColumns:
    """The cells of a row, as text or as they are."""
    _require(cells.keys(), where)
    try:
        return msgspec.convert(cells, ExportedColumns, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: no exported row ({error})") from error


def _require(names: AbstractSet[str], where: str) -> None:
    missing = [name for name in ExportedColumns.__struct_fields__ if name not in names]
    if missing:
        raise SettingsError(
            f"{where}: has no column {missing[0]}; a file that `qazcollector export` made expected"
        )
