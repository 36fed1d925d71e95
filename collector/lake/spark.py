"""A session of Apache Spark, and the tables of a lake in it.

Rule: Spark is imported by its name when it is asked for: it takes half a gigabyte, and whoever
checks the types of this program does not need it.
"""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from collector.lake.files import LakeFiles
from collector.lake.manifest import TABLES, Manifest
from collector.lake.schema import types
from collector.settings import SettingsError

_TYPES = {"text": "STRING", "flag": "BOOLEAN", "whole": "BIGINT", "number": "DOUBLE"}
_TYPES |= {"time": "TIMESTAMP", "bytes": "BINARY"}
_MASTER = re.compile(r"(?:spark://|,)(\[[^]]+\]|[^:,]+):(\d{1,5})(?=,|$)")
_PATIENCE = 10.0  # s, for a connection to a master


@contextmanager
def spark_session(master: str) -> Iterator[Any]:
    """A session that ends with the block, unless there was one; its processes use this Python.

    Raises:
        ModuleNotFoundError: Spark is not installed.
        SettingsError: It does not start.
    """
    sql = import_module("pyspark.sql")
    _check_reachable(master)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    if master.startswith("local"):
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    if (running := sql.SparkSession.getActiveSession()) is not None:
        yield running  # the caller that began it ends it
        return
    made = (
        sql.SparkSession.builder.master(master)
        .appName("qazcollector lake")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        # A laptop's worth: with 200, most parts of an aggregate are empty.
        .config("spark.sql.shuffle.partitions", "8")
    )
    if master.startswith("local"):
        made = made.config("spark.driver.host", "127.0.0.1")
        made = made.config("spark.driver.bindAddress", "127.0.0.1")
    try:
        session = made.getOrCreate()
    except (spark_errors(), import_module("py4j.protocol").Py4JError) as error:
        first = str(error).strip().splitlines()[0]
        raise SettingsError(f"Spark at {master}: {first}") from error
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()


def _check_reachable(master: str) -> None:
    """Raise a SettingsError where no master of a cluster of Spark's own answers.

    Spark itself tries again for minutes and says nothing. Of several masters one has to answer.
    """
    reasons = []
    for host, port in _MASTER.findall(master):
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except (OSError, OverflowError) as error:
            reasons.append(f"{host}:{port}: {error}")
        else:
            return
    if reasons:
        raise SettingsError(f"Spark at {master}: no master answers ({'; '.join(reasons)})")


def spark_errors() -> type[Exception]:
    """What Spark raises about a question."""
    found: type[Exception] = import_module("pyspark.errors").PySparkException
    return found


def spark_tables(session: Any, files: LakeFiles, known: Manifest) -> None:
    """Give the session the tables of a lake."""
    for table in TABLES:
        columns = ", ".join(f"`{name}` {_TYPES[type_]}" for name, type_ in types(table).items())
        columns += ", dt DATE, country STRING"
        paths = [spark_path(files, part.path) for part in known.of(table)]
        if paths:
            reader = session.read.schema(columns).option("basePath", spark_path(files, table))
            found = reader.parquet(*paths)
        else:
            found = session.createDataFrame([], columns)
        found.createOrReplaceTempView(table)


def spark_path(files: LakeFiles, name: str) -> str:
    """The address by which Spark knows a file: Hadoop's name of S3 is `s3a`."""
    if files.local:
        return f"file://{files.path(name)}"
    return f"s3a://{files.path(name)}"
