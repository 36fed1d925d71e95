"""The endpoints for readers: records, verdicts, events, exports and the page."""

import asyncio
import base64
import csv
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.settings import Address, SettingsError, parse_bulk
from probe.model import Mechanism, Outcome, Record
from tests.collector.harness import (
    LISTED,
    OTHER,
    UNLISTED,
    CollectorHarness,
    collector,
    now,
    record,
)

DER = b"a certificate"
CERTS = {hashlib.sha256(DER).hexdigest(): base64.b64encode(DER).decode()}


def blocked(url: str = LISTED, **changes: Any) -> Record:
    return record(url, outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_TIMEOUT,), **changes)


async def pages(harness: CollectorHarness, query: str) -> list[list[str]]:
    """Every page of a query, as lists of ids."""
    found: list[list[str]] = []
    following: str | None = ""
    while following is not None:
        cursor = f"&cursor={following}" if following else ""
        data = (await harness.ask("GET", f"/v1/measurements?{query}{cursor}")).data
        found.append([one["id"] for one in data["measurements"]])
        following = data["next"]
    return found


def flat(found: list[list[str]]) -> list[str]:
    return [id_ for page in found for id_ in page]


def test_pages_have_each_record_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            sent = [record() for _ in range(25)]
            for one in sent:
                await sender.send(one)
            ids = [one.id for one in sent]
            newest = await pages(harness, "limit=10")
            assert [len(page) for page in newest] == [10, 10, 5]
            assert flat(newest) == ids[::-1]
            oldest = await pages(harness, "limit=10&order=oldest")
            assert flat(oldest) == ids

    asyncio.run(scenario())


def test_each_filter_selects_its_records(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            one, two = blocked(), record(OTHER, started_at=now(-86400 * 2))
            await sender.send(one, two, record(UNLISTED))
            for query, count in [
                ("target=listed.example", 1),
                ("input=https://OTHER.example", 1),
                ("country=kz&asn=AS9198", 3),
                ("asn=1", 0),
                ("outcome=blocked", 1),
                ("experiment=web&role=probe", 3),
                (f"since={now(-3600)}", 2),
                (f"until={now(-3600)}", 1),
                ("since=2000-01-01&until=2000-01-02", 0),
                ("target=%27%20OR%201=1", 0),
            ]:
                assert len(flat(await pages(harness, query))) == count, query
            data = (await harness.ask("GET", "/v1/measurements?outcome=blocked")).data
            (shown,) = data["measurements"]
            assert shown["mechanisms"] == ["tls.timeout"]
            assert (shown["claim"], shown["target"]) == ("blocked", "listed.example")
            assert "key_id" not in shown

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/measurements?limit=0",
        "/v1/measurements?limit=1001",
        "/v1/measurements?limit=x",
        "/v1/measurements?cursor=-1",
        "/v1/measurements?order=random",
        "/v1/measurements?since=yesterday",
        "/v1/measurements?asn=KZ",
        "/v1/events?since=last-week",
        "/v1/events?kind=block",
        "/v1/events?state=active",
        "/v1/events?cursor=7",
        "/v1/waves?since=last-week",
        "/v1/export?format=xls",
    ],
)
def test_an_invalid_parameter_is_a_400(tmp_path: Path, path: str) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            reply = await harness.ask("GET", path)
            assert reply.status == 400
            assert "expected" in reply.data["error"]

    asyncio.run(scenario())


def test_a_record_is_returned_as_it_was_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sent = blocked(certs=CERTS)
            await (await harness.probe()).send(sent)
            reply = await harness.ask("GET", f"/v1/measurements/{sent.id}")
            data = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
            assert msgspec.json.decode(data["record"], type=Record) == sent
            assert msgspec.json.decode(data["judged"])["outcome"] == "blocked"
            assert (await harness.ask("GET", "/v1/measurements/nosuch")).status == 404

    asyncio.run(scenario())


def test_verdicts_and_events_follow_the_quorum(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, quorum=2) as harness:
            first, second, third = [await harness.probe() for _ in range(3)]
            await first.send(fine := record(started_at=now(-20 * 3600)))
            await first.send(begins := blocked(started_at=now(-16 * 3600)))
            assert (await harness.ask("GET", "/v1/events")).data["events"] == []
            await second.send(seen := blocked(started_at=now(-14 * 3600)))
            (event,) = (await harness.ask("GET", "/v1/events")).data["events"]
            assert (event["state"], event["confirmed_at"]) == ("suspected", None)
            assert event["probes"] == {"agree": 2, "able": 2}
            await first.send(again := blocked(started_at=now(-12 * 3600)))
            await third.send(record(started_at=now(-11 * 3600)))
            (event,) = (await harness.ask("GET", "/v1/events?state=confirmed")).data["events"]
            known = event["id"]
            assert (event["kind"], event["target"], event["category"]) == (
                "blocking",
                "listed.example",
                "NEWS",
            )
            assert (event["country"], event["asn"]) == ("KZ", 9198)
            assert event["mechanisms"] == ["tls.timeout"]
            assert event["began"] == {
                "after": fine.started_at,
                "by": begins.started_at,
            }
            assert event["confirmed_at"] == again.started_at
            assert {seen.id, again.id} < set(event["evidence"])
            active = 'qazprobe_event_active{kind="blocking",country="KZ",asn="9198"}'
            assert (await harness.metrics())[active] == 1
            for hours in (6, 4):
                await second.send(record(started_at=now(-hours * 3600)))
                await first.send(record(started_at=now(-hours * 3600 + 60)))
            (event,) = (await harness.ask("GET", "/v1/events?country=kz")).data["events"]
            assert (event["id"], event["state"]) == (known, "ended")
            assert event["ended"]["after"] == again.started_at
            whole = (await harness.ask("GET", f"/v1/events/{known}")).data
            assert [one["what"] for one in whole["history"]] == [
                "opened as suspected",
                "suspected → confirmed",
                "confirmed → ended",
            ]
            assert active not in await harness.metrics()
            for nothing in ("asn=1", "kind=throttling", "category=ANON", "until=2020-01-01"):
                found = (await harness.ask("GET", f"/v1/events?{nothing}")).data
                assert found["events"] == []
            assert (await harness.ask("GET", "/v1/events/00ff")).status == 404
            (verdict,) = (await harness.ask("GET", "/v1/verdicts")).data["verdicts"]
            assert verdict["probes"] == {"ok": 3}
            assert verdict["interference_ratio"] == 0
            nothing = (await harness.ask("GET", "/v1/verdicts?target=x")).data
            assert nothing["verdicts"] == []

    asyncio.run(scenario())


