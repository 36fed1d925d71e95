"""A lake on object storage: every command against a server that speaks S3, on this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from collector.cli import cli
from collector.lake import writing
from collector.lake.files import LakeFiles
from collector.settings import SettingsError
from tests.collector.admin.stored_rows import NOON, fill, row, url_of
from tests.collector.admin.test_import_ooni import CHOSEN, archive
from tests.collector.lake.test_lake import erase, some

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
moto = pytest.importorskip("moto.server", reason="moto[s3], flask and flask-cors are not installed")


@pytest.fixture(scope="module")
def options() -> Iterator[str]:
    """What an address of this server has behind the question mark; the bucket is `years`."""
    from pyarrow import fs

    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        found = f"scheme=http&endpoint_override={host}:{port}&region=us-east-1"
        made, _ = fs.FileSystem.from_uri(f"s3://years?{found}&allow_bucket_creation=true")
        made.create_dir("years")
        yield found
    server.stop()


@pytest.fixture
def root(options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a lake of this test's own."""
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)
    return f"s3://years/{tmp_path.name}?{options}"


def lake(root: str, *words: str) -> Result:
    done = CliRunner().invoke(cli, ["lake", *words, "--lake", root])
    assert done.exit_code == 0, done.output or done.exception
    return done


def count(root: str, table: str = "measurements") -> int:
    answer = lake(root, "query", "--sql", f"SELECT COUNT(*) FROM {table}").stdout
    return int(answer.splitlines()[1])


def test_every_command_works_there(root: str, tmp_path: Path) -> None:
    for number in range(2):
        fill(tmp_path, [row(number, "ab"[number])])
        assert "1 records" in lake(root, "write", "--store", url_of(tmp_path)).stdout
    assert (count(root), count(root, "steps") > 2) == (2, True)
    assert lake(root, "query", "sites").stdout.count("\n") == 2
    assert lake(root, "check").stdout == ""
    assert "files fewer" in lake(root, "compact").stdout
    assert "2 judged again" in lake(root, "rejudge", "--processes", "1").stdout
    assert lake(root, "events", "--quorum", "1", "--processes", "1").stdout.count("\n") == 1
    erase(url_of(tmp_path), "a")
    assert (
        "1 records of erased keys removed"
        in lake(root, "write", "--store", url_of(tmp_path)).stdout
    )
    assert (count(root), count(root, "verdicts")) == (1, 1)
    assert "files dropped" in lake(root, "prune", "--before", "2030-01-01").stdout
    assert (count(root), lake(root, "check").stdout) == (0, "")


def test_an_archive_is_imported_there_and_a_store_dropped_that_is_there(
    root: str, tmp_path: Path
) -> None:
    file = archive(tmp_path / "a.jsonl.gz", CHOSEN)
    told = lake(root, "import", "--format", "ooni", "--as", "kz-2019", str(file)).stdout
    assert "4 records, " in told
    fill(tmp_path, [row(0, "a")])
    limits = ("--store", url_of(tmp_path), "--days", "1", "--trust-clock")
    lake(root, "write", "--store", url_of(tmp_path))
    assert lake(root, "retire", *limits).stdout.startswith("1 records dropped")
    assert count(root) == 5


def test_a_writer_that_is_killed_there_leaves_the_lake_readable(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, some(3))
    lake(root, "write", "--store", url_of(tmp_path))
    fill(tmp_path, [row(number, at=NOON + number) for number in range(10, 14)])
    write, files = LakeFiles.write, list[str]()

    def killed(self: LakeFiles, name: str, content: bytes) -> None:
        if len(files) == 2:
            raise KeyboardInterrupt
        files.append(name)
        write(self, name, content)

    with monkeypatch.context() as patched:
        patched.setattr(LakeFiles, "write", killed)
        words = ["lake", "write", "--store", url_of(tmp_path), "--to", root]
        assert CliRunner().invoke(cli, words).exit_code != 0
    assert len(files) == 2
    assert count(root) == 3
    told: Any = CliRunner().invoke(cli, ["lake", "check", "--lake", root])
    assert told.stdout.splitlines() == [f"{name}: not in the manifest" for name in sorted(files)]
    assert "4 records" in lake(root, "write", "--store", url_of(tmp_path)).stdout
    assert (count(root), lake(root, "check").stdout) == (7, "")


def test_what_is_not_there_is_one_line(options: str, tmp_path: Path) -> None:
    fill(tmp_path, some(1))
    for words in (("check",), ("write", "--store", url_of(tmp_path))):
        where = f"s3://nobodys/lake?{options}"
        done = CliRunner().invoke(cli, ["lake", *words, "--lake", where])
        assert isinstance(done.exception, SettingsError)
        assert where in str(done.exception)
        assert "\n" not in str(done.exception)
