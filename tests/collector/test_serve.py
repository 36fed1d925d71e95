"""`qazcollector serve` as an operator runs it: wrong options, signals, limits, a full disk."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from collector import asn, upkeep
from collector.cli import cli
from collector.settings import Address, CollectorLimits, SettingsError, parse_address, parse_proxies
from collector.store import heartbeats, queries, sqlite
from collector.store.interface import Operation, Rows, statements
from probe import codec
from probe.asn_table import AsnTableError
from tests.collector.harness import (
    CollectorHarness,
    SigningClient,
    collector,
    record,
    select,
    settings,
)

ROOT = Path(__file__).parents[2]
START = "from collector.cli import main; main()"


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of the command, and the URL of its ready line."""
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", "--listen", "127.0.0.1:0", *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"ready on (\S+?),", line)
        assert found, line
        yield process, found[1]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()
        process.stdout.close()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_url_and_stops_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    with started("--store", store, "--enrolment", "open", "--lab") as (process, url):
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            assert answer.status == 200
            assert answer.headers["Server"] == "qazcollector"
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
    assert (tmp_path / "store.sqlite3").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("serve", "--listen", "8080"), "HOST:PORT"),
        (("serve", "--listen", "127.0.0.1:99999"), "HOST:PORT"),
        (("serve", "--enrolment", "maybe"), "'open', 'token', 'closed'"),
        (("serve", "--store", "mysql://x"), "sqlite:///FILE"),
        (("serve", "--store", "sqlite:////dev/null/x"), "/dev/null/x"),
        (("serve", "--targets", "nosuchlist"), "nosuchlist"),
        (("serve", "--asn-table", "/nonexistent"), "/nonexistent"),
        (("serve", "--tls-cert", "/nonexistent"), "/nonexistent"),
        (("serve", "--proxy", "anywhere"), "anywhere"),
        (("serve", "--listen", "203.0.113.77:1"), "203.0.113.77:1"),
        (("enroll", "--store", "sqlite:///"), "sqlite:///FILE"),
        (("enroll", "--uses", "0"), "--uses"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_a_wrong_option_is_a_one_line_error(
    tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    store = () if "--store" in arguments else ("--store", f"sqlite:///{tmp_path}/s.sqlite3")
    done = run(*arguments, *(store if arguments[0] != "frobnicate" else ()))
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_no_database_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello " * 1000)
    done = run("enroll", "--store", f"sqlite:///{tmp_path}/x")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"{tmp_path}/x" in done.stderr


def test_enroll_prints_only_the_invite(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.sqlite3"
    done = CliRunner().invoke(cli, ["enroll", "--store", store, "--role", "control", "--uses", "2"])
    assert done.exit_code == 0, done.output
    assert re.fullmatch(r"qaz1-[\w-]{20,}\n", done.stdout)

    async def scenario() -> None:
        async with collector(tmp_path, enrolment="token") as harness:
            assert (
                await SigningClient(harness, "control").enrol(done.stdout.strip())
            ).status == 200

    asyncio.run(scenario())


class Flood(threading.Thread):
    """A probe that sends without pause, and the ids that were sent and acknowledged."""

    def __init__(self, harness: CollectorHarness, sender: SigningClient) -> None:
        super().__init__()
        self.harness, self.sender = harness, sender
        self.sent: list[str] = []
        self.acknowledged: list[str] = []

    def run(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            asyncio.run(self._send())

    async def _send(self) -> None:
        async with aiohttp.ClientSession() as session:
            sender = self.sender
            sender.harness = CollectorHarness(self.harness.running, session)
            while True:
                records = [record() for _ in range(5)]
                self.sent += [one.id for one in records]
                reply = await sender.upload(*records)
                assert reply.stored == 5
                self.acknowledged += [one.id or "" for one in reply.records]


def test_no_acknowledged_record_is_lost_by_a_kill(tmp_path: Path) -> None:
    """kill -9 while probes send, and the same batches again afterwards."""
    options = settings(tmp_path)
    arguments = ("--store", options.store, "--enrolment", "open", "--targets", options.targets[0])

    async def enrol() -> tuple[CollectorHarness, list[SigningClient]]:
        async with collector(tmp_path) as harness:
            return harness, [await harness.probe() for _ in range(4)]

    harness, senders = asyncio.run(enrol())
    with started(*arguments) as (process, url):
        harness.url = url
        moved = type(harness.running)(url, f"{url}/metrics", harness.service)
        harness.running = moved
        floods = [Flood(harness, sender) for sender in senders]
        for flood in floods:
            flood.start()
        ends = time.monotonic() + 60
        while sum(len(flood.acknowledged) for flood in floods) <= 200:
            assert time.monotonic() < ends, "the collector acknowledges nothing"
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        for flood in floods:
            flood.join(20)
    acknowledged = {id_ for flood in floods for id_ in flood.acknowledged}
    sent = {id_ for flood in floods for id_ in flood.sent}

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            await harness.judged()
            every = queries.page(queries.Selection(), cursor=None, limit=10**6)
            kept = [row.id for row in await harness.service.store.read(every)]
            assert acknowledged <= set(kept) <= sent
            assert len(kept) == len(set(kept))
            # The counts match the records, before and after everything is sent again.
            assert sum((await _totals(harness)).values()) == len(kept)
            for flood in floods:
                flood.sender.harness = harness
                again = [record(id=id_) for id_ in flood.sent]
                for start in range(0, len(again), 500):
                    await flood.sender.send(*again[start : start + 500])
            assert sum((await _totals(harness)).values()) == len(sent)

    asyncio.run(scenario())


async def _totals(harness: CollectorHarness) -> dict[str, float]:
    shown = await harness.metrics()
    return {n: v for n, v in shown.items() if n.startswith("qazprobe_measurements_total")}


def test_a_full_disk_is_a_503_and_the_batch_can_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "store.sqlite3"

    def limited(pages: int) -> Operation[Rows]:
        pragma = f"PRAGMA max_page_count = {pages}"
        monkeypatch.setattr(sqlite, "statements", lambda: {**statements(), "limited": pragma})
        return select("limited")

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender, store = await harness.probe(), harness.service.store
            await store.write(limited(file.stat().st_size // 8192 + 2))
            big = [record(input_=f"https://x.example/{'y' * 1500}{n}") for n in range(400)]
            reply = await sender.post(codec.pack(map(codec.encode, big)))
            assert reply.status == 503
            assert "Retry-After" in reply.headers
            await store.write(limited(10**9))
            assert (await sender.send(*big)).stored == len(big)
            assert sum((await _totals(harness)).values()) == len(big)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:80", "127.0.0.1", 80), ("[::1]:0", "::1", 0), ("a.example:443", "a.example", 443)],
)
def test_addresses_are_parsed_and_formatted(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host, port)
    assert str(Address(host, port)) == text


@pytest.mark.parametrize("text", ["", ":", "::1:80", "x:", ":80", "h:-1", "h:٣", "h:99999"])
def test_a_malformed_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="HOST:PORT"):
        parse_address(text)


def test_a_clients_address_is_looked_up_and_not_stored(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("127.0.0.0/8,9198,KZ\n198.51.100.0/24,64500,NL\n")

    async def scenario() -> None:
        async with collector(tmp_path, asn_table=table) as harness:
            reply = (await harness.ask("GET", "/v1/vantage")).data
            assert (reply["country"], reply["asn"]) == ("KZ", 9198)
            assert reply["network"] == "JSC Kazakhtelecom"
            # X-Forwarded-For is ignored,
            elsewhere = {"X-Forwarded-For": "203.0.113.1, 198.51.100.7"}
            reply = (await harness.ask("GET", "/v1/vantage", headers=elsewhere)).data
            assert reply["asn"] == 9198
        proxies = parse_proxies(["127.0.0.1"])
        async with collector(tmp_path, asn_table=table, proxies=proxies) as harness:
            # unless a trusted proxy sets it, and then only its last hop counts.
            reply = (await harness.ask("GET", "/v1/vantage", headers=elsewhere)).data
            assert reply["asn"] == 64500
            sender = await harness.probe()
            headers = sender.sign("POST", "/v1/measurements", b"") | elsewhere
            await harness.ask("POST", "/v1/measurements", b"", headers)
            await sender.send(record())

    asyncio.run(scenario())
    for path in tmp_path.glob("store.sqlite3*"):
        assert b"198.51.100" not in path.read_bytes()
        assert b"127.0.0.1" not in path.read_bytes()


def test_a_table_says_whose_an_address_is(tmp_path: Path) -> None:
    text = (
        "1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n"
        "2.132.0.0\t2.135.255.255\t9198\tKZ\tKAZTELECOM\n"
        "5.0.0.0/24,0,None\n"
        "2001:db8::/32,64501,kz\n"
    )
    made = asn.parse(text.splitlines(), "test")
    (tmp_path / "table").write_bytes(made.dump())
    for table in (made, asn.load(tmp_path / "table")):
        assert table.lookup("2.132.0.1") == ("KZ", 9198)
        assert table.lookup("::ffff:1.0.0.255") == ("US", 13335)
        assert table.lookup("1.0.1.0") == (None, None)
        assert table.lookup("255.255.255.255") == (None, None)
        assert table.lookup("0.0.0.0") == (None, None)
        assert table.lookup("2001:db8:1::1%eth0") == ("KZ", 64501)
        assert table.lookup("2001:db9::1") == (None, None)
        assert table.lookup("nonsense") == table.lookup(None) == (None, None)
    with pytest.raises(AsnTableError, match="test:2:"):
        asn.parse(["1.0.0.0/8,1,KZ", "hello"], "test")
    (tmp_path / "bad").write_bytes(made.dump()[:-5])
    with pytest.raises(AsnTableError, match="damaged"):
        asn.load(tmp_path / "bad")


def test_an_unchanged_target_list_is_a_304(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            first = await harness.ask("GET", "/v1/targets?name=targets")
            assert first.body.decode().splitlines()[1].startswith("https://listed.example/,NEWS")
            etag = {"If-None-Match": first.headers["ETag"]}
            again = await harness.ask("GET", "/v1/targets?name=targets", headers=etag)
            assert (again.status, again.body) == (304, b"")
            assert (await harness.ask("GET", "/v1/targets")).body == first.body
            assert (await harness.ask("GET", "/v1/targets?list=nosuch")).status == 404

    asyncio.run(scenario())


def test_a_network_is_rate_limited_and_loopback_is_not(tmp_path: Path) -> None:
    limits = CollectorLimits(network_burst=2, network_rate=0.01)

    async def scenario() -> None:
        async with collector(tmp_path, limits=limits) as harness:
            for _ in range(5):
                assert (await harness.ask("GET", "/v1/service")).status == 200
        proxies = parse_proxies(["127.0.0.0/8"])
        async with collector(tmp_path, limits=limits, proxies=proxies) as harness:

            async def status(hop: str, path: str = "/v1/service") -> int:
                headers = {"X-Forwarded-For": hop}
                return (await harness.ask("GET", path, headers=headers)).status

            hops = [f"198.51.100.{n}" for n in range(3)]
            assert [await status(hop) for hop in hops] == [200, 200, 429]
            assert await status("198.51.101.1") == 200
            assert await status(hops[0], "/healthz") == 200

    asyncio.run(scenario())


def test_its_own_heartbeat_outlives_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter((ValueError("no clock"),))
    original = heartbeats.record_collector_heartbeat

    async def play() -> None:
        recorded = asyncio.Event()

        def record_or_fail(now: float) -> Operation[None]:
            error = next(errors, None)
            if error is not None:
                raise error
            recorded.set()
            return original(now)

        async with collector(tmp_path) as harness:
            monkeypatch.setattr(heartbeats, "record_collector_heartbeat", record_or_fail)
            task = asyncio.create_task(upkeep._repeat(harness.service, 0.01, upkeep._keep_up))
            try:
                async with asyncio.timeout(60):
                    await recorded.wait()
                assert not [*errors], "the error was not raised"
                assert not task.done()
            finally:
                task.cancel()

    asyncio.run(play())
