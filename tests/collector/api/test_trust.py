"""Through the whole collector: whose network, whose votes, and what is set aside."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from collector.places import PLACES_LIMIT
from collector.settings import parse_proxies
from collector.store import Operation, keys, sqlite_path
from collector.store.interface import Execute
from probe import codec
from probe.api_types import Heartbeat, MissedInterval
from probe.model import Mechanism, Outcome, Record, Vantage
from tests.collector.harness import (
    JSON,
    OTHER,
    CollectorHarness,
    SigningClient,
    collector,
    now,
    record,
    select,
)

DAY = 86_400.0
TABLE = "100.64.0.0/16,9198,KZ\n100.65.0.0/16,29355,KZ\n100.66.0.0/16,3320,DE\n"
HOME, MOBILE, ABROAD, UNKNOWN = "100.64.1.7", "100.65.1.7", "100.66.1.7", "100.99.1.7"
KZ = 'country="KZ",asn="9198"'
OUTCOME = (
    f'qazprobe_target_outcome{{target="listed.example",category="NEWS",{KZ},outcome="blocked"}}'
)
STRANGER = OUTCOME.replace("target_outcome", "stranger_outcome")
EVENT = f'qazprobe_event_active{{kind="blocking",{KZ}}}'


def blocked(**changes: Any) -> Record:
    return record(outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_TIMEOUT,), **changes)


@asynccontextmanager
async def behind_a_proxy(folder: Path, **changes: Any) -> AsyncIterator[CollectorHarness]:
    """A collector that is told its clients' addresses."""
    table = folder / "table.csv"
    table.write_text(TABLE)
    proxies = parse_proxies(["127.0.0.1"])
    async with collector(folder, asn_table=table, proxies=proxies, **changes) as harness:
        yield harness


async def invited(harness: CollectorHarness, address: str, invite: str = "") -> SigningClient:
    sender = SigningClient(harness, address=address)
    reply = await sender.enrol(invite or await harness.invite("probe"))
    assert reply.status == 200, reply.body
    return sender


async def stranger(harness: CollectorHarness, address: str) -> SigningClient:
    sender = SigningClient(harness, address=address)
    assert (await sender.enrol()).status == 200
    return sender


async def shown(harness: CollectorHarness, path: str = "/v1/measurements") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await harness.ask("GET", path)).data["measurements"]
    return found


# --- the network is the peer's -------------------------------------------------------------------


def test_a_record_counts_for_the_network_of_its_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            for address in (HOME, MOBILE, ABROAD, UNKNOWN):
                sender = await invited(harness, address)
                await sender.send(blocked())
            series = await harness.metrics()
            assert series[OUTCOME] == 1
            rows = await shown(harness)
            assert {(r["country"], r["asn"]) for r in rows} == {
                ("KZ", 9198),
                ("KZ", 29355),
                ("DE", 3320),
                ("ZZ", 0),
            }
            assert {(r["claimed_country"], r["claimed_asn"]) for r in rows} == {("KZ", 9198)}
            assert [r["voting"] for r in rows].count(False) == 2  # from MOBILE and from ABROAD

    asyncio.run(scenario())


