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


def test_every_file_that_a_module_keeps_is_known_to_erase() -> None:
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


def test_ours_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    state = tmp_path / "state"
    (state / "spool").mkdir(parents=True)
    (state / "spool" / "1-a.jsonl").write_text("x")
    (state / "keys").symlink_to(outside)
    (state / "consent.json").write_text("{}")
    (state / "diary.txt").write_text("x")
    places = Home(state, state)
    left = erase.erase(erase.found(places), places)
    assert left == [state / "diary.txt"]
    assert (outside / "precious").exists()
    (state / "diary.txt").unlink()
    assert erase.erase(erase.found(places), places) == []
    assert not state.exists()


def test_a_collector_gives_everything_back_and_forgets_the_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as there:
            there.stored["r1"] = b"{}"
            keys = Keys(tmp_path)
            where = endpoint.parse(there.url)
            async with CollectorClient(where) as client:
                await ensure_enrolled(client, keys, keys.identity(there.url, network="home"), None)
            (enrolment,) = keys.enrolments()
            there.override["/v1/probes/me"] = answering(lambda: problem(503, "busy"))
            said = await erase.erase_remote(keys, enrolment, where)
            assert "busy" in (said or "")
            assert keys.enrolments() == (enrolment,)
            there.override.clear()
            assert await erase.erase_remote(keys, enrolment, where) is None
            assert there.stored == {}
            assert keys.enrolments() == ()
            again = keys.remember(keys.identity(there.url, network="home"), "c0ffee")
            assert again.enrolment is not None
            assert (
                await erase.erase_remote(keys, again.enrolment, where) is None
            )  # unknown: nothing

    asyncio.run(scenario())
