"""History for Prometheus: real promtool and a real Prometheus find late records in their hour."""

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from collector.cli import cli
from collector.events import storage
from collector.events.model import Bracket, EventState, TargetEvent
from collector.events.reconcile import StoredEvent
from collector.store import open_store
from tests.collector.admin.stored_rows import NOON, fill, row, url_of

HOUR = 3600.0
SERIES = 'experiment="web",outcome="blocked",country="KZ",asn="9198"'
OF_TARGET = 'target="listed.example",country="KZ",asn="9198",outcome="blocked"'


def export(folder: Path, *options: str) -> Result:
    words = ["export", "--format", "openmetrics", "--store", url_of(folder), *options]
    return CliRunner().invoke(cli, words)


def samples(folder: Path, *options: str) -> list[str]:
    done = export(folder, *options)
    assert done.exit_code == 0, done.exception
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


def at(hours: int) -> int:
    return int(NOON + hours * HOUR)


def event(number: int, began: float, ended: float | None, state: EventState) -> StoredEvent:
    told = TargetEvent(
        kind="blocking",
        target=f"site{number}.example",
        country="KZ",
        asn=9198,
        state=state,
        began=Bracket(None, began),
        ended=None if ended is None else Bracket(began, ended),
        last_seen_at=began,
        confirmed_at=began,
        mechanisms=(),
        authority="",
        agree=2,
        able=2,
        confidence=0.9,
        evidence=(),
    )
    return StoredEvent(f"e{number}", told, opened_at=began)


def with_events(folder: Path, *events: StoredEvent) -> None:
    async def work() -> None:
        store = await open_store(url_of(folder))
        await store.write(storage.put(events))
        await store.close()

    asyncio.run(work())


def test_a_counter_grows_at_the_end_of_each_hour(tmp_path: Path) -> None:
    fill(tmp_path, [row(1, at=NOON + 5), row(2, at=NOON + 60), row(3, at=NOON + 3 * HOUR)])
    label = ',job="qazprobe-history"}'
    assert samples(tmp_path)[:3] == [
        f"qazprobe_measurements_total{{{SERIES}{label} 0 {at(0)}",
        f"qazprobe_measurements_total{{{SERIES}{label} 2 {at(1)}",
        f"qazprobe_measurements_total{{{SERIES}{label} 3 {at(4)}",
    ]


def test_a_counter_goes_on_where_it_was(tmp_path: Path) -> None:
    fill(tmp_path, [row(1), row(2, at=NOON + 3 * HOUR)])
    found = samples(tmp_path, "--since", "2026-11-25T12:00:00Z")
    assert [line.split()[1:] for line in found if line.startswith("qazprobe_measurements")] == [
        ["1", str(at(3))],
        ["2", str(at(4))],
    ]


def test_an_hour_that_is_not_over_is_left_out(tmp_path: Path) -> None:
    now = time.time()
    fill(tmp_path, [row(1), row(2, at=now)])
    assert not [line for line in samples(tmp_path) if int(line.split()[2]) > now]


def test_labels_and_networks_can_be_chosen(tmp_path: Path) -> None:
    fill(tmp_path, [row(1), row(2, asn=48503, target='odd"name')])
    found = samples(tmp_path, "--asn", "48503", "--label", "job=x", "--label", "site=a b")
    assert found
    assert all('job="x",site="a b"' in line and 'asn="48503"' in line for line in found)
    assert [line for line in found if 'target="odd\\"name"' in line]


def test_events_are_told_at_the_whole_hours_while_they_lasted(tmp_path: Path) -> None:
    fill(tmp_path, [row(1)])
    with_events(
        tmp_path,
        event(1, NOON + 60, NOON + 2.5 * HOUR, EventState.ENDED),
        event(2, NOON + 1.5 * HOUR, NOON + 2.5 * HOUR, EventState.ENDED),
        event(3, NOON + 60, NOON + 9 * HOUR, EventState.WITHDRAWN),
        event(4, NOON + 60, None, EventState.SUSPECTED),
    )
    found = [line.split() for line in samples(tmp_path) if line.startswith("qazprobe_event")]
    assert [(value, int(when)) for _, value, when in found] == [("1", at(1)), ("2", at(2))]


@pytest.mark.parametrize("option", ["--role=probe", "--experiment=web", "--public", "--label=x"])
def test_what_history_is_not_selected_by_is_refused(tmp_path: Path, option: str) -> None:
    fill(tmp_path, [row(1)])
    assert option.partition("=")[0] in str(export(tmp_path, option).exception)


# --- with the real programs ----------------------------------------------------------------------

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")),
    reason="no promtool or prometheus here: apt install prometheus",
)


def blocks(folder: Path) -> Path:
    """The blocks that promtool makes of the store's history."""
    file, made = folder / "history.om", folder / "blocks"
    assert export(folder, "-o", str(file)).exit_code == 0
    words = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(made)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


@contextmanager
def prometheus(folder: Path, data: Path) -> Iterator[str]:
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"]
    words += [f"--web.listen-address={address}", "--storage.tsdb.retention.time=100y"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until_ready(f"http://{address}/-/ready", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.communicate(timeout=60)


def until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, process.communicate()[1][-1000:]
            assert time.monotonic() < ends
            time.sleep(0.1)
        else:
            return


def asked(url: str, query: str, when: int) -> float | None:
    words = urllib.parse.urlencode({"query": query, "time": when})
    with urllib.request.urlopen(f"{url}/api/v1/query?{words}", timeout=30) as reply:
        found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
    return float(found[0]["value"][1]) if found else None


@needs_prometheus
@pytest.mark.slow
def test_prometheus_finds_late_records_in_the_hour_of_their_measurement(tmp_path: Path) -> None:
    early = [row(n, at=NOON + n * HOUR) for n in range(6)]
    # It was measured at the same time as the first one, and arrived days later.
    late = row(9, "b", at=NOON + 300, received_at=int(NOON + 3 * 86_400))
    fill(tmp_path, [*early, late])
    with_events(tmp_path, event(1, NOON + 60, NOON + 2.5 * HOUR, EventState.ENDED))
    with prometheus(tmp_path, blocks(tmp_path)) as url:
        counter = f"qazprobe_measurements_total{{{SERIES}}}"
        assert asked(url, counter, at(0)) == 0
        assert asked(url, counter, at(1)) == 2
        assert asked(url, counter, at(6)) == 7
        assert asked(url, f"qazprobe_target_measurements_total{{{OF_TARGET}}}", at(6)) == 7
        assert asked(url, f"sum(increase({counter}[6h]))", at(6)) == pytest.approx(7, rel=0.01)
        active = "sum(qazprobe_event_active)"
        assert [asked(url, active, at(n)) for n in range(4)] == [None, 1, 1, None]
