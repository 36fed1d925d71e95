"""What the public sees of networks with few probes, and what the operator's token shows."""

import asyncio
import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.api import app
from probe.model import Mechanism, Outcome, Record
from tests.collector.harness import (
    KZ,
    CollectorHarness,
    collector,
    now,
    record,
)

TOKEN = "0123456789abcdef0123"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ALONE = msgspec.structs.replace(KZ, asn=21299, network="the line of my aunt", region="KZ-10")
HOUR = now(-7200)[:13]
AT = f"{HOUR}:39:05.123Z"
FORMATS = (
    "/v1/measurements?format=csv",
    "/v1/measurements?order=oldest",
    "/v1/verdicts?format=csv",
    "/v1/events?format=csv",
    "/v1/export?format=csv",
)
# Every list, page and feed that is there.
LISTS = (
    *(one.path for one in app.ROUTES if one.method == "GET" and one.access != "signed"),
    *FORMATS,
)
PARTS = {"asn": "21299", "name": "listed.example", "code": "NEWS"}


def lonely(**changes: Any) -> Record:
    return record(**{"vantage": ALONE, "started_at": AT, **changes})


def with_token(folder: Path) -> dict[str, Any]:
    file = folder / "token"
    file.write_text(TOKEN + "\n")
    return {"public_min_probes": 3, "operator_token_file": file}


async def busy(harness: CollectorHarness) -> list[Record]:
    """Three probes on a network, and what they sent."""
    sent = []
    for _ in range(3):
        sent.append(record())
        await (await harness.probe()).send(sent[-1])
    return sent


async def shown(
    harness: CollectorHarness, query: str = "", headers: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    reply = await harness.ask(
        "GET", f"/v1/measurements?limit=1000{query}", None, dict(headers or {})
    )
    assert reply.status == 200, reply.body
    rows: list[dict[str, Any]] = reply.data["measurements"]
    return rows


def test_a_look_on_a_network_with_few_probes_has_no_id_and_the_hour_for_its_time(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, public_min_probes=3) as harness:
            sent = await busy(harness)
            await (await harness.probe()).send(lonely())
            rows = {row["asn"]: row for row in await shown(harness)}
            fine, coarse = rows[9198], rows[21299]
            assert not fine["coarse"]
            assert fine["id"] in {one.id for one in sent}
            assert coarse["coarse"]
            assert coarse["started_at"] == f"{HOUR}:00:00.000Z"
            hidden = ("id", "run", "region", "claimed_country", "claimed_asn")
            assert [coarse[name] for name in hidden] == [None] * 5
            assert "aunt" not in coarse["network"]
            assert coarse["outcome"] == "ok"

    asyncio.run(scenario())


def test_no_view_tells_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, public_min_probes=3) as harness:
            one = lonely(outcome=Outcome.BLOCKED, mechanisms=(Mechanism.TLS_TIMEOUT,))
            await (await harness.probe()).send(one)
            for path in LISTS:
                filled = re.sub(r"\{(\w+)\}", lambda found: PARTS.get(found[1], one.id), path)
                reply = await harness.ask("GET", filled)
                assert reply.status == (404 if one.id in filled else 200), path
                text = reply.body.decode() + str(reply.headers)
                for secret in (one.id, one.run, "39:05", "05.123", "KZ-10", "aunt"):
                    assert secret not in text, (path, secret)

    asyncio.run(scenario())


def test_an_id_that_is_not_shown_is_answered_like_one_that_is_not_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, **with_token(tmp_path)) as harness:
            one = lonely()
            await (await harness.probe()).send(one)
            there = await harness.ask("GET", f"/v1/measurements/{one.id}")
            nowhere = await harness.ask("GET", "/v1/measurements/nosuch")
            assert (there.status, there.body) == (404, nowhere.body)
            full = await harness.ask("GET", f"/v1/measurements/{one.id}", None, dict(BEARER))
            assert full.data["record"]["started_at"] == one.started_at

    asyncio.run(scenario())


def test_the_time_cannot_be_found_by_asking_for_ever_shorter_periods(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, public_min_probes=3) as harness:
            await (await harness.probe()).send(lonely())

            async def found(since: str, until: str) -> int:
                period = f"&since={HOUR}:{since}Z&until={HOUR}:{until}Z"
                export = await harness.ask("GET", f"/v1/export?format=csv{period}")
                listed = len(await shown(harness, period))
                assert len(export.body.splitlines()) == listed + 1
                return listed

            assert await found("00:00", "00:01") == 1
            assert await found("39:00", "40:00") == 0
            assert await found("00:01", "59:59") == 0
            assert await found("00:00", "00:00") == 0

    asyncio.run(scenario())


def test_a_cursor_does_not_tell_when_a_record_came(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, public_min_probes=3) as harness:
            sender = await harness.probe()
            await sender.send(lonely())
            await sender.send(lonely())
            page = (await harness.ask("GET", "/v1/measurements?limit=1")).data
            assert re.fullmatch(r"[A-Za-z0-9_-]+", page["next"])
            rest = await harness.ask("GET", f"/v1/measurements?limit=1&cursor={page['next']}")
            assert len(rest.data["measurements"]) == 1
            changed = page["next"][::-1]
            reply = await harness.ask("GET", f"/v1/measurements?cursor={changed}")
            assert reply.status == 400
            assert reply.data["error"].startswith("cursor: ")

    asyncio.run(scenario())


