import asyncio
from pathlib import Path

from aiohttp import web

from probe.api_types import RecheckJob, RecheckTarget, TargetControls
from probe.client import endpoint
from probe.client.collector_client import CollectorClient
from probe.client.control_client import QUERY_TARGETS, ControlClient, answer_rechecks
from probe.client.enrolment import ensure_enrolled
from probe.client.keys import Keys
from probe.model import Control, Record, Vantage
from tests.probe.fake_collector import FakeCollector, answering, problem

URL = "https://a.example/"


def found_controls(*ages: float, url: str = URL) -> TargetControls:
    controls = tuple(Control(id=f"c{age}", age=age) for age in ages)
    return TargetControls(input=url, observations=controls)


def control_client(home: Path, *urls: str, timeout: float = 2.0) -> ControlClient:
    return ControlClient([endpoint.parse(url) for url in urls], Keys(home), timeout=timeout)


def test_observations_are_merged_newest_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        collector = FakeCollector(
            controls=(
                found_controls(-600, -30, 5),
                found_controls(-1, url="https://unasked.example/"),
            )
        )
        also = FakeCollector(controls=(found_controls(-30, -7),))
        async with collector, also, control_client(tmp_path, collector.url, also.url) as client:
            found = await client.controls([URL])
            assert {url: [one.age for one in controls] for url, controls in found.items()} == {
                URL: [0.0, -7.0, -30.0, -600.0]
            }
            assert client.answered
            assert abs(client.clock_offset or 9.0) < 2

    asyncio.run(scenario())


def test_many_targets_are_queried_in_parts(tmp_path: Path) -> None:
    async def scenario() -> None:
        many = [f"https://{number}.example/" for number in range(2 * QUERY_TARGETS)]
        collector = FakeCollector(
            controls=(found_controls(-1, url=many[0]), found_controls(-2, url=many[-1]))
        )
        async with collector, control_client(tmp_path, collector.url) as client:
            assert set(await client.controls(many)) == {many[0], many[-1]}
            assert [path.count("input=") for path in collector.requests] == [
                QUERY_TARGETS,
                QUERY_TARGETS,
            ]

    asyncio.run(scenario())


def test_a_dead_or_silent_collector_times_out_without_an_exception(tmp_path: Path) -> None:
    async def mute(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async def scenario() -> None:
        async with FakeCollector() as gone:
            dead = gone.url
        async with (
            FakeCollector(override={"/v1/control": mute, "/v1/vantage": mute}) as collector,
            control_client(tmp_path, dead, collector.url, timeout=0.2) as client,
        ):
            async with asyncio.timeout(30):
                assert await client.controls([URL]) == {}
                assert await client.vantage() is None
            assert not client.answered
            assert set(client.problems) == {dead, collector.url}

    asyncio.run(scenario())


def test_a_refusal_shows_that_the_connection_works(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as collector, control_client(tmp_path, collector.url) as client:
            collector.override["/v1/control"] = answering(lambda: problem(403, "closed"))
            assert await client.controls([URL]) == {}
            assert client.answered
            assert client.answer_times == []  # on this machine: that says nothing of the line

    asyncio.run(scenario())


def test_a_recheck_enrols_and_re_enrols(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            FakeCollector(controls=(found_controls(-1),)) as collector,
            control_client(tmp_path, collector.url) as client,
        ):
            ask = [RecheckTarget(input=URL, addresses=("192.0.2.1",))]
            assert [one.age for one in (await client.recheck(ask))[URL]] == [-1.0]
            collector.keys.clear()
            assert URL in await client.recheck(ask)
            assert await client.recheck([]) == {}
            vantage = await client.vantage()
            assert vantage is not None
            assert vantage.asn == 9198

    asyncio.run(scenario())


def test_without_a_collector_there_are_no_controls(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with control_client(tmp_path) as client:
            assert await client.controls([URL]) == {}
            assert await client.recheck([RecheckTarget(input=URL)]) == {}
            assert not client.answered
            assert client.clock_offset is None

    asyncio.run(scenario())


def control_record(job: RecheckJob) -> Record:
    return Record(
        id=f"control-{job.id}",
        run="run",
        experiment="web",
        input=job.input,
        started_at="2026-11-21T21:39:05.123Z",
        elapsed=1.0,
        vantage=Vantage(role="control"),
    )


def test_a_control_measures_listed_targets_and_sends_at_once(tmp_path: Path) -> None:
    measured: list[str] = []

    async def measure(job: RecheckJob) -> Record | None:
        measured.append(job.input)
        return control_record(job)

    async def scenario() -> None:
        jobs = [
            RecheckJob(id="1", input=URL),
            RecheckJob(id="2", input=URL),
            RecheckJob(id="3", input="http://not.listed.example/"),
        ]
        async with FakeCollector(jobs=jobs) as collector:
            keys = Keys(tmp_path)
            async with CollectorClient(endpoint.parse(collector.url)) as client:
                identity = keys.identity(collector.url, role="control")
                await ensure_enrolled(client, keys, identity, None)
                task = asyncio.create_task(answer_rechecks(client, measure, listed={URL}, poll=0.1))
                async with asyncio.timeout(60):
                    while not collector.stored:  # noqa: ASYNC110 - a server tells nothing
                        await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait((task,))
            assert measured == [URL]
            assert set(collector.stored) == {"control-2"}

    asyncio.run(scenario())


def test_a_control_survives_a_failing_collector(tmp_path: Path) -> None:
    warnings: list[str] = []

    async def scenario() -> None:
        async with FakeCollector() as collector:
            keys = Keys(tmp_path)
            collector.override["/v1/recheck"] = answering(lambda: problem(503, "busy"))
            async with CollectorClient(endpoint.parse(collector.url)) as client:
                await ensure_enrolled(
                    client, keys, keys.identity(collector.url, role="control"), None
                )

                async def never(_: RecheckJob) -> Record | None:
                    raise AssertionError

                task = asyncio.create_task(
                    answer_rechecks(client, never, poll=0.1, warn=warnings.append)
                )
                async with asyncio.timeout(60):
                    while len(warnings) < 2 and not task.done():  # noqa: ASYNC110 - a list tells nothing
                        await asyncio.sleep(0.01)
                assert not task.done()
                task.cancel()
                await asyncio.wait((task,))

    asyncio.run(scenario())
    assert any("busy" in line for line in warnings)
