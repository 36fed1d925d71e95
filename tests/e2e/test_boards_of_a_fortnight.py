"""Every query of every board, over the fortnight of a collector in use, at a real Prometheus.

The fortnight is made into blocks by promtool, and the recording rules over it too, as an operator
would who installs them late.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.fortnight_of_metrics import DAY, HOUR, Fortnight
from tests.e2e.prometheus_server import (
    BOARDS,
    OURS,
    PrometheusServer,
    filled_in,
    prometheus,
)

pytestmark = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="no promtool or prometheus here: apt install prometheus",
)

# As many points as Grafana asks for on a wide screen.
POINTS = 1000
# 0.5 s is wanted of an idle core; this only finds what runs away.
LONGEST = 10.0
# One that is blocked, one that is intercepted, one that is throttled.
SITES = ("meduza.io", "mail.ru", "site0.example")
# Or promtool would read the text once for each two hours.
LONG_BLOCKS = "--max-block-duration=720h"
# Blocks are of two hours: the newest ones are left to the server that is running.
NOW = (int(time.time()) // (2 * HOUR) - 1) * 2 * HOUR


def promtool(*words: object) -> None:
    command = ["promtool", "tsdb", "create-blocks-from", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("fortnight")
    with fortnight(folder, Fortnight(NOW)) as running:
        yield running


@contextmanager
def fortnight(folder: Path, made: Fortnight) -> Iterator[PrometheusServer]:
    """A Prometheus that has scraped such a collector for a fortnight, and recorded the rules."""
    text, data, config = folder / "metrics.om", folder / "tsdb", folder / "prometheus.yml"
    with text.open("w") as file:
        file.writelines(made.lines())
    config.write_text("global: {}\n")
    promtool(LONG_BLOCKS, "openmetrics", text, data)
    text.unlink()
    rules = folder / "rules.yml"
    groups = yaml.safe_load((OURS / "rules" / "recording.yml").read_text())["groups"]
    wanted = [group for group in groups if group["name"] == "qazprobe_recording_boards"]
    rules.write_text(yaml.safe_dump({"groups": wanted}))
    with prometheus(folder, config) as bare:
        times = (f"--start={NOW - 14 * DAY}", f"--end={NOW}", f"--eval-interval={made.every}s")
        promtool(
            LONG_BLOCKS,
            "rules",
            *times,
            f"--url={bare.prometheus}",
            f"--output-dir={folder / 'recorded'}",
            rules,
        )
    for block in (folder / "recorded").iterdir():
        block.rename(data / block.name)
    with prometheus(folder, config) as running:
        yield running


def asked(server: PrometheusServer, target: dict[str, Any], site: str) -> tuple[list[Any], float]:
    """What Prometheus answers to a query of a panel over the fortnight, and how long it takes."""
    step = 14 * DAY // target.get("points", POINTS)
    expr = filled_in(target["expr"], site, f"{step}s")
    began = time.monotonic()
    if target.get("instant"):
        found = server.api("query", query=expr, time=str(NOW - 600))["result"]
    else:
        times = {"start": str(NOW - 14 * DAY), "end": str(NOW - 600), "step": str(step)}
        found = server.api("query_range", query=expr, **times)["result"]
    return found, time.monotonic() - began


QUERIES = {
    f"{name}/{panel['title']}/{target['refId']}/{panel['id']}": target
    | {"points": panel.get("maxDataPoints", POINTS)}
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel.get("targets", ())
}


@pytest.mark.parametrize("panel", QUERIES)
def test_every_query_has_an_answer_over_a_fortnight(server: PrometheusServer, panel: str) -> None:
    answers = [asked(server, QUERIES[panel], site) for site in SITES]
    assert any(found for found, _ in answers), QUERIES[panel]["expr"]
    assert max(seconds for _, seconds in answers) < LONGEST


MARKS = {
    f"{name}/{mark['name']}": mark
    for name, board in BOARDS.items()
    for mark in board["annotations"]["list"]
}


@pytest.mark.parametrize("mark", MARKS)
def test_marks_are_found_over_a_fortnight(server: PrometheusServer, mark: str) -> None:
    assert MARKS[mark]["step"] == "15m"
    found, seconds = asked(server, MARKS[mark] | {"points": 14 * 24 * 4}, SITES[0])
    assert found
    assert seconds < LONGEST


def test_a_number_of_none_is_zero_and_not_empty(server: PrometheusServer) -> None:
    """Of a job that has nothing at all: only what needs a measurement is without a number."""
    silent = {
        f"{name}/{panel['title']}"
        for name, board in BOARDS.items()
        for panel in board["panels"]
        if panel["type"] == "stat"
        and not server.query(filled_in(panel["targets"][0]["expr"].replace("$job", "x"), "none"))
    }
    assert silent == {
        "qazprobe-collector/Oldest of them",
        "qazprobe-collector/Probes that must agree",
        "qazprobe-collector/Room on the disk",
        "qazprobe-collector/Size of the store",
        "qazprobe-site/Interference",
        "qazprobe-throttling/Slowest site",
    }