def test_a_spool_sent_through_another_network_votes_if_the_key_was_seen_at_home(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            known = await invited(harness, HOME)
            beat = codec.encode(Heartbeat(country="KZ", asn=9198))
            assert (await known.ask("POST", "/v1/heartbeat", beat)).status == 200
            known.address = ABROAD
            await known.send(blocked(started_at=now(-3600)))
            assert (await harness.metrics())[OUTCOME] == 1
            never = await invited(harness, ABROAD)
            await never.send(blocked(started_at=now(-3600)))
            assert (await harness.metrics())[OUTCOME] == 1
            (lost,) = [row for row in await shown(harness) if not row["voting"]]
            assert (lost["country"], lost["claimed_country"]) == ("DE", "KZ")

    asyncio.run(scenario())


def test_a_heartbeat_counts_for_the_network_of_its_connection(tmp_path: Path) -> None:
    reported = (
        MissedInterval(since=7200, until=3600, reach="nothing", country="KZ", asn=9198),
        MissedInterval(since=3000, until=1800, reach="nothing"),
    )
    beat = codec.encode(Heartbeat(country="KZ", asn=9198, unheard=reported))

    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            sender = await invited(harness, ABROAD)
            await sender.ask("POST", "/v1/heartbeat", beat)
            series = await harness.metrics()
            assert series['qazprobe_probes_active{country="DE",asn="3320",region=""}'] == 1
            rows = await harness.service.store.read(select("beats_reported", hour=0))
            assert {(row[2], row[3]) for row in rows} == {("DE", 3320)}

    asyncio.run(scenario())


def test_a_proxy_that_is_not_named_hides_whose_request_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await invited(harness, HOME)
            await sender.send(blocked())
            (row,) = await shown(harness)
            assert (row["country"], row["asn"], row["claimed_asn"]) == ("ZZ", 0, 9198)
            sender.address = ""
            await sender.send(blocked())
            assert (await shown(harness))[0]["asn"] == 9198

    asyncio.run(scenario())


@pytest.mark.parametrize("host", ["collector.example", "collector.example:443", "[::1", "["])
def test_a_name_of_the_collector_is_the_sign_of_a_proxy(tmp_path: Path, host: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            beat = codec.encode(Heartbeat(country="KZ", asn=9198))
            headers = {**sender.sign("POST", "/v1/heartbeat", beat), **JSON, "Host": host}
            await harness.ask("POST", "/v1/heartbeat", beat, headers)
            beats = select("beats_since", hour=0, until=10**9, country="", asn=0)
            rows = await harness.service.store.read(beats)
            assert {row[2] for row in rows} == {"ZZ"}

    asyncio.run(scenario())


# --- strangers and origins ------------------------------------------------------------------------


def test_a_stranger_is_shown_and_carries_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            for n in range(6):
                sender = await stranger(harness, f"100.64.{n}.7")
                await sender.send(blocked())
            series = await harness.metrics()
            assert OUTCOME not in series
            assert EVENT not in series
            assert series[STRANGER] == 6
            assert (await harness.ask("GET", "/v1/events")).data["events"] == []
            assert (await harness.ask("GET", "/v1/verdicts")).data["verdicts"] == []

    asyncio.run(scenario())


def test_one_address_with_many_invited_keys_has_one_vote(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            for _ in range(5):
                await (await invited(harness, HOME)).send(blocked())
            series = await harness.metrics()
            assert series[OUTCOME] == 1
            assert EVENT not in series
            assert (await harness.ask("GET", "/v1/events")).data["events"] == []
            # A second origin completes the quorum, in metrics and in events alike.
            second = await invited(harness, "100.64.2.7")
            for hours in (2, 0):
                await second.send(blocked(started_at=now(-hours * 3600)))
            series = await harness.metrics()
            assert series[OUTCOME] == 2
            assert series[EVENT] == 1
            where = f'target="listed.example",category="NEWS",{KZ},kind="blocking"'
            assert series[f"qazprobe_target_quorum{{{where}}}"] == 1
            assert series["qazcollector_quorum"] == 2
            (event,) = (await harness.ask("GET", "/v1/events")).data["events"]
            assert event["kind"] == "blocking"

    asyncio.run(scenario())


def test_a_leaked_invite_has_one_vote(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            leaked = await harness.invite("probe", uses=20)
            for n in range(5):
                await (await invited(harness, f"100.64.{n}.7", leaked)).send(blocked())
            assert (await harness.metrics())[OUTCOME] == 1

    asyncio.run(scenario())


def test_the_first_key_on_the_collectors_own_machine_is_trusted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, quorum=1) as harness:
            first, second = [await stranger(harness, "") for _ in range(2)]
            await second.send(blocked())
            assert OUTCOME not in await harness.metrics()
            await first.send(blocked())
            assert (await harness.metrics())[OUTCOME] == 1

    asyncio.run(scenario())


def test_an_invite_vouches_for_a_stranger(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(tmp_path, quorum=1) as harness:
            sender = await stranger(harness, HOME)
            await sender.send(blocked())
            assert OUTCOME not in await harness.metrics()
            invite = await harness.invite("probe")
            for _ in range(2):  # the second time costs nothing
                assert (await sender.enrol(invite)).status == 200
            harness.service.snapshots.touch()
            assert (await harness.metrics())[OUTCOME] == 1

    asyncio.run(scenario())


async def backdate(harness: CollectorHarness, key_id: str, days: float) -> None:
    """Let a key's enrolment and its days of agreement lie in the past."""
    today = int(time.time() // DAY)
    with closing(sqlite3.connect(sqlite_path(harness.service.settings.store))) as connection:
        at = (today - 9) * DAY
        connection.execute("UPDATE probe SET enrolled_at = ? WHERE key_id = ?", (at, key_id))
        connection.commit()
    rows = [
        {"key_id": key_id, "day": today - n, "voted": 9, "compared": 9, "agreed": 9}
        for n in range(1, int(days) + 1)
    ]
    await harness.service.store.write(agreed(rows))


def agreed(rows: list[dict[str, object]]) -> Operation[None]:
    yield Execute("conduct_put", rows)


def test_a_stranger_that_agreed_for_a_week_has_a_vote(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with behind_a_proxy(tmp_path, quorum=1) as harness:
            vouched, sender = await invited(harness, "100.64.2.7"), await stranger(harness, HOME)
            await vouched.send(blocked())
            for days, counted in ((5, 1), (7, 2)):  # and today
                await backdate(harness, sender.key_id, days)
                await sender.send(blocked())
                assert (await harness.metrics()).get(OUTCOME, 0) == counted

    asyncio.run(scenario())


def test_agreement_is_assessed_while_the_collector_runs(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[int, int, int]]:
        async with behind_a_proxy(tmp_path) as harness:
            trusted = await invited(harness, HOME)
            other = await stranger(harness, "100.64.2.7")
            await trusted.send(record(), record(OTHER))
            await other.send(record(), blocked_elsewhere())
            await harness.ask("GET", "/v1/events")
            rows = await harness.service.store.read(select("conduct_since", day=0))
            return sorted(tuple(row[1:]) for row in rows if row[0] == other.key_id)

    def blocked_elsewhere() -> Record:
        return record(OTHER, outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_RESET,))

    assert asyncio.run(scenario()) == [(2, 2, 1)]


# --- floods ---------------------------------------------------------------------------------------


def test_invented_networks_displace_no_series_and_are_few(tmp_path: Path) -> None:
    """One key in a laboratory, where claims are believed, with thousands of networks."""

    async def scenario() -> None:
        async with collector(tmp_path, lab=True, max_series=60, quorum=1) as harness:
            honest, liar = await harness.probe(), await harness.probe()
            await honest.send(blocked())
            assert (await harness.metrics())[OUTCOME] == 1
            for start in range(0, 1500, 500):
                flood = [
                    record(OTHER, vantage=Vantage(country="KZ", asn=100_000 + start + n))
                    for n in range(500)
                ]
                await liar.send(*flood)
            series = await harness.metrics()
            assert series[OUTCOME] == 1
            assert series[EVENT] == 1
            networks = {name.partition('asn="')[2].partition('"')[0] for name in series}
            assert len(networks - {""}) <= PLACES_LIMIT + 2
            rows = await harness.service.store.read(select("totals"))
            assert len(rows) <= PLACES_LIMIT + 2

    asyncio.run(scenario())


# --- exclusion ------------------------------------------------------------------------------------


def test_what_a_key_says_can_be_set_aside_and_counted_again(tmp_path: Path) -> None:
    from collector.store import exclusions

    async def recount(harness: CollectorHarness, found: list[str] | None) -> None:
        assert found
        for key in found:
            while await harness.service.store.write(exclusions.recount(key, -1)):
                pass
        harness.service.snapshots.touch()

    def counted(series: dict[str, float]) -> dict[str, float]:
        return {n: round(v, 6) for n, v in series.items() if n.startswith("qazprobe_")}

    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            store = harness.service.store
            honest = await invited(harness, HOME)
            await honest.send(record(), blocked(started_at=now(-7200)))
            before = counted(await harness.metrics())
            leaked = await harness.invite("probe", uses=9)
            liars = [await invited(harness, f"100.64.{n}.7", leaked) for n in (2, 3)]
            for liar in liars:
                await liar.send(blocked(), blocked())
            during = counted(await harness.metrics())
            branch = keys.branch_of(leaked)
            operation = exclusions.exclude(branch, since=0.0, reason="a test", at=time.time())
            await recount(harness, await store.write(operation))
            active = 'qazprobe_probes_active{country="KZ",asn="9198",region="KZ-75"}'
            aside = counted(await harness.metrics())
            assert aside | {active: 1} == before
            # What it sends from now on is set aside too, and whoever enrols with the invite.
            late = await invited(harness, "100.64.9.7", leaked)
            for liar in (*liars, late):
                await liar.send(blocked())
            assert counted(await harness.metrics()) | {active: 1} == before
            assert {one.key_id for one in await store.read(exclusions.exclusions())} == {
                "",
                late.key_id,
                *(liar.key_id for liar in liars),
            }
            await late.ask("DELETE", "/v1/probes/me")
            await recount(harness, await store.write(exclusions.include(branch)))
            after = counted(await harness.metrics())
            total = f'qazprobe_measurements_total{{experiment="web",outcome="blocked",{KZ}}}'
            assert after[total] == during[total] + 2
            assert after[OUTCOME] == during[OUTCOME]

    asyncio.run(scenario())


def test_an_event_that_rested_on_excluded_data_is_withdrawn_with_the_reason(tmp_path: Path) -> None:
    from collector.store import exclusions

    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            senders = [await invited(harness, f"100.64.{n}.7") for n in range(2)]
            for sender in senders:
                for hours in (2, 0):
                    await sender.send(blocked(started_at=now(-hours * 3600)))
            (event,) = (await harness.ask("GET", "/v1/events")).data["events"]
            assert event["state"] == "confirmed"
            for sender, state in zip(senders, ("suspected", "withdrawn"), strict=True):
                operation = exclusions.exclude(
                    sender.key_id, since=0.0, reason="sent made-up records", at=time.time()
                )
                await harness.service.store.write(operation)
                harness.service.snapshots.touch()  # a serving collector looks within ten seconds
                (left,) = (await harness.ask("GET", "/v1/events")).data["events"]
                assert (left["id"], left["state"]) == (event["id"], state)
                assert EVENT not in await harness.metrics()
                history = (await harness.ask("GET", f"/v1/events/{left['id']}")).data["history"]
                assert any(
                    one["what"].endswith(f"{state}: set aside: sent made-up records")
                    for one in history
                )
            await harness.service.store.write(exclusions.include(senders[1].key_id))
            await harness.service.store.write(exclusions.include(senders[0].key_id))
            harness.service.snapshots.touch()
            (again,) = (await harness.ask("GET", "/v1/events")).data["events"]
            assert (again["id"], again["state"]) == (event["id"], "confirmed")

    asyncio.run(scenario())


@pytest.mark.parametrize("since", [0.0, -3600.0])
def test_only_what_was_measured_since_then_is_set_aside(tmp_path: Path, since: float) -> None:
    from collector.store import exclusions

    async def scenario() -> float:
        async with behind_a_proxy(tmp_path, quorum=1) as harness:
            sender = await invited(harness, HOME)
            await sender.send(blocked(started_at=now(-7200)), record(OTHER))
            start = since and time.time() + since
            operation = exclusions.exclude(sender.key_id, since=start, reason="x", at=time.time())
            await harness.service.store.write(operation)
            harness.service.snapshots.touch()
            return (await harness.metrics()).get(OUTCOME, 0.0)

    assert asyncio.run(scenario()) == (0.0 if since == 0.0 else 1.0)


def test_whoever_erases_a_stranger_key_keeps_no_lie_of_others_alive(tmp_path: Path) -> None:
    """Of events nothing is taken back before an erasure, so one that had no vote must not count."""
    incomplete = "SELECT COUNT(*) FROM event_place WHERE complete > 0"

    async def scenario() -> None:
        async with behind_a_proxy(tmp_path) as harness:
            liar, throwaway = await invited(harness, HOME), await stranger(harness, HOME)
            for sender in (liar, throwaway):
                await sender.send(blocked())
            await harness.judged()
            for sender, expected in ((throwaway, 0), (liar, 1)):
                assert (await sender.ask("DELETE", "/v1/probes/me")).status == 200
                with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as store:
                    assert store.execute(incomplete).fetchone()[0] == expected

    asyncio.run(scenario())
