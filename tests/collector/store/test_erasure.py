"""An erasure leaves nothing: in no table, and in no byte of the files of an embedded store."""

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path

import pytest

from collector.scrubbing import Scrubbing
from collector.store import open_store, sqlite_path
from probe import codec
from probe.api_types import Heartbeat, MissedInterval
from probe.model import Outcome, Record
from tests.collector.api.test_interceptions import intercepted
from tests.collector.harness import CollectorHarness, SigningClient, collector, record
from tests.collector.store.test_schema import dump, execute

MARK = "kangaroo-in-the-basement"


def marked() -> list[Record]:
    """Records of many kinds, with text that is looked for afterwards."""
    records = [record(f"https://{MARK}-{n}.example/") for n in range(40)]
    blocked = record(f"https://{MARK}.example/", outcome=Outcome.BLOCKED)
    return [*records, blocked, intercepted()]


async def fill(harness: CollectorHarness) -> SigningClient:
    sender = await harness.probe()
    batch = codec.pack(map(codec.encode, marked()))
    assert (await sender.post(batch)).status == 200
    reported = MissedInterval(since=3600, until=1800, reach="nothing", country="KZ", asn=9198)
    beat = Heartbeat(country="KZ", asn=9198, unheard=(reported,))
    await sender.ask("POST", "/v1/heartbeat", codec.encode(beat))
    return sender


def traces(folder: Path, *texts: str) -> dict[str, list[str]]:
    """The files in which any of these texts is found."""
    found = {}
    for file in folder.iterdir():
        content = file.read_bytes()
        names = [text for text in texts if text.encode() in content]
        if names:
            found[file.name] = names
    return found


@pytest.mark.parametrize("wait", [False, True], ids=["before judging", "after judging"])
def test_no_table_has_a_trace_of_an_erased_key(
    tmp_path: Path, any_store: str, *, wait: bool
) -> None:
    async def scenario() -> str:
        async with collector(tmp_path, store=any_store) as harness:
            stays = await harness.probe()
            await stays.send(record())
            leaves = await fill(harness)
            if wait:
                await harness.judged()
            assert (await leaves.ask("DELETE", "/v1/probes/me")).status == 200
            await harness.judged()
            return leaves.key_id

    key_id = asyncio.run(scenario())
    for table, rows in dump(any_store).items():
        text = repr(rows)
        assert key_id not in text, table
        assert MARK not in text, table


def test_no_byte_of_the_files_has_a_trace_of_an_erased_key(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()

    async def scenario() -> None:
        async with collector(tmp_path, store=f"sqlite:///{folder}/store.sqlite3") as harness:
            stays = await harness.probe()
            await stays.send(record())
            leaves = await fill(harness)
            await harness.judged()
            assert traces(folder, MARK, leaves.key_id)
            assert (await leaves.ask("DELETE", "/v1/probes/me")).status == 200
            # At once, in the file and its log, while the collector serves on.
            assert traces(folder, MARK, leaves.key_id) == {}
            await stays.send(record())

    asyncio.run(scenario())


def test_a_reader_delays_the_scrubbing_and_not_the_reply(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite3"

    async def scenario() -> None:
        store = await open_store(f"sqlite:///{file}")
        scrubbing = Scrubbing(store)
        reader = sqlite3.connect(file, isolation_level=None)
        with contextlib.closing(reader):
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM meta").fetchone()
            execute(f"sqlite:///{file}", f"INSERT INTO meta VALUES ('{MARK}', '')")
            execute(f"sqlite:///{file}", f"DELETE FROM meta WHERE name = '{MARK}'")
            began = time.monotonic()
            await scrubbing.scrub(0.2)
            assert time.monotonic() - began < 10
            assert traces(tmp_path, MARK)
            reader.execute("COMMIT")
        async with asyncio.timeout(30):
            while traces(tmp_path, MARK):  # noqa: ASYNC110 - files tell of no changes
                await asyncio.sleep(0.05)
        await scrubbing.close()
        await store.close()

    asyncio.run(scenario())
    assert sqlite_path(f"sqlite:///{file}") == file
