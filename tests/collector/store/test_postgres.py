"""The collector on PostgreSQL, alone and with a second collector."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from collector import conduct
from collector.admin import key_list
from collector.admin.rejudge import rejudge
from collector.admin.retention import retire
from collector.cli import cli
from collector.store import (
    Execute,
    Operation,
    StoreError,
    exclusions,
    heartbeats,
    keys,
    open_store,
)
from collector.store.interface import QueryEach
from probe import codec
from probe.api_types import ControlReply, Heartbeat, MissedInterval
from probe.model import Mechanism, Outcome, Record, Transfer, Vantage, Verdict
from tests.collector.admin import stored_rows
from tests.collector.api.test_interceptions import intercepted
from tests.collector.harness import (
    LISTED,
    UNLISTED,
    CollectorHarness,
    SigningClient,
    collector,
    now,
    record,
)

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'qazprobe[postgres]'")

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
pytestmark = pytest.mark.skipif(
    not PROGRAMS, reason="PostgreSQL is not installed: apt install postgresql"
)
ABROAD = Vantage(role="control", country="NL", asn=1103)
KZ = 'country="KZ",asn="9198"'


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A temporary PostgreSQL server on a Unix socket; yields its URL."""
    folder = Path(tempfile.mkdtemp(prefix="qaz-pg-"))
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres", "postgres")
    bin_ = PROGRAMS[-1].parent
    data = folder / "data"
    initdb: list[str | Path] = [bin_ / "initdb", "-D", data, "-U", "postgres", "--no-sync"]
    made = subprocess.run(
        [*initdb, "-A", "trust", "-E", "UTF8"],
        capture_output=True,
        check=False,
        cwd=folder,
        **user,  # type: ignore[call-overload]
    )
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"initdb: {made.stderr.decode(errors='replace')[-200:]}")
    quick = ("-c", "listen_addresses=", "-c", "fsync=off", "-k", str(folder))
    process = subprocess.Popen(
        [bin_ / "postgres", "-D", data, *quick],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **user,  # type: ignore[call-overload]
    )
    try:
        ready: list[str | Path] = [bin_ / "pg_isready", "-q", "-h", folder]
        for _ in range(100):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        yield f"postgresql://postgres@/{{name}}?host={folder}"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def store(server: str, request: pytest.FixtureRequest) -> str:
    """The URL of a new database."""
    name = f"t{abs(hash(request.node.name))}"
    folder = server.partition("host=")[2]
    made: list[str | Path] = [
        PROGRAMS[-1].parent / "createdb",
        "-h",
        folder,
        "-U",
        "postgres",
        name,
    ]
    subprocess.run(made, check=True)
    return server.format(name=name)


def blocked(**changes: object) -> Record:
    bad = (Mechanism.TLS_TIMEOUT,)
    made = record(outcome=Outcome.BLOCKED, mechanisms=bad)
    return msgspec.structs.replace(made, **changes)


def counted(series: dict[str, float]) -> dict[str, float]:
    return {n: round(v, 6) for n, v in series.items() if n.startswith("qazprobe_")}


def test_records_are_counted_once_and_can_be_erased(tmp_path: Path, store: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=store) as harness:
            stays, leaves = await harness.probe(), await harness.probe()
            first = await stays.send(one := record(), record(UNLISTED))
            assert (first.stored, (await stays.send(one)).duplicates) == (2, 1)
            before = counted(await harness.metrics())
            await leaves.send(blocked(), blocked(certs={}), record(vantage=Vantage(asn=2**32 - 1)))
            during = counted(await harness.metrics())
            assert during != before
            reply = await leaves.ask("DELETE", "/v1/probes/me")
            assert reply.data == {"erased": 3}
            assert counted(await harness.metrics()) == before

    asyncio.run(scenario())


def test_controls_pages_events_and_exports(tmp_path: Path, store: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=store) as harness:
            control = await harness.probe("control")
            await control.send(record(vantage=ABROAD))
            path = f"/v1/control?input={LISTED}"
            reply = (await harness.ask("GET", path)).read(ControlReply)
            assert len(reply.controls[0].observations) == 1
            assert (await harness.ask("GET", "/v1/control")).read(ControlReply).controls
            for _ in range(2):
                sender = await harness.probe()
                await sender.send(blocked(started_at=now(-100)), blocked(), record(UNLISTED))
            first = (await harness.ask("GET", "/v1/measurements?limit=4&asn=9198")).data
            rest = (
                await harness.ask("GET", f"/v1/measurements?limit=4&cursor={first['next']}")
            ).data
            assert (len(first["measurements"]), len(rest["measurements"])) == (4, 3)
            one = first["measurements"][0]["id"]
            assert (await harness.ask("GET", f"/v1/measurements/{one}")).status == 200
            (event,) = (await harness.ask("GET", "/v1/events")).data["events"]
            assert event["kind"] == "blocking"
            lines = (await harness.ask("GET", "/v1/export?role=probe")).body.splitlines()
            assert len(lines) == 6
            assert b"listed.example" in (await harness.ask("GET", "/")).body

    asyncio.run(scenario())


