"""The probe's client against the real collector, started by its command."""

import asyncio
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from probe import codec, uuid7
from probe.admin import erase
from probe.api_types import RecheckJob, RecheckTarget
from probe.client import endpoint
from probe.client.collector_client import CollectorClient
from probe.client.control_client import ControlClient, answer_rechecks
from probe.client.enrolment import ensure_enrolled
from probe.client.keys import Keys, ProbeRole
from probe.client.spool import Spool
from probe.client.upload import Sender, UploadSummary, upload
from probe.model import Record
from tests.probe import sample

pytest.importorskip("collector.cli", reason="the collector's command needs its extra")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

START = "from collector.cli import main; main()"
LISTED = "https://meduza.io/"


@contextmanager
def collector(
    folder: Path, *options: str, port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A collector on loopback with its store in `folder`: its URL, and its process."""
    command = [sys.executable, "-c", START, "serve", "--listen", f"127.0.0.1:{port}"]
    store = ["--store", f"sqlite:///{folder}/store.sqlite3", *options]
    process = subprocess.Popen([*command, *store], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        output = ""
        for line in process.stderr:
            output += line
            if found := re.search(r"ready on (http://\S+?),", line):
                yield found[1], process
                break
        else:
            pytest.fail(f"the collector did not start: {output}")
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


def invite(folder: Path, role: str) -> str:
    command = [sys.executable, "-c", START, "enroll", "--role", role]
    store = ["--store", f"sqlite:///{folder}/store.sqlite3"]
    done = subprocess.run([*command, *store], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def fresh(url: str = LISTED, *, role: ProbeRole = "probe", ago: float = 60.0) -> Record:
    when = datetime.now(UTC) - timedelta(seconds=ago)
    started = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    made = sample.blocked()
    return replace(
        made,
        id=uuid7.new(),
        run=uuid7.new(),
        input=url,
        started_at=started,
        vantage=replace(made.vantage, role=role),
    )


def fill_spool(home: Path, count: int, *to: str) -> Spool:
    spool = Spool(home)
    with spool.writer(to) as writer:
        for _ in range(count):
            writer.add(codec.encode(fresh()))
    return spool


def send(spool: Spool, home: Path, url: str, **options: str) -> UploadSummary:
    sender = Sender(Keys(home), budget=30, **options)  # type: ignore[arg-type]
    return asyncio.run(upload(spool, [endpoint.parse(url)], sender))


def test_records_arrive_once_though_the_collector_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with collector(tmp_path, "--enrolment", "open") as (url, process):
        spool = fill_spool(home, 40, url)
        assert send(spool, home, url).deliveries[0].stored == 40
        port = int(url.rpartition(":")[2])
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        lines = [codec.encode(fresh()) for _ in range(3)]
        with spool.writer((url,)) as writer:
            writer.add(lines[0])
            writer.add(b'{"id":"not a record"}')
            writer.add(lines[1])
        failed = send(spool, home, url)
        assert (failed.complete, failed.deliveries[0].waiting) == (False, 3)
    with collector(tmp_path, "--enrolment", "open", port=port) as (url, _):
        delivered = send(spool, home, url)
        assert delivered.complete, delivered
        assert (delivered.deliveries[0].stored, delivered.deliveries[0].rejected) == (2, 1)
        with spool.writer((url,)) as writer:  # as if its first answer had been lost
            writer.add(lines[0])
        repeated = send(spool, home, url)
        assert (repeated.deliveries[0].stored, repeated.deliveries[0].duplicates) == (0, 1)


def test_an_invite_enrols_and_a_lost_store_enrols_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with collector(tmp_path) as (url, _):
        spool = fill_spool(home, 1, url)
        assert not send(spool, home, url).complete
        assert send(spool, home, url, invite=invite(tmp_path, "probe")).complete
        port = int(url.rpartition(":")[2])
    for file in tmp_path.glob("store.sqlite3*"):
        file.unlink()
    with collector(tmp_path, "--enrolment", "open", port=port) as (url, _):
        fill_spool(home, 1, url)
        assert send(spool, home, url).complete


def test_a_volunteer_takes_everything_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with collector(tmp_path, "--enrolment", "open") as (url, _):
        spool = fill_spool(home, 2, url)
        assert send(spool, home, url).complete
        asked = erase.collectors_to_ask(home)
        assert [one.url for one in asked] == [url]
        for _ in range(2):  # the second time there is nothing of ours
            assert [one.problem for one in erase.ask(asked)] == [None]


def wait_for_a_control(url: str) -> None:
    """Wait until a control has an open request for rechecks."""
    ends = time.monotonic() + 60
    while b"\nqazcollector_controls_waiting 1.0\n" not in metrics(url):
        assert time.monotonic() < ends, "no control asked for rechecks"
        time.sleep(0.05)


def metrics(url: str) -> bytes:
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
        return bytes(answer.read())


def test_a_recheck_goes_from_a_probe_to_a_control_and_back(tmp_path: Path) -> None:
    async def exchange(url: str, token: str) -> None:
        keys = Keys(tmp_path / "control")
        collector_endpoint = endpoint.parse(url)

        async def measure(job: RecheckJob) -> Record:
            return fresh(job.input, role="control", ago=0.0)

        async with CollectorClient(collector_endpoint) as client:
            await ensure_enrolled(
                client, keys, keys.identity(collector_endpoint.url, role="control"), token
            )
            answering = asyncio.create_task(answer_rechecks(client, measure, poll=5))
            await asyncio.to_thread(wait_for_a_control, url)
            async with ControlClient(
                [collector_endpoint], Keys(tmp_path / "probe")
            ) as control_client:
                assert await control_client.controls([LISTED]) == {}
                found = await control_client.recheck(
                    [RecheckTarget(input=LISTED, addresses=("192.0.2.1",))]
                )
                assert control_client.problems == {}
                (control,) = found[LISTED]
                assert -10 < control.age <= 0
                assert await control_client.controls([LISTED]) != {}
                targets = await client.targets("kz", None)
                assert targets.body is not None
                assert (await client.targets("kz", targets.etag)).body is None
            answering.cancel()
            await asyncio.wait((answering,))

    with collector(tmp_path, "--enrolment", "open") as (url, _):
        asyncio.run(exchange(url, invite(tmp_path, "control")))
