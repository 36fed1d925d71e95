"""Facts of the run as options of experiments, and the saved quota and servers."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from probe.api_types import BulkReply
from probe.experiments import load
from probe.experiments.interface import Reference
from probe.ordering import Job
from probe.reference_data import Anchor, anchors
from probe.runner.daily_quota import DAILY_BYTES, UNMETERED_BYTES, DailyQuota
from probe.runner.dependencies import RunDependencies
from probe.runner.networks import NetworkTable
from probe.runner.options import (
    FORGET_SECONDS,
    QUOTA_FILE,
    SERVERS_FILE,
    OptionsByExperiment,
    known_servers,
    open_quota,
    run_options,
)

BULK = BulkReply(address="198.51.100.7", port=4443, spki_sha256="ab" * 32)


def dependencies(asked: list[str]) -> RunDependencies:
    async def bulk_servers() -> tuple[BulkReply, ...]:
        asked.append("bulk")
        return (BULK,)

    known = anchors()[0]
    references = (
        Reference(known.url, None, known.foreign, essential=known.essential),
        Reference("https://other.example/"),
    )
    collectors = (("collector.example", 443),)
    return cast(
        "RunDependencies",
        SimpleNamespace(
            experiments=load(),
            bulk_servers=bulk_servers,
            anchors=references,
            networks=NetworkTable(None),
            collectors=collectors,
        ),
    )


def given(
    experiment: str, state: Path, options: OptionsByExperiment | None = None
) -> tuple[OptionsByExperiment, list[str]]:
    asked: list[str] = []

    async def scenario() -> OptionsByExperiment:
        jobs = [Job(experiment, "https://x.example/")]
        async with run_options(options or {}, jobs, dependencies(asked), state) as found:
            quota = found.by_experiment.get(experiment, {}).get("budget")
            if isinstance(quota, DailyQuota):
                quota.spend(1000)
            return found.by_experiment

    return asyncio.run(scenario()), asked


def test_a_throughput_experiment_gets_bulk_servers_and_the_quota(tmp_path: Path) -> None:
    options, asked = given("throttle", tmp_path, {"throttle": {"tier": "metered"}})
    assert asked == ["bulk"]
    assert options["throttle"]["bulk"] == (BULK,)
    assert options["throttle"]["tier"] == "metered"
    assert open_quota(tmp_path, {}).usage.spent == 1000


def test_a_configured_server_comes_before_an_announced_one(tmp_path: Path) -> None:
    options, _ = given("throttle", tmp_path, {"throttle": {"bulk": "192.0.2.1:1#00"}})
    assert options["throttle"]["bulk"] == "192.0.2.1:1#00"


def test_a_run_of_pages_alone_requests_and_saves_nothing(tmp_path: Path) -> None:
    _, asked = given("web", tmp_path)
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_connectivity_gets_the_runs_own_anchors(tmp_path: Path) -> None:
    options, _ = given("connectivity", tmp_path)
    assert options["connectivity"]["anchors"] == (
        anchors()[0],
        Anchor("https://other.example/", foreign=None, essential=False),
    )


@pytest.mark.parametrize(
    ("options", "cap"),
    [
        ({}, DAILY_BYTES),
        ({"unmetered": True}, UNMETERED_BYTES),
        ({"daily_bytes": 5}, 5),
        ({"daily_bytes": -5}, DAILY_BYTES),
    ],
)
def test_the_cap_is_configured(options: dict[str, object], cap: int, tmp_path: Path) -> None:
    assert open_quota(tmp_path, options).cap == cap


def test_an_unreadable_file_counts_as_no_usage(tmp_path: Path) -> None:
    (tmp_path / QUOTA_FILE).write_text("{")
    assert open_quota(tmp_path, {}).usage.spent == 0


def test_mitm_gets_the_collectors_own_ports(tmp_path: Path) -> None:
    options, asked = given("mitm", tmp_path)
    assert options["mitm"]["collectors"] == (("collector.example", 443),)
    assert asked == []


def test_servers_are_saved_for_days_without_an_announcement(tmp_path: Path) -> None:
    other = BulkReply(address="203.0.113.9", port=443, spki_sha256="cd" * 32)
    assert known_servers(tmp_path, (), now=0.0) == ()
    assert known_servers(tmp_path, (BULK,), now=1000.0) == (BULK,)
    assert known_servers(tmp_path, (other,), now=2000.0) == (other, BULK)
    assert known_servers(tmp_path, (), now=3000.0) == (other, BULK)
    newer = replace(BULK, spki_sha256="ef" * 32)
    assert known_servers(tmp_path, (newer,), now=4000.0) == (newer, other)
    assert known_servers(tmp_path, (), now=2000.0 + FORGET_SECONDS + 1) == (newer,)
    (tmp_path / SERVERS_FILE).write_text("{")
    assert known_servers(tmp_path, ()) == ()


def test_a_follow_up_gets_servers_only_when_there_is_one(tmp_path: Path) -> None:
    asked: list[str] = []

    async def scenario(options: OptionsByExperiment) -> object:
        asked.clear()
        jobs = [Job("web", "https://x.example/")]
        async with run_options(options, jobs, dependencies(asked), tmp_path) as found:
            assert asked == []
            if not await found.prepare_follow_up(load()["throttle"]):
                return None
            return found.by_experiment["throttle"]

    found = asyncio.run(scenario({}))
    assert isinstance(found, dict)
    assert found["bulk"] == (BULK,)
    assert asked == ["bulk"]
    assert asyncio.run(scenario({"throttle": {"daily_bytes": 0}})) is None


def test_connectivity_gets_a_bulk_server_of_earlier_days(tmp_path: Path) -> None:
    assert "own_server" not in given("connectivity", tmp_path)[0]["connectivity"]
    given("throttle", tmp_path)
    options, asked = given("connectivity", tmp_path)
    assert options["connectivity"]["own_server"] == BULK.address
    assert asked == []
    chosen: OptionsByExperiment = {"connectivity": {"own_server": "203.0.113.9"}}
    assert given("connectivity", tmp_path, chosen)[0]["connectivity"]["own_server"] == "203.0.113.9"


def test_the_limits_of_the_follow_up_hold_for_all_throughput_experiments(tmp_path: Path) -> None:
    options, _ = given("speed", tmp_path, {"throttle": {"daily_bytes": 7}, "speed": {}})
    quota = options["speed"]["budget"]
    assert isinstance(quota, DailyQuota)
    assert quota.cap == 7
