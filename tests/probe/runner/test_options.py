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
from probe.runner.options import (
    FILE,
    FORGET_SECONDS,
    MEMORY,
    Options,
    open_purse,
    provided,
    remembered,
)
from probe.runner.ports import RunDependencies

BULK = BulkReply(address="198.51.100.7", port=4443, spki_sha256="ab" * 32)


def tools(asked: list[str]) -> RunDependencies:
    async def bulk() -> tuple[BulkReply, ...]:
        asked.append("bulk")
        return (BULK,)

    sites = (Reference(anchors()[0].url), Reference("https://other.example/"))
    own = (("collector.example", 443),)
    return cast(
        "RunDependencies",
        SimpleNamespace(experiments=load(), bulk=bulk, anchors=sites, collectors=own),
    )


def given(
    experiment: str, state: Path, options: Options | None = None
) -> tuple[Options, list[str]]:
    asked: list[str] = []

    async def scenario() -> Options:
        jobs = [Job(experiment, "https://x.example/")]
        async with provided(options or {}, jobs, tools(asked), state) as provision:
            found = provision.options
            purse = found.get(experiment, {}).get("budget")
            if isinstance(purse, DailyQuota):
                purse.spend(1000)
            return found

    return asyncio.run(scenario()), asked


def test_an_experiment_that_loads_the_line_gets_servers_and_a_purse(tmp_path: Path) -> None:
    options, asked = given("throttle", tmp_path, {"throttle": {"tier": "metered"}})
    assert asked == ["bulk"]
    assert options["throttle"]["bulk"] == (BULK,)
    assert options["throttle"]["tier"] == "metered"
    assert open_purse(tmp_path, {}).spending.spent == 1000


def test_a_configured_server_comes_before_an_announced_one(tmp_path: Path) -> None:
    options, _ = given("throttle", tmp_path, {"throttle": {"bulk": "192.0.2.1:1#00"}})
    assert options["throttle"]["bulk"] == "192.0.2.1:1#00"


def test_a_run_of_pages_alone_asks_nobody_and_keeps_nothing(tmp_path: Path) -> None:
    _, asked = given("web", tmp_path)
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_the_runs_own_anchors_are_looked_at_and_no_others(tmp_path: Path) -> None:
    options, _ = given("connectivity", tmp_path)
    assert options["connectivity"]["anchors"] == (
        anchors()[0],
        Anchor("https://other.example/", foreign=True, essential=False),
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
def test_the_cap_is_chosen(options: dict[str, object], cap: int, tmp_path: Path) -> None:
    assert open_purse(tmp_path, options).cap == cap


def test_a_spoilt_file_begins_the_day_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    assert open_purse(tmp_path, {}).spending.spent == 0


def test_where_names_are_offered_knows_the_collectors_own_ports(tmp_path: Path) -> None:
    options, asked = given("mitm", tmp_path)
    assert options["mitm"]["collectors"] == (("collector.example", 443),)
    assert asked == []


def test_servers_are_remembered_for_days_on_which_nobody_names_them(tmp_path: Path) -> None:
    other = BulkReply(address="203.0.113.9", port=443, spki_sha256="cd" * 32)
    assert remembered(tmp_path, (), now=0.0) == ()
    assert remembered(tmp_path, (BULK,), now=1000.0) == (BULK,)
    assert remembered(tmp_path, (other,), now=2000.0) == (other, BULK)
    assert remembered(tmp_path, (), now=3000.0) == (other, BULK)
    newer = replace(BULK, spki_sha256="ef" * 32)
    assert remembered(tmp_path, (newer,), now=4000.0) == (newer, other)
    assert remembered(tmp_path, (), now=2000.0 + FORGET_SECONDS + 1) == (newer,)
    (tmp_path / MEMORY).write_text("{")
    assert remembered(tmp_path, ()) == ()


def test_a_follow_up_is_given_servers_when_it_comes_to_one(tmp_path: Path) -> None:
    asked: list[str] = []

    async def scenario(options: Options) -> object:
        asked.clear()
        jobs = [Job("web", "https://x.example/")]
        async with provided(options, jobs, tools(asked), tmp_path) as provision:
            assert asked == []
            return await provision.comparing()

    found = asyncio.run(scenario({}))
    assert isinstance(found, dict)
    assert found["bulk"] == (BULK,)
    assert asked == ["bulk"]
    assert asyncio.run(scenario({"throttle": {"daily_bytes": 0}})) is None


def test_a_bulk_server_of_other_days_is_knocked_at_in_the_dark(tmp_path: Path) -> None:
    assert "own_server" not in given("connectivity", tmp_path)[0]["connectivity"]
    given("throttle", tmp_path)
    options, asked = given("connectivity", tmp_path)
    assert options["connectivity"]["own_server"] == BULK.address
    assert asked == []
    chosen: Options = {"connectivity": {"own_server": "203.0.113.9"}}
    assert given("connectivity", tmp_path, chosen)[0]["connectivity"]["own_server"] == "203.0.113.9"


def test_the_limit_of_throttle_holds_for_whatever_loads_the_line_beside_it(tmp_path: Path) -> None:
    options, _ = given("speed", tmp_path, {"throttle": {"daily_bytes": 7}, "speed": {}})
    purse = options["speed"]["budget"]
    assert isinstance(purse, DailyQuota)
    assert purse.cap == 7
