"""Records of several collectors in one lake: each once, with their origin, and gone when erased."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, strategies as st

from collector.cli import cli
from collector.lake import pulling, remote, writing
from collector.lake.files import LakeFiles
from collector.lake.pulling import LakePull
from collector.settings import SettingsError
from probe.model import Mechanism, Outcome, Record
from tests.collector.admin.stored_rows import fill, row
from tests.collector.harness import CollectorHarness, SigningClient, collector, record
from tests.collector.lake.test_lake import manifest, rows_of, written

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
TOKEN = "a-token-of-thirty-characters-or-so"


def pull(folder: Path, url: str, *words: str) -> Result:
    given = ("--since", "2020-01-01", "--token-file", str(folder / "token"))
    return CliRunner().invoke(cli, ["pull", url, "--to", str(folder / "lake"), *given, *words])


async def pulled(folder: Path, harness: CollectorHarness, *words: str) -> Result:
    done = await asyncio.to_thread(pull, folder, harness.url, *words)
    assert done.exit_code == 0, done.output
    return done


def with_collector(
    folder: Path, name: str, work: Callable[[CollectorHarness], Coroutine[Any, Any, None]]
) -> None:
    """Do something with a collector that has a store of its own."""
    token = folder / "token"
    token.write_text(TOKEN)
    (folder / name).mkdir(exist_ok=True)

    async def scenario() -> None:
        async with collector(
            folder / name, public_min_probes=3, operator_token_file=token
        ) as harness:
            await work(harness)

    asyncio.run(scenario())


def blocked() -> Record:
    return record(outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_TIMEOUT,))


def test_two_collectors_are_one_lake(tmp_path: Path) -> None:
    both = record()

    async def first(harness: CollectorHarness) -> None:
        await (await harness.probe()).send(both, blocked())
        assert "2 records, 0 known" in (await pulled(tmp_path, harness, "--trusted")).stdout
        assert "2 records, 0 known, 2 replaced" in (await pulled(tmp_path, harness)).stdout

    async def second(harness: CollectorHarness) -> None:
        await (await harness.probe()).send(both, record(), record())
        assert "2 records, 1 known" in (await pulled(tmp_path, harness)).stdout

    with_collector(tmp_path, "a", first)
    with_collector(tmp_path, "b", second)
    found = rows_of(tmp_path, "measurements")
    assert len({one["id"] for one in found}) == len(found) == 4
    assert len({part.origin for part in manifest(tmp_path).parts}) == 2
    assert {one["standing"] for one in found} == {"stranger"}
    steps = rows_of(tmp_path, "steps")
    assert {one["id"] for one in steps} == {one["id"] for one in found}
    checked = CliRunner().invoke(cli, ["lake", "check", "--lake", str(tmp_path / "lake")])
    assert checked.output == ""


def test_what_was_erased_there_is_gone_here_after_the_next_pull(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        gone, stays = await harness.probe(), await harness.probe()
        await gone.send(record())
        kept = blocked()
        await stays.send(kept)
        await pulled(tmp_path, harness)
        await erase(gone)
        await pulled(tmp_path, harness)
        for table in ("measurements", "votes", "steps"):
            assert {one["id"] for one in rows_of(tmp_path, table)} == {kept.id}

    async def erase(client: SigningClient) -> None:
        reply = await client.ask("DELETE", "/v1/probes/me")
        assert reply.status in {200, 204}, reply.body

    with_collector(tmp_path, "a", scenario)


def test_without_the_token_comes_what_the_public_may_see(tmp_path: Path) -> None:
    async def scenario(harness: CollectorHarness) -> None:
        await (await harness.probe()).send(record())
        (tmp_path / "token").write_text("")
        done = await pulled(tmp_path, harness)
        assert "0 records" in done.stdout
        assert "1 lines are no records" in done.stderr

    with_collector(tmp_path, "a", scenario)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://collector.example", "https://HOST expected"),
        ("ftp://127.0.0.1", "https://HOST expected"),
        ("nonsense", "https://HOST expected"),
        ("http://127.0.0.1:9", "127.0.0.1"),
    ],
)
def test_an_address_without_a_collector_is_one_line(tmp_path: Path, url: str, told: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    done = pull(tmp_path, url)
    assert done.exit_code != 0
    assert told in str(done.exception)
    assert not (tmp_path / "lake" / "manifest.json").exists()


def test_an_authority_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    done = pull(tmp_path, "https://127.0.0.1:9", "--ca-file", str(tmp_path / "token"))
    assert "a certificate in PEM expected" in str(done.exception)


LINE = {
    "id": "x",
    "steps": [{"op": "tcp", "address": "192.0.2.1", "port": 443}],
    "collector": {"id": "x", "measured_at": "2026-11-25T10:00:00Z", "country": "KZ"},
}


def test_a_line_that_is_none_is_counted(tmp_path: Path) -> None:
    one = LakePull(LakeFiles(str(tmp_path)), "origin", "2026-11-01", "2026-12-01")
    columns = LINE["collector"]
    assert isinstance(columns, dict)
    for change in (
        {"country": "../.."},
        {"country": 7},
        {"id": None},
        {"measured_at": "yesterday"},
        {"measured_at": 5},
        {"coarse": True},
    ):
        one.add(msgspec.json.encode({**LINE, "collector": {**columns, **change}}))
    for text in (b"", b"[]", b"{}", b'{"collector":[]}', b"\xff", b"[" * 100_000):
        one.add(text)
    one.add(msgspec.json.encode({**LINE, "steps": 5}))
    one.add(msgspec.json.encode({**LINE, "certs": {"a": "no base64"}}))
    assert (one.done.records, one.done.refused) == (0, 14)
    one.add(msgspec.json.encode(LINE))
    one.add(
        msgspec.json.encode(
            {**LINE, "collector": {**columns, "measured_at": "2026-12-09T10:00:00Z"}}
        )
    )
    assert one.finish().records == 1


HOSTILE = (
    {"country": "A/"},
    {"country": "A\0"},
    {"measured_at": "0001-01-01T00:00:00Z"},
    {"measured_at": "9999-12-31T23:59:59Z"},
    {"id": "\ud800"},
    {"confidence": 2**70, "asn": 2**63, "voting": "yes", "role": 5, "target": 7, "outcome": 1.5},
    {"measured_at": "2026-11-25T10:00:00Z", "started_at": "0001-01-01T00:00:00+14:00"},
)
HOSTILE_STEPS: tuple[Any, ...] = (
    {"trust": "text"},
    {"trust": {"authority": 5}},
    {"replies": 5},
    {"replies": {"a": 1}},
    {"replies": [5]},
    {"replies": [{"answers": [5]}]},
    {"chain": 5},
    {"chain": {"a": 1}},
    {"name": ["a"], "sni": {}, "port": 2**80, "at": "x", "address": "\ud800"},
    {"failure": [], "try_": {}},
)


@pytest.mark.parametrize("number", range(len(HOSTILE) + len(HOSTILE_STEPS)))
def test_no_line_stops_a_pull(tmp_path: Path, number: int) -> None:
    one = LakePull(LakeFiles(str(tmp_path)), "origin", "0001-01-01", "9999-12-31")
    columns: Any = LINE["collector"]
    line: Any = {**LINE, "collector": {**columns, "id": "odd"}, "id": "odd"}
    if number < len(HOSTILE):
        line["collector"] |= HOSTILE[number]
    else:
        line["steps"] = [{"op": "tls", **HOSTILE_STEPS[number - len(HOSTILE)]}]
    one.add(json.dumps(line).encode())
    one.add(msgspec.json.encode(LINE))
    done = one.finish()
    assert done.records >= 1
    assert done.refused <= 1
    assert "x" in {found["id"] for found in rows_of(tmp_path.parent, "measurements", tmp_path.name)}


def test_no_collector_takes_the_place_of_the_store_that_writes_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SETTLED_SECONDS", -60.0)
    fill(tmp_path, [row(1), row(2)])
    written(tmp_path)
    (origin,) = manifest(tmp_path).origins

    async def own(_: object, __: object) -> Any:
        return origin

    async def scenario(harness: CollectorHarness) -> None:
        await (await harness.probe()).send(record())
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(remote, "_origin", own)
            done = await asyncio.to_thread(pull, tmp_path, harness.url)
        assert isinstance(done.exception, SettingsError), done.output
        assert "from its store" in str(done.exception)

    with_collector(tmp_path, "a", scenario)
    assert {one["id"] for one in rows_of(tmp_path, "measurements")} == {row(1).id, row(2).id}


def test_large_records_are_written_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "_LOT_BYTES", 2_000_000)
    one = LakePull(LakeFiles(str(tmp_path / "lake")), "origin", "2026-11-01", "2026-12-01")
    columns: Any = LINE["collector"]
    for number in range(10):
        id_ = {"id": str(number)}
        step = {"op": "http", "failure": "x" * 500_000}
        one.add(msgspec.json.encode({**LINE, **id_, "steps": [step], "collector": columns | id_}))
    assert len(list((tmp_path / "lake" / "steps").rglob("*.parquet"))) == 2
    assert one.finish().records == 10


def test_a_pulled_record_is_no_import_of_the_operators(tmp_path: Path) -> None:
    one = LakePull(LakeFiles(str(tmp_path / "lake")), "origin", "2026-11-01", "2026-12-01")
    columns: Any = LINE["collector"]
    one.add(msgspec.json.encode({**LINE, "collector": {**columns, "imported": True}}))
    one.finish()
    assert [found["imported"] for found in rows_of(tmp_path, "measurements")] == [None]


@given(
    pieces=st.lists(
        st.binary(max_size=40).map(lambda data: data.replace(b"x", b"\n")), max_size=20
    ),
    limit=st.integers(4, 12),
)
def test_lines_are_bounded_however_they_arrive(pieces: list[bytes], limit: int) -> None:
    class Content:
        async def iter_chunked(self, _: int) -> Any:
            for piece in pieces:
                yield piece

    async def read() -> list[bytes]:
        return [line async for line in remote._lines(Content())]  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remote, "LINE_BYTES", limit)
        found = asyncio.run(read())
    assert all(0 < len(line) <= max(limit, 40) for line in found)
    short = [line for line in b"".join(pieces).split(b"\n") if line.strip() and len(line) <= limit]
    assert [line for line in found if line in short] == short or len(found) >= len(short)
    assert pulling.LINE_BYTES > 512 * 1024
