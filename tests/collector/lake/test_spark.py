"""Apache Spark gives what DuckDB and the processes of this machine give, in one session of it."""

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.lake import questions, writing
from collector.lake.engines import Engine, engine
from collector.lake.files import LakeFiles
from collector.lake.spark import spark_session
from collector.settings import SettingsError
from tests.collector.admin.stored_rows import fill, looks
from tests.collector.lake.test_lake import lake, rows_of, written
from tests.collector.lake.test_questions import asked, comparable, history, store_wave
from tests.collector.lake.test_rejudging import laboratory_store

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
pytest.importorskip("pyspark", reason="Spark is not installed: pip install 'qazprobe[spark]'")
pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17 on the PATH"),
]
MASTER = "local[2]"
# Some hundred rows: what compiles questions and code takes longer than it saves.
SMALL = """\
spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.sql.adaptive.enabled false
"""


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One session for all of these tests: it takes longer to begin than everything else."""
    from collector.lake.spark import spark_session

    folder = tmp_path_factory.mktemp("spark")
    (folder / "spark-defaults.conf").write_text(SMALL)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SPARK_CONF_DIR", str(folder))
        with spark_session(MASTER):
            yield


@pytest.fixture(scope="module", autouse=True)
def settled() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writing, "SETTLED_SECONDS", -60.0)
        yield


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, settled: None) -> Iterator[list[Engine]]:
    """DuckDB and Spark on one lake."""
    del settled
    folder = tmp_path_factory.mktemp("history")
    fill(folder, sorted(history(), key=lambda one: one.at))
    store_wave(folder)
    written(folder)
    files = LakeFiles(str(folder / "lake"))
    with engine("duckdb", files) as duckdb, engine("spark", files, master=MASTER) as spark:
        yield [duckdb, spark]


@pytest.mark.parametrize("name", questions.questions())
def test_both_engines_give_the_same_rows(engines: list[Engine], name: str) -> None:
    everything, of_spark = [asked(one, name) for one in engines]
    assert comparable(everything) == comparable(of_spark)
    assert everything


def test_parameters_mean_the_same_to_both_engines(engines: list[Engine]) -> None:
    day = {"since": "2026-11-26", "until": "2026-11-27", "country": "KZ", "target": "slow.example"}
    found, of_spark = [asked(one, "outcomes", **day) for one in engines]
    assert comparable(found) == comparable(of_spark)
    assert {(str(one["day"]), one["target"]) for one in found} == {("2026-11-26", "slow.example")}


def test_spark_gives_the_same_verdicts(tmp_path: Path) -> None:
    laboratory_store(tmp_path)
    lake(tmp_path, "rejudge", "--processes", "1")
    local = {one["id"]: one["outcome"] for one in rows_of(tmp_path, "verdicts")}
    lake(tmp_path, "rejudge", "--engine", "spark", "--master", MASTER)
    assert {one["id"]: one["outcome"] for one in rows_of(tmp_path, "verdicts")} == local


def test_spark_tells_the_same_events(tmp_path: Path) -> None:
    fill(tmp_path, sorted(looks(), key=lambda one: one.at))
    written(tmp_path)
    local = lake(tmp_path, "events", "--processes", "1").stdout
    assert local.count("\n") == 1
    told = lake(tmp_path, "events", "--engine", "spark", "--master", MASTER)
    assert told.stdout == local


def test_a_session_that_was_there_goes_on() -> None:
    """A notebook's session is not ours to end."""
    from collector.lake.spark import spark_session

    with spark_session(MASTER) as found:
        pass
    with spark_session(MASTER) as again:
        assert again.sparkContext is found.sparkContext
        assert again.sql("SELECT 1").count() == 1


def test_a_master_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        master = f"spark://127.0.0.1:{unused.getsockname()[1]},[::1]:1"
        refused = re.escape(f"{master}: no master answers (") + ".*refused"
        with pytest.raises(SettingsError, match=refused), spark_session(master):
            pass
