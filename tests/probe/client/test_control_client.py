import asyncio
import time
from pathlib import Path

from aiohttp import web

from probe.api_types import ControlFound, RecheckAsk, RecheckJob
from probe.client import endpoint as place
from probe.client.collector_client import CollectorClient
from probe.client.control_client import PIECE, ControlClient, answer_rechecks
from probe.client.enrolment import ensure_enrolled
from probe.client.keys import Keys
from probe.model import Control, Record, Vantage
from tests.probe.fake_collector import FakeCollector, answering, problem

URL = "https://a.example/"


def seen(*ages: float, url: str = URL) -> ControlFound:
    controls = tuple(Control(id=f"c{age}", age=age) for age in ages)
    return ControlFound(input=url, observations=controls)


def desk(home: Path, *urls: str, patience: float = 2.0) -> ControlClient:
    return ControlClient([place.parse(url) for url in urls], Keys(home), patience=patience)


def test_what_controls_saw_comes_nearest_first_each_once_and_only_as_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        there = FakeCollector(
            controls=(seen(-600, -30, 5), seen(-1, url="https://unasked.example/"))
        )
        also = FakeCollector(controls=(seen(-30, -7),))
        async with there, also, desk(tmp_path, there.url, also.url) as asked:
            found = await asked.controls([URL])
            assert {url: [one.age for one in controls] for url, controls in found.items()} == {
                URL: [0.0, -7.0, -30.0, -600.0]
            }
            assert asked.answered
            assert abs(asked.clock_offset or 9.0) < 2

    asyncio.run(scene())


def test_many_targets_are_asked_about_in_pieces(tmp_path: Path) -> None:
    async def scene() -> None:
        many = [f"https://{number}.example/" for number in range(2 * PIECE)]
        there = FakeCollector(controls=(seen(-1, url=many[0]), seen(-2, url=many[-1])))
        async with there, desk(tmp_path, there.url) as asked:
            assert set(await asked.controls(many)) == {many[0], many[-1]}
            assert [path.count("input=") for path in there.requests] == [PIECE, PIECE]

    asyncio.run(scene())


def test_a_dead_or_mute_collector_costs_a_moment_and_is_no_exception(tmp_path: Path) -> None:
    async def mute(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1)
        return web.Response()

    async def scene() -> None:
        async with FakeCollector() as gone:
            dead = gone.url
        async with (
            FakeCollector(override={"/v1/control": mute, "/v1/vantage": mute}) as there,
            desk(tmp_path, dead, there.url, patience=0.2) as asked,
        ):
            started = time.monotonic()
            assert await asked.controls([URL]) == {}
            assert await asked.vantage() is None
            assert time.monotonic() - started < 0.8
            assert not asked.answered
            assert set(asked.problems) == {dead, there.url}

    asyncio.run(scene())


def test_a_refusal_shows_that_the_line_lives(tmp_path: Path) -> None:
    async def scene() -> None:
        async with FakeCollector() as there, desk(tmp_path, there.url) as asked:
            there.override["/v1/control"] = answering(lambda: problem(403, "closed"))
            assert await asked.controls([URL]) == {}
            assert asked.answered
            assert asked.heard == []  # on this machine: that says nothing of the line

    asyncio.run(scene())


def test_a_recheck_enrols_first_and_again_when_we_were_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        async with FakeCollector(controls=(seen(-1),)) as there, desk(tmp_path, there.url) as asked:
            ask = [RecheckAsk(input=URL, addresses=("192.0.2.1",))]
            assert [one.age for one in (await asked.recheck(ask))[URL]] == [-1.0]
            there.keys.clear()
            assert URL in await asked.recheck(ask)
            assert await asked.recheck([]) == {}
            vantage = await asked.vantage()
            assert vantage is not None
            assert vantage.asn == 9198

    asyncio.run(scene())


def test_no_collector_means_nothing_is_known(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as asked:
            assert await asked.controls([URL]) == {}
            assert await asked.recheck([RecheckAsk(input=URL)]) == {}
            assert not asked.answered
            assert asked.clock_offset is None

    asyncio.run(scene())


def looked(job: RecheckJob) -> Record:
    return Record(
        id=f"look-{job.id}",
        run="run",
        experiment="web",
        input=job.input,
        started_at="2026-11-21T21:39:05.123Z",
        elapsed=1.0,
        vantage=Vantage(role="control"),
    )


def test_a_control_looks_at_what_is_listed_and_sends_it_at_once(tmp_path: Path) -> None:
    asked: list[str] = []

    async def measure(job: RecheckJob) -> Record | None:
        asked.append(job.input)
        return looked(job)

    async def scene() -> None:
        jobs = [
            RecheckJob(id="1", input=URL),
            RecheckJob(id="2", input=URL),
            RecheckJob(id="3", input="http://not.listed.example/"),
        ]
        async with FakeCollector(jobs=jobs) as there:
            keys = Keys(tmp_path)
            async with CollectorClient(place.parse(there.url)) as client:
                identity = keys.identity(there.url, role="control")
                await ensure_enrolled(client, keys, identity, None)
                task = asyncio.create_task(answer_rechecks(client, measure, listed={URL}, poll=0.1))
                for _ in range(500):
                    if there.stored:
                        break
                    await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait((task,))
            assert asked == [URL]
            assert set(there.stored) == {"look-2"}

    asyncio.run(scene())


def test_a_control_outlives_its_collector(tmp_path: Path) -> None:
    warnings: list[str] = []

    async def scene() -> None:
        async with FakeCollector() as there:
            keys = Keys(tmp_path)
            there.override["/v1/recheck"] = answering(lambda: problem(503, "busy"))
            async with CollectorClient(place.parse(there.url)) as client:
                await ensure_enrolled(client, keys, keys.identity(there.url, role="control"), None)

                async def never(_: RecheckJob) -> Record | None:
                    raise AssertionError

                task = asyncio.create_task(
                    answer_rechecks(client, never, poll=0.1, warn=warnings.append)
                )
                await asyncio.sleep(0.3)
                assert not task.done()
                task.cancel()
                await asyncio.wait((task,))

    asyncio.run(scene())
    assert any("busy" in line for line in warnings)
