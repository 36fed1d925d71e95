"""The description of all routes, against their declarations and against a running collector."""

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.api import app, parameters
from collector.api.openapi import described
from probe.model import Mechanism, Outcome
from tests.collector.harness import KZ, OTHER, UNLISTED, collector, record

ROUTES = (*app.ROUTES, *app.HEALTH, app.METRICS)
# Cursors, categories and keys cannot be made from a description, so valid ones are not found.
UNFIT = "positive_data_acceptance"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described(ROUTES)))
    return made


def test_every_route_with_each_of_its_parameters_is_described(description: dict[str, Any]) -> None:
    for route in ROUTES:
        operation = description["paths"][route.path][route.method.lower()]
        named = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
        assert named == list(parameters.descriptions(route.parameters)), route.path
        assert operation["summary"].endswith("."), route.path
        content = operation["responses"]["200"]["content"]
        assert tuple(content) == route.media, route.path
        if route.reply is not None:
            where = content["application/json"]["schema"]["$ref"]
            assert where.rpartition("/")[2] in description["components"]["schemas"]


def test_what_a_list_gives_is_described(description: dict[str, Any]) -> None:
    for route in ROUTES:
        if "text/csv" in route.media and "application/json" in route.media:
            assert route.reply is not None, route.path


def test_no_type_of_python_shows(description: dict[str, Any]) -> None:
    text = msgspec.json.encode(description).decode()
    assert "\\\\Z" not in text
    assert "(?P<" not in text


def test_it_is_served(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            reply = await harness.ask("GET", "/v1/openapi.json")
            assert reply.data["openapi"] == "3.1.0"
            served = {path for path, one in reply.data["paths"].items() if "get" in one}
            known = {route.path for route in ROUTES if route.method == "GET"}
            assert served == known

    asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("schemathesis"), reason="schemathesis is not installed")
@pytest.mark.parametrize(
    "of",
    [
        ("--phases", "coverage,fuzzing", "--exclude-path", "/v1/export"),
        # Each is a process, so there are fewer.
        ("--phases", "fuzzing", "--include-path", "/v1/export"),
    ],
)
def test_a_running_collector_does_what_the_description_says(
    tmp_path: Path, of: tuple[str, ...]
) -> None:
    async def scenario() -> str:
        async with collector(tmp_path, public_min_probes=3) as harness:
            for _ in range(3):
                await (await harness.probe()).send(
                    record(),
                    record(UNLISTED),
                    record(OTHER, outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_TIMEOUT,)),
                )
            alone = msgspec.structs.replace(KZ, asn=21299)
            await (await harness.probe()).send(record(vantage=alone))
            return await asyncio.to_thread(_check, harness.url, of, tmp_path)

    said = asyncio.run(scenario())
    assert said == "", said


def _check(url: str, of: tuple[str, ...], home: Path) -> str:
    """What schemathesis has to complain about; HEAD has tests of its own."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/v1/openapi.json"),
        *(*of, "--max-examples", "5", "--seed", "1"),
        *("--exclude-checks", UNFIT, "--exclude-method", "HEAD"),
        # Its body has a signature and a format of its own.
        *("--exclude-operation-id", "post_v1_measurements"),
        *("--generation-database", "none", "--no-color", "--warnings", "off"),
        *("--suppress-health-check", "all", "--output-sanitize", "false"),
    ]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=home,
        env={"HOME": str(home), "PATH": ""},
        timeout=600,
    )
    return "" if done.returncode == 0 else f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
