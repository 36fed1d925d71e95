import ast
import asyncio
from pathlib import Path

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
        for path in PROBE.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and "/" not in node.value.value  # a path in the package is not kept in the home
        and {"FILE", "LOCK", "SECRET", "UPDATED"} & {getattr(t, "id", "") for t in node.targets}
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


def test_erase_remote_deletes_the_records_and_the_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            server.stored["r1"] = b"{}"
            keys = Keys(tmp_path)
            where = endpoint.parse(server.url)
            async with CollectorClient(where) as client:
                await ensure_enrolled(client, keys, keys.identity(server.url, network="home"), None)
            (enrolment,) = keys.enrolments()
            server.override["/v1/probes/me"] = answering(lambda: problem(503, "busy"))
            said = await erase.erase_remote(keys, enrolment, where)
            assert "busy" in (said or "")
            assert keys.enrolments() == (enrolment,)
            server.override.clear()
            assert await erase.erase_remote(keys, enrolment, where) is None
            assert server.stored == {}
            assert keys.enrolments() == ()
            again = keys.remember(keys.identity(server.url, network="home"), "c0ffee")
            assert again.enrolment is not None
            assert (
                await erase.erase_remote(keys, again.enrolment, where) is None
            )  # unknown: nothing

    asyncio.run(scenario())