def test_the_table_of_interceptions(tmp_path: Path, store: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=store) as harness:
            stays, leaves = await harness.probe(), await harness.probe()
            await stays.send(sent := intercepted())
            await leaves.send(intercepted())
            (line,) = (await harness.ask("GET", "/v1/interceptions?country=KZ&asn=9198")).data[
                "interceptions"
            ]
            assert (line["probes"], line["authority"]) == (2, "kz.isca")
            pem = f"/v1/certificates/{next(iter(sent.certs))}.pem"
            await leaves.ask("DELETE", "/v1/probes/me")
            assert (await harness.ask("GET", pem)).status == 200
            clock = harness.service.clock() + 60
            await retire(harness.service.store, now=clock, raw_before=clock, before=clock)
            assert (await harness.ask("GET", pem)).status == 404

    asyncio.run(scenario())


def test_rejudge_and_retention(tmp_path: Path, store: str) -> None:
    def harsh(_record: Record) -> Verdict:
        return Verdict(outcome=Outcome.BLOCKED)

    async def scenario() -> None:
        async with collector(tmp_path, store=store) as harness:
            await (await harness.probe()).send(record(), record(started_at=now(-50 * 86400)))
            kept, clock = harness.service.store, harness.service.clock()
            assert (await rejudge(kept, harsh, since=0.0, now=2e9)).changed == 2
            harness.service.snapshots.touch()
            series = await harness.metrics()
            total = f'qazprobe_measurements_total{{experiment="web",outcome="blocked",{KZ}}}'
            assert series[total] == 2
            before = clock - 30 * 86400
            done = await retire(kept, now=clock, raw_before=before, before=before)
            assert done.records == 1

    asyncio.run(scenario())


async def _families(harness: CollectorHarness) -> set[str]:
    return {name.partition("{")[0] for name in counted(await harness.metrics())}


def test_two_collectors_share_a_store_and_one_exports_it(tmp_path: Path, store: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=store) as one:  # noqa: SIM117 - it outlives the other
            async with collector(tmp_path, store=store, enrolment="token") as two:
                assert one.service.store.collector_id == two.service.store.collector_id
                invite = await one.invite("probe")
                enrolling = [SigningClient(two), SigningClient(one)]
                replies = [await sender.enrol(invite) for sender in enrolling]
                assert [reply.status for reply in replies] == [200, 200]
                sender = enrolling[0]
                sent = record()
                assert (await sender.send(sent)).stored == 1
                sender.harness = one
                assert (await sender.send(sent)).duplicates == 1
                senders = [await one.probe() for _ in range(4)]
                for number, many in enumerate(senders):
                    many.harness = (one, two)[number % 2]
                batches = [[record() for _ in range(20)] for _ in range(4)]
                done = await asyncio.gather(
                    *(s.send(*b) for s, b in zip(senders, batches, strict=True))
                )
                assert sum(reply.stored for reply in done) == 80
                assert await _families(one)
                assert not await _families(two)
            # The holder of the lease has stopped; the other collector takes over.
        async with collector(tmp_path, store=store) as three:
            assert await _families(three)
            series = await three.metrics()
            total = f'qazprobe_measurements_total{{experiment="web",outcome="ok",{KZ}}}'
            assert series[total] == 81

    asyncio.run(scenario())


def test_an_unreachable_server_is_a_one_line_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        await open_store(f"postgresql://someone:secret@/x?host={tmp_path}")

    with pytest.raises(StoreError) as caught:
        asyncio.run(scenario())
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_heartbeats_and_series_are_stored_and_erased(tmp_path: Path, store: str) -> None:
    reported = MissedInterval(since=3600, until=1800, reach="nothing", country="KZ", asn=9198)
    beat = codec.encode(Heartbeat(country="KZ", asn=9198, unheard=(reported,)))
    slow = (
        Transfer(address="203.0.113.1", port=443, arm="A", pair=1, ended="full", host="x"),
        Transfer(address="203.0.113.1", port=443, arm="B", pair=1, ended="full", host="x"),
    )

    async def scenario() -> tuple[int, int, int, int]:
        async with collector(tmp_path, store=store) as harness:
            sender = await harness.probe()
            for _ in range(2):
                assert (await sender.ask("POST", "/v1/heartbeat", beat)).status == 200
            made = record(steps=slow, experiment="throttle", outcome=Outcome.THROTTLED)
            assert (await sender.send(made)).stored == 1
            events = (await harness.ask("GET", "/v1/events")).data
            assert events["events"] == events["unconfirmed"] == []
            kept = await harness.service.store.read(heartbeats.reported_since(0))
            await sender.ask("DELETE", "/v1/probes/me")
            left = await harness.service.store.read(heartbeats.reported_since(0))
            bits = sum(beat.cut.bit_count() for beat in kept)
            return len(kept), bits, len({beat.key_id for beat in kept}), len(left)

    hours, bits, keys, left = asyncio.run(scenario())
    assert hours in {1, 2}
    assert bits in {6, 7}
    assert (keys, left) == (1, 0)