def test_an_export_has_the_records_and_no_formulas(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            evil = "=cmd|' /C calc'!A0"
            sent = [
                blocked(certs=CERTS),
                record(vantage=msgspec.structs.replace(record().vantage, network=evil)),
            ]
            await (await harness.probe()).send(*sent)
            lines = (await harness.ask("GET", "/v1/export")).body.splitlines()
            found = [msgspec.json.decode(line, type=Record) for line in lines]
            bare = [msgspec.structs.replace(one, collector=msgspec.UNSET) for one in found]
            assert bare == sent
            text = (await harness.ask("GET", "/v1/export?format=csv&outcome=ok")).body.decode()
            (row,) = csv.DictReader(io.StringIO(text))
            assert row["network"] == f"'{evil}"
            assert row["id"] == sent[1].id

    asyncio.run(scenario())


def test_parquet_has_the_same_rows(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")

    async def scenario() -> bytes:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(blocked(), record(OTHER))
            return (await harness.ask("GET", "/v1/export?format=parquet")).body

    file = tmp_path / "x.parquet"
    file.write_bytes(asyncio.run(scenario()))
    with duckdb.connect() as connection:
        asked = f"SELECT target, asn, outcome FROM '{file}' ORDER BY target"
        rows = connection.execute(asked).fetchall()
    assert rows == [("listed.example", 9198, "blocked"), ("other.example", 9198, "ok")]


def test_the_page_is_escaped_and_has_no_scripts(tmp_path: Path) -> None:
    targets = tmp_path / "evil.csv"
    targets.write_text(
        'url,category_code\n"https://listed.example/<script>alert(1)</script>",NEWS\n'
    )

    async def scenario() -> None:
        async with collector(tmp_path, targets=(str(targets),)) as harness:
            empty = await harness.ask("GET", "/")
            assert b"No listed site was measured" in empty.body
            sender = await harness.probe()
            await sender.send(blocked("https://listed.example/<script>alert(1)</script>"))
            reply = await harness.ask("GET", "/")
            text = reply.body.decode()
            assert "listed.example" in text
            assert "<script" not in text
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
            style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
            assert style
            digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
            assert digest in reply.headers["Content-Security-Policy"]
            assert "http://" not in text.replace(harness.url, "")
            assert reply.headers["X-Content-Type-Options"] == "nosniff"

    asyncio.run(scenario())


def test_the_throughput_server_is_announced_with_its_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        keys = []
        for _ in range(2):
            async with collector(tmp_path, bulk=Address("127.0.0.1", 0)) as harness:
                data = (await harness.ask("GET", "/v1/service")).data
                (bulk,) = data["bulk"]
                assert bulk["address"] == "127.0.0.1"
                assert bulk["port"] > 0
                keys.append(bulk["spki_sha256"])
        assert keys[0] == keys[1]

    asyncio.run(scenario())


def test_other_throughput_servers_are_announced_too(tmp_path: Path) -> None:
    other = parse_bulk(f"[2001:db8::7]:4443#{'AB' * 32}")

    async def scenario() -> None:
        async with collector(tmp_path, bulk=Address("127.0.0.1", 0), bulk_also=(other,)) as harness:
            own, also = (await harness.ask("GET", "/v1/service")).data["bulk"]
            assert own["address"] == "127.0.0.1"
            assert also == {"address": "2001:db8::7", "port": 4443, "spki_sha256": "ab" * 32}

    asyncio.run(scenario())


PIN = "#" + "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "203.0.113.7:4443",
        f"203.0.113.7{PIN}",
        f"bulk.example:1{PIN}",
        f"203.0.113.7:0{PIN}",
        "203.0.113.7:1#abcd",
    ],
)
def test_a_malformed_throughput_server_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="SHA256"):
        parse_bulk(text)


def test_what_could_not_tell_takes_the_place_of_no_vote(tmp_path: Path) -> None:
    """A cut line is no liberalisation: the ratio stays what was last seen."""

    async def scenario() -> None:
        async with collector(tmp_path, quorum=1) as harness:
            offline = (Mechanism.ACCESS_OFFLINE,)
            for made in (blocked(started_at=now(-7200)), record(started_at=now(-7200))):
                sender = await harness.probe()
                await sender.send(made)
                await sender.send(record(outcome=Outcome.INCONCLUSIVE, mechanisms=offline))
            (verdict,) = (await harness.ask("GET", "/v1/verdicts")).data["verdicts"]
            assert verdict["probes"] == {"blocked": 1, "ok": 1}
            assert verdict["interference_ratio"] == pytest.approx(1 / 2)

    asyncio.run(scenario())
