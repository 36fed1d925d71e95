"""Imported records are judged under a worker's limits, so none of them stops the others."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.admin import importing
from collector.cli import cli
from collector.judging import workers
from collector.store import Operation, backlog, open_store, queries
from collector.store.backlog import NewBatch
from collector.store.queries import Selection
from probe import codec
from probe.model import Record
from tests.collector.harness import collector, record, settings
from tests.collector.judging.poisoned_worker import BUGGY, DEADLY, ENDLESS, FINE, GREEDY, STUCK

POISONED = "tests.collector.judging.poisoned_worker"
FOREIGN = "another-key"


@pytest.fixture
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MODULE", POISONED)
    monkeypatch.setattr(workers, "PAUSE_SECONDS", (0.01, 0.1))


def import_into(url: str, file: Path, *options: str) -> Result:
    return CliRunner().invoke(cli, ["import", "--store", url, str(file), *options])


def write(file: Path, *records: Record) -> Path:
    file.write_bytes(b"\n".join(map(codec.encode, records)))
    return file


def found_in(url: str) -> dict[str, tuple[str, str]]:
    """Outcome, and the reason for no verdict, by input."""

    async def read() -> dict[str, tuple[str, str]]:
        store = await open_store(url)
        try:
            every = queries.page(Selection(), cursor=None, limit=1000)
            rows = await store.read(every)
            return {row.input: (row.outcome, row.unjudged) for row in rows}
        finally:
            await store.close()

    return asyncio.run(read())


@pytest.mark.usefixtures("_poisoned")
def test_no_imported_record_stops_the_others(tmp_path: Path, any_store: str) -> None:
    inputs = (ENDLESS, STUCK, GREEDY, DEADLY, BUGGY, FINE)
    done = import_into(any_store, write(tmp_path / "all.jsonl", *map(record, inputs)))
    assert done.exit_code == 0, done.output
    assert f"{tmp_path}/all.jsonl: 6 stored, all new\n" in done.output
    assert "stored as inconclusive, not judged: time" in done.output
    assert found_in(any_store) == {
        FINE: ("ok", ""),
        ENDLESS: ("inconclusive", "time"),
        BUGGY: ("inconclusive", "bug"),
        STUCK: ("inconclusive", "crash"),
        DEADLY: ("inconclusive", "crash"),
        GREEDY: ("inconclusive", "memory"),
    }


@pytest.mark.usefixtures("_poisoned")
def test_an_import_has_no_quota_of_records_that_cannot_be_judged(tmp_path: Path) -> None:
    sent = [record(ENDLESS) for _ in range(7)]
    url = settings(tmp_path).store
    done = import_into(url, write(tmp_path / "all.jsonl", *sent, record(FINE)))
    assert done.exit_code == 0, done.output
    assert found_in(url)[FINE] == ("ok", "")


@pytest.mark.usefixtures("_poisoned")
def test_an_import_leaves_what_probes_sent_to_their_collector(tmp_path: Path) -> None:
    url = settings(tmp_path).store

    async def prepare() -> None:
        async with collector(tmp_path):
            pass
        store = await open_store(url)
        await store.write(foreign())
        await store.close()

    def foreign() -> Operation[frozenset[int]]:
        body = codec.pack([codec.encode(record())])
        context = '{"key_id":"another-key","role":"probe","lab":false,"now":1.0}'
        return backlog.add(NewBatch(FOREIGN, "probe", 1.0, context, body, [(0, "id")]))

    async def left() -> int:
        store = await open_store(url)
        try:
            return await store.read(backlog.waiting(FOREIGN))
        finally:
            await store.close()

    asyncio.run(prepare())
    done = import_into(url, write(tmp_path / "all.jsonl", record(FINE)))
    assert (done.exit_code, asyncio.run(left())) == (0, 1), done.output


def test_a_judging_process_that_does_not_start_ends_the_import_and_keeps_the_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MODULE", "no.such.module")
    monkeypatch.setattr(workers, "PAUSE_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(importing, "RESTARTS", 2)
    url, file = settings(tmp_path).store, write(tmp_path / "all.jsonl", record(FINE))
    done = import_into(url, file)
    assert "1 records are kept and wait" in str(done.exception)
    monkeypatch.setattr(workers, "MODULE", POISONED)
    monkeypatch.setattr("collector.store.backlog.LEASE_SECONDS", 0.0)
    again = import_into(url, file)
    assert f"{file}: 0 stored, 1 were there" in again.output
    assert found_in(url) == {FINE: ("ok", "")}


@pytest.mark.usefixtures("_poisoned")
def test_a_line_without_an_end_is_refused_in_pieces(tmp_path: Path) -> None:
    file, url = tmp_path / "all.jsonl", settings(tmp_path).store
    good = codec.encode(record(FINE))
    file.write_bytes(b"x" * (5 * codec.LINE_LIMIT) + b"\n" + good)
    done = import_into(url, file)
    assert done.exit_code == 1
    assert f"{file}:1: " in done.output
    assert f"{file}:3: " not in done.output
    assert f"{file}: 1 stored, 1 refused\n" in done.output