def test_a_claim_of_another_network_is_as_coarse_as_that_network(tmp_path: Path) -> None:
    """Who measures through a VPN of many names the line at home, where no other probe is."""

    async def scenario() -> None:
        table = tmp_path / "asn.csv"
        table.write_text("198.51.100.0,198.51.100.255,9198,KZ\n")
        async with collector(tmp_path, asn_table=table, public_min_probes=3) as harness:
            await busy(harness)
            operation = harness.service.store.write(_claim("KZ", 21299))
            await operation
            rows = await shown(harness)
            assert [row["coarse"] for row in rows] == [True] * 3
            assert {row["claimed_asn"] for row in rows} == {None}
            text = (await harness.ask("GET", "/v1/export?format=csv")).body.decode()
            exported = list(csv.DictReader(io.StringIO(text)))
            assert [row["coarse"] for row in exported] == ["true"] * 3
            assert {row["claimed_asn"] for row in exported} == {""}

    def _claim(country: str, asn: int) -> Any:
        from collector.store.interface import Execute

        yield Execute("claim_all", [{"country": country, "asn": asn}])

    from collector.store import sqlite
    from collector.store.interface import statements

    added = "UPDATE measurement SET claimed_country = :country, claimed_asn = :asn"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "statements", lambda: {**statements(), "claim_all": added})
        asyncio.run(scenario())


def test_the_operators_token_shows_everything_and_a_wrong_one_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, **with_token(tmp_path)) as harness:
            one = lonely()
            await (await harness.probe()).send(one)
            (row,) = await shown(harness, headers=BEARER)
            assert (row["id"], row["started_at"], row["coarse"]) == (one.id, one.started_at, False)
            assert (await shown(harness))[0]["id"] is None
            (verdict,) = (await harness.ask("GET", "/v1/verdicts", None, dict(BEARER))).data[
                "verdicts"
            ]
            assert verdict["newest"] == one.started_at
            for header in ("Bearer wrong", f"Basic {TOKEN}", "Bearer", TOKEN, ""):
                for path in ("/v1/measurements", f"/v1/measurements/{one.id}", "/v1/verdicts"):
                    reply = await harness.ask("GET", path, None, {"Authorization": header})
                    assert (reply.status, list(reply.data)) == (401, ["error"]), (path, header)

    asyncio.run(scenario())


def test_without_a_token_of_its_own_a_collector_takes_none(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with collector(tmp_path) as harness:
            return (await harness.ask("GET", "/v1/measurements", None, dict(BEARER))).status

    assert asyncio.run(scenario()) == 401


def test_verdicts_are_of_the_hour(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, public_min_probes=3) as harness:
            await busy(harness)
            await (await harness.probe()).send(record(vantage=ALONE, started_at=now(-7200)))
            text = (await harness.ask("GET", "/v1/verdicts?format=csv")).body.decode()
            rows = {row["asn"]: row for row in csv.DictReader(io.StringIO(text))}
            assert rows["21299"]["coarse"] == "true"
            assert rows["21299"]["newest"].endswith(":00:00.000Z")
            assert rows["9198"]["coarse"] == "false"
            assert rows["9198"]["probes"] == "ok=3"
            assert {row["target"] for row in rows.values()} == {"listed.example"}

    asyncio.run(scenario())


def test_events_of_few_probes_are_of_the_hour_and_name_no_records(tmp_path: Path) -> None:
    blocked: dict[str, Any] = {
        "outcome": Outcome.BLOCKED,
        "mechanisms": (Mechanism.TLS_TIMEOUT,),
    }

    async def scenario() -> None:
        async with collector(tmp_path, **with_token(tmp_path)) as harness:
            first, second = lonely(**blocked), lonely(**blocked)
            again = lonely(**blocked | {"started_at": f"{HOUR}:51:07.890Z"})
            await (await harness.probe()).send(first, again)
            await (await harness.probe()).send(second)
            (event,) = (await harness.ask("GET", "/v1/events")).data["events"]
            assert event["coarse"]
            assert event["evidence"] == []
            by = event["began"]["by"]
            assert by.endswith(":00:00.000Z")
            paths = ("", "?limit=1", f"/{event['id']}", "?format=csv")
            texts = [(await harness.ask("GET", f"/v1/events{path}")).body for path in paths]
            texts.append((await harness.ask("GET", "/v1/waves")).body)
            for text in texts:
                assert not re.search(rb"T\d\d:(?!00:00\.000Z)\d\d", text), text
                for one in (first, again, second):
                    assert one.id.encode() not in text
            pages = ("/e/{}", "/e/{}/looks.csv", "/events", "/site/listed.example", "/feed.atom")
            for path in (*(one.format(event["id"]) for one in pages), "/network/21299", "/"):
                reply = await harness.ask("GET", path)
                assert reply.status == 200, path
                for secret in (first.id, again.id, f"{HOUR[-2:]}:39", f"{HOUR[-2:]}:51", "aunt"):
                    assert secret.encode() not in reply.body, (path, secret)
            (full,) = (await harness.ask("GET", "/v1/events", None, dict(BEARER))).data["events"]
            assert full["began"]["by"] == AT
            assert set(full["evidence"]) <= {first.id, again.id, second.id}
            assert full["evidence"]

            async def between(since: str, until: str) -> int:
                period = f"since={HOUR}:{since}Z&until={HOUR}:{until}Z"
                return len((await harness.ask("GET", f"/v1/events?{period}")).data["events"])

            # The event began at 39:05; no period within the hour tells.
            assert await between("00:00", "01:00") == await between("38:00", "40:00") == 1

    asyncio.run(scenario())
