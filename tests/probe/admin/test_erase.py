"""What erase removes, what it asks of collectors, and what it keeps of one it cannot reach."""

import ast
import asyncio
import base64
import os
import shutil
from pathlib import Path

import pytest

from probe.admin import erase
from probe.client import endpoint
from probe.client.collector_client import CollectorClient
from probe.client.enrolment import ensure_enrolled
from probe.client.keys import Keys
from probe.paths import Home
from tests.probe.fake_collector import FakeCollector, answering, problem

PROBE = Path(__file__).parents[3] / "probe"


def test_erase_knows_every_file_of_the_modules() -> None:
    kept = {
        node.value.value
        for path in PROBE.rglob("*.py")
        if "lab" not in path.parts
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and "/" not in node.value.value  # a path in the package is not kept in the home
        and {"FILE", "LOCK", "SECRET", "UPDATED", "FOLDER", "PENDING", "QUOTA_FILE", "SERVERS_FILE"}
        & {getattr(t, "id", "") for t in node.targets}
    }
    assert kept
    assert kept <= {*erase.FILES, *erase.FOLDERS}


def test_only_files_of_the_program_are_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    state = tmp_path / "state"
    (state / "spool").mkdir(parents=True)
    (state / "spool" / "1-a.jsonl").write_text("x")
    (state / "keys").symlink_to(outside)
    (state / "consent.json").write_text("{}")
    (state / "diary.txt").write_text("x")
    home = Home(state, state)
    left = erase.erase(erase.found(home), home)
    assert left == [state / "diary.txt"]
    assert (outside / "precious").exists()
    (state / "diary.txt").unlink()
    assert erase.erase(erase.found(home), home) == []
    assert not state.exists()


def test_a_collector_deletes_the_records_and_what_cannot_be_asked_is_kept(tmp_path: Path) -> None:
    async def enrolled(server: FakeCollector, keys: Keys) -> None:
        server.stored["r1"] = b"{}"
        async with CollectorClient(endpoint.parse(server.url)) as client:
            await ensure_enrolled(client, keys, keys.identity(server.url, network="home"), None)

    async def scenario() -> None:
        async with FakeCollector() as server:
            await enrolled(server, Keys(tmp_path))
            asked = erase.collectors_to_ask(tmp_path)
            server.override["/v1/probes/me"] = answering(lambda: problem(503, "busy"))
            (answer,) = await asyncio.to_thread(erase.ask, asked)
            assert "busy" in (answer.problem or "")
            assert answer.retry
            erase.keep(tmp_path, asked)
            shutil.rmtree(tmp_path / "keys")  # the key for this collector is in what is kept
            again = erase.collectors_to_ask(tmp_path)
            assert again == asked
            server.override.clear()
            (answer,) = await asyncio.to_thread(erase.ask, again)
            assert (answer.problem, server.stored) == (None, {})
            (answer,) = await asyncio.to_thread(erase.ask, again)
            assert answer.problem is None  # an unknown key has no records there

    asyncio.run(scenario())


def test_what_is_kept_does_not_link_collectors(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    urls = ("https://a.example", "https://b.example")
    for url in urls:
        keys.remember(keys.identity(url), "c0ffee")
    asked = erase.collectors_to_ask(tmp_path)
    erase.keep(tmp_path, asked[:1])
    kept = (tmp_path / erase.PENDING).read_bytes()
    seed = (tmp_path / "keys/seed").read_bytes()
    assert base64.b64encode(seed) not in kept
    assert asked[1].url.encode() not in kept
    assert (tmp_path / erase.PENDING).stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_a_lost_key_is_told_and_makes_no_new_one(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.remember(keys.identity("https://a.example"), "c0ffee")
    (tmp_path / "keys/seed").unlink()
    (answer,) = erase.ask(erase.collectors_to_ask(tmp_path))
    assert "is lost" in (answer.problem or "")
    assert not answer.retry
    assert not (tmp_path / "keys/seed").exists()


@pytest.mark.parametrize("data", [b"", b"{}", b'[{"enrolment":1}]', b"[" * 9999])
def test_an_unreadable_list_of_collectors_is_empty(tmp_path: Path, data: bytes) -> None:
    (tmp_path / erase.PENDING).write_bytes(data)
    assert erase.collectors_to_ask(tmp_path) == ()