def test_keys_are_listed_and_their_data_set_aside(tmp_path: Path, store: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, store=store) as harness:
            kept = harness.service.store
            stays, leaves = await harness.probe(), await harness.probe()
            await stays.send(record(), record(UNLISTED))
            before = counted(await harness.metrics())
            await leaves.send(blocked())
            during = counted(await harness.metrics())
            assert (await harness.ask("GET", "/v1/events")).data["events"] == []
            day = int(harness.service.clock() // 86_400)
            standings = await kept.read(conduct.read_standings(harness.service.clock(), lab=False))
            found = await conduct.assess_day(kept, day, standings)
            await kept.write(conduct.store_days({day: found}))
            rows = await kept.read(key_list.overview(harness.service.clock()))
            assert [key_list.cells(row, 0.0)[2] for row in rows] == ["invited", "invited"]
            assert all(row.standing.compared == 1 for row in rows)
            at = harness.service.clock()
            aside = exclusions.exclude(leaves.key_id, since=0.0, reason="a test", at=at)
            assert await kept.write(aside) == [leaves.key_id]
            while await kept.write(exclusions.recount(leaves.key_id, -1)):
                pass
            active = f'qazprobe_probes_active{{{KZ},region="KZ-75"}}'
            harness.service.snapshots.touch()
            assert counted(await harness.metrics()) | {active: 1} == before
            await kept.write(exclusions.include(leaves.key_id))
            while await kept.write(exclusions.recount(leaves.key_id, -1)):
                pass
            harness.service.snapshots.touch()
            assert counted(await harness.metrics()) == during

    asyncio.run(scenario())


def _put_twice() -> Operation[list[list[str]]]:
    """What both engines answer after the same row was put several times at once."""
    names = ("one", "two", "one", "three", "one")
    puts = [{"name": name, "value": str(number)} for number, name in enumerate(names)]
    yield Execute("meta_put", puts)
    found = yield QueryEach("meta_get", [{"name": name} for name in ("one", "none", "two", "one")])
    nothing = yield QueryEach("meta_get", [])
    return [[str(row[0]) for row in rows] for rows in (*found, *nothing)]


def test_many_sets_have_the_effect_of_each_in_turn(tmp_path: Path, store: str) -> None:
    async def scenario() -> None:
        for url in (store, f"sqlite:///{tmp_path}/store.sqlite3"):
            opened = await open_store(url)
            try:
                assert await opened.write(_put_twice()) == [["4"], [], ["1"], ["4"]]
            finally:
                await opened.close()

    asyncio.run(scenario())


def test_a_write_that_fails_leaves_no_transaction_open(store: str) -> None:
    def failing() -> Operation[None]:
        yield Execute("meta_put", [{"name": "left", "value": "open"}])
        raise ValueError

    async def scenario() -> None:
        opened = await open_store(store)
        try:
            for _ in range(20):
                with pytest.raises(ValueError, match=r"^$"):
                    await opened.write(failing())
            assert await opened.read(keys.find_key("none")) is None
            found = await opened.write(_put_twice())
            assert found[0] == ["4"]
        finally:
            await opened.close()

    asyncio.run(scenario())


def test_both_engines_export_and_replay_the_same(tmp_path: Path, store: str) -> None:
    rows = [
        *stored_rows.looks("abc"),
        stored_rows.row(900, "d", asn=48503, rate_target=1e6, line_faults="portal"),
    ]
    embedded = stored_rows.fill(tmp_path, rows)
    stored_rows.fill_store(store, rows)

    async def release(url: str) -> None:
        opened = await open_store(url)
        await opened.write(_put_secret())
        await opened.close()

    def told(url: str) -> list[str]:
        export = ["export", "--store", url]
        words: list[list[str]] = [
            [*export, "--format", "csv", "--release", "r"],
            [*export, "--format", "jsonl", "--release", "r", "--public", "--country", "kz"],
            [*export, "--format", "csv", "--release", "r", "--outcome", "blocked", "--asn", "9198"],
            [*export, "--format", "openmetrics", "--since", "2026-11-25T12:00:00Z"],
            ["events", "replay", "--from", url, "--quorum", "2"],
        ]
        done = [CliRunner().invoke(cli, one) for one in words]
        assert [one.exit_code for one in done] == [0] * len(words), done
        return [one.stdout for one in done]

    for url in (embedded, store):
        asyncio.run(release(url))
    of_postgres = told(store)
    assert of_postgres == told(embedded)
    assert all(len(text.splitlines()) > 1 for text in of_postgres)


def _put_secret() -> Operation[None]:
    yield Execute("meta_put", [{"name": "release r", "value": "00" * 32}])
