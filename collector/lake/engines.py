"""DuckDB on one machine and Spark on many, asked in the same words.

Rule: a table is what the manifest names, never what lies in a folder. Times are in UTC.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from collector.lake import manifest as manifests, questions
from collector.lake.files import LakeFiles
from collector.lake.manifest import TABLES, Manifest, Part
from collector.lake.questions import LakeQuestion
from collector.lake.schema import schema, types
from collector.settings import SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

# What DuckDB may use of its own; the rest of the process takes 150 MB to 250 MB.
MEMORY = "700MB"
EngineName = Literal["duckdb", "spark"]
_BATCH_ROWS = 10_000
_DUCKDB = {"text": "VARCHAR", "flag": "BOOLEAN", "whole": "BIGINT", "number": "DOUBLE"}
_DUCKDB |= {"time": "TIMESTAMPTZ", "bytes": "BLOB"}


class Engine(Protocol):
    """What answers questions about a lake."""

    def answer(self, asked: LakeQuestion, params: Mapping[str, str]) -> "pa.RecordBatchReader":
        """The rows of a question, some at a time, while the engine is open."""

    def ask(self, asked: LakeQuestion, params: Mapping[str, str]) -> "pa.Table":
        """All rows of a question."""


@contextmanager
def engine(
    name: EngineName, files: LakeFiles, *, memory: str = MEMORY, master: str = "local[*]"
) -> Iterator[Engine]:
    """Open an engine on a lake.

    Args:
        memory: How much DuckDB may use.
        master: The address of Spark's cluster.

    Raises:
        ModuleNotFoundError: It is not installed.
        SettingsError: There is no lake.
    """
    known = manifests.read(files)
    if name == "duckdb":
        with _duckdb(files, known, memory) as found:
            yield found
    else:
        with _spark(files, known, master) as found:
            yield found


def _paths(files: LakeFiles, known: Manifest, table: str) -> list[str]:
    return [files.path(part.path) for part in known.of(table)]


@contextmanager
def _one_line(error: type[Exception]) -> Iterator[None]:
    """Tell in one line what an engine has against a question."""
    try:
        yield
    except error as reason:
        first = str(reason).strip().splitlines()[0]
        raise SettingsError(f"lake query: {first}") from reason


class _DuckDb:
    def __init__(self, connection: Any, error: type[Exception]) -> None:
        self._connection, self._error = connection, error

    def answer(self, asked: LakeQuestion, params: Mapping[str, str]) -> "pa.RecordBatchReader":
        given = dict(params) or None
        with _one_line(self._error):
            found = self._connection.sql(questions.with_dollars(asked.sql), params=given)
            # DuckDB 1 names it otherwise.
            is_new = hasattr(found, "to_arrow_reader")
            reader = found.to_arrow_reader if is_new else found.fetch_arrow_reader
            return reader(_BATCH_ROWS)

    def ask(self, asked: LakeQuestion, params: Mapping[str, str]) -> "pa.Table":
        with _one_line(self._error):
            return self.answer(asked, params).read_all()


@contextmanager
def _duckdb(files: LakeFiles, known: Manifest, memory: str) -> Iterator[Engine]:
    import duckdb

    config: dict[str, Any] = {"memory_limit": memory, "preserve_insertion_order": False}
    with _one_line(duckdb.Error):
        opened = duckdb.connect(config=config)
    with opened as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        # A question reads a table twice, and files of a lake do not change.
        connection.execute("SET parquet_metadata_cache = true")
        # As Spark names it.
        connection.execute("CREATE MACRO unix_seconds(t) AS CAST(floor(epoch(t)) AS BIGINT)")
        with _one_line(duckdb.Error):
            for table in TABLES:
                _duckdb_table(connection, files, known, table)
            connection.execute(questions.views())
        yield _DuckDb(connection, duckdb.Error)


def _duckdb_table(connection: Any, files: LakeFiles, known: Manifest, table: str) -> None:
    paths = _paths(files, known, table)
    if not paths:
        columns = [
            f'CAST(NULL AS {_DUCKDB[type_]}) AS "{name}"' for name, type_ in types(table).items()
        ]
        columns += ["CAST(NULL AS DATE) AS dt", "CAST(NULL AS VARCHAR) AS country"]
        connection.execute(
            f"CREATE TEMPORARY VIEW {table} AS SELECT {', '.join(columns)} WHERE false"
        )
    elif files.local:
        sources = " UNION ALL BY NAME ".join(_sources(files, known.of(table)))
        connection.execute(f"CREATE TEMPORARY VIEW {table} AS {sources}")
    else:
        # Object storage by pyarrow: DuckDB's own reader of it is an extension to be fetched.
        connection.register(table, _dataset(files, paths, table))


def _sources(files: LakeFiles, parts: Sequence[Part]) -> Iterator[str]:
    """What reads the files of each version of the columns.

    Those of one version have the same columns, so that DuckDB need not look into every file before
    it begins, and into none of the days that a question leaves out.
    """
    for version in sorted({part.schema for part in parts}, reverse=True):
        paths = [files.path(part.path) for part in parts if part.schema == version]
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        types = "hive_types = {'dt': DATE, 'country': VARCHAR}"
        source = f"read_parquet([{listed}], hive_partitioning = true, {types})"
        yield f"SELECT * FROM {source}"  # noqa: S608 - quoted above


def _dataset(files: LakeFiles, paths: Sequence[str], table: str) -> Any:
    import pyarrow as pa
    from pyarrow import dataset

    partitions = [("dt", pa.date32()), ("country", pa.string())]
    return dataset.dataset(
        list(paths),
        schema=pa.schema([*schema(table), *partitions]),
        format="parquet",
        filesystem=files.system,
        partitioning=dataset.partitioning(pa.schema(partitions), flavor="hive"),
    )


class _Spark:
    def __init__(self, session: Any, error: type[Exception]) -> None:
        self._session, self._error = session, error

    def answer(self, asked: LakeQuestion, params: Mapping[str, str]) -> "pa.RecordBatchReader":
        return self.ask(asked, params).to_reader()

    def ask(self, asked: LakeQuestion, params: Mapping[str, str]) -> "pa.Table":
        with _one_line(self._error):
            return self._session.sql(asked.sql, args=dict(params)).toArrow()


@contextmanager
def _spark(files: LakeFiles, known: Manifest, master: str) -> Iterator[Engine]:
    from collector.lake.spark import spark_errors, spark_session, spark_tables

    with spark_session(master) as session:
        with _one_line(spark_errors()):
            spark_tables(session, files, known)
            session.sql(questions.views())
        yield _Spark(session, spark_errors())
