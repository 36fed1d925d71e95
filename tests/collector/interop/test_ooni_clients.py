"""OONI's clients as probes: what each version of them asks and sends, over real sockets."""

import asyncio
import gzip
import json
import re
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.admin import setting_aside
from collector.interop.ooni import names
from collector.settings import LAB_LIMITS, CollectorLimits, OoniSettings, parse_proxies
from collector.store import backlog
from probe.judge import judge as real_judge
from tests.collector.harness import LISTED, CollectorHarness, collector
from tests.collector.interop.ooni_client import (
    WireReply,
    as_text,
    get,
    measurement,
    post,
    report_of,
    send,
    submission,
)

CLIENTS = OoniSettings(clients=True, originals=True)
OLD = "ooniprobe-cli/3.29.1 ooniprobe-engine/3.29.1"
NEW = "miniooni/3.30.0 ooniprobe-engine/3.30.0"
MOBILE = "ooniprobe-android-unattended/5.1.0 ooniprobe-engine/3.26.0"
UID = re.compile(r"[0-9]{14}\.[0-9]{6}_KZ_webconnectivity_[0-9a-f]{16}")
TOKEN = "0123456789abcdef0123456789abcdef"


async def posted(
    harness: CollectorHarness, path: str, body: bytes, *, agent: str = NEW, **how: Any
) -> WireReply:
    return await send(harness.url, post(harness.url, path, body, agent=agent, **how))


async def got(harness: CollectorHarness, path: str, *, agent: str = NEW, **how: Any) -> WireReply:
    return await send(harness.url, get(harness.url, path, agent=agent, **how))


async def rows(harness: CollectorHarness) -> list[dict[str, Any]]:
    await harness.judged()
    found: list[dict[str, Any]] = (await harness.ask("GET", "/v1/measurements")).data[
        "measurements"
    ]
    return found


def test_nothing_of_it_is_there_unless_it_is_switched_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            for path in ("/api/v1/test-helpers", "/ooni/helper", "/api/v1/manifest"):
                assert (await got(harness, path)).status == 404
            for path in ("/report", "/api/v1/submit_measurement", "/api/v1/check-in"):
                assert (await posted(harness, path, b"{}")).status == 404

    asyncio.run(scenario())


def test_a_client_of_3_30_submits_measurements(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            assert (await got(harness, "/api/v1/test-helpers")).data == {}
            reply = await posted(harness, "/api/v1/submit_measurement", submission(measurement()))
            assert reply.status == 200
            assert UID.fullmatch(reply.data["measurement_uid"])
            assert reply.data["verification_status"] == "unverified"
            assert reply.data["submit_response"] is None
            assert "_webconnectivity_KZ_9198_n1_" in reply.data["report_id"]
            (shown,) = await rows(harness)
            assert (shown["input"], shown["experiment"]) == (LISTED, "web")
            assert shown["voting"] is False
            metrics = await harness.metrics()
            assert metrics['qazcollector_ooni_total{result="stored"}'] == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("agent", [OLD, MOBILE])
@pytest.mark.parametrize("packed", [False, True])
def test_a_client_up_to_3_29_and_a_mobile_one_send_a_report(
    tmp_path: Path, agent: str, *, packed: bool
) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            value = measurement()
            opened = await posted(harness, "/report", report_of(value), agent=agent)
            assert opened.status == 200
            assert "json" in opened.data["supported_formats"]
            assert opened.data["backend_version"]
            name = opened.data["report_id"]
            assert len(name.split("_")) == 6
            body = as_text({"format": "json", "content": {**value, "report_id": name}})
            reply = await posted(harness, f"/report/{name}", body, agent=agent, packed=packed)
            assert reply.status == 200
            assert UID.fullmatch(reply.data["measurement_uid"])
            closed = await posted(harness, f"/report/{name}/close", b"", agent=agent)
            assert (closed.status, closed.data) == (200, {})
            assert [one["input"] for one in await rows(harness)] == [LISTED]

    asyncio.run(scenario())


def test_a_report_takes_only_what_it_was_opened_for_and_only_here(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            opened = await posted(harness, "/report", report_of(measurement()))
            name = opened.data["report_id"]
            other = as_text({"format": "json", "content": measurement(probe_asn="AS21299")})
            assert (await posted(harness, f"/report/{name}", other)).status == 400
            made_up = name[:-16] + "0" * 16
            same = as_text({"format": "json", "content": measurement()})
            assert (await posted(harness, f"/report/{made_up}", same)).status == 400
            assert (await posted(harness, f"/report/{made_up}/close", b"")).status == 400

    asyncio.run(scenario())


def test_check_in_gives_targets_of_the_operators_lists(tmp_path: Path) -> None:
    lists = {"kz": "https://here.example/,NEWS", "ru": "https://there.example/,NEWS"}
    lists["global"] = "https://all.example/,HUMR\nhttps://tools.example/,ANON"
    for name, lines in lists.items():
        (tmp_path / f"{name}.csv").write_text(f"url,category_code\n{lines}\n")
    files = tuple(str(tmp_path / f"{name}.csv") for name in lists)

    def asked(**changes: Any) -> bytes:
        found = {"charging": True, "on_wifi": True, "platform": "linux", "probe_asn": "AS9198"}
        found |= {"probe_cc": "KZ", "run_type": "timed", "software_name": "miniooni"}
        found |= {"software_version": "3.30.0", "web_connectivity": {"category_codes": []}}
        return as_text({**found, **changes})

    async def scenario() -> None:
        also = replace(CLIENTS, also=("https://helper.example/",))
        async with collector(tmp_path, ooni=also, targets=files) as harness:
            reply = (await posted(harness, "/api/v1/check-in", asked())).data
            assert reply["v"] == 1
            assert time.strptime(reply["utc_time"], "%Y-%m-%dT%H:%M:%SZ")
            urls = {one["url"]: one for one in reply["tests"]["web_connectivity"]["urls"]}
            assert set(urls) == {"https://here.example/", "https://all.example/"}
            assert urls["https://here.example/"]["country_code"] == "KZ"
            assert urls["https://all.example/"]["country_code"] == "XX"
            assert urls["https://all.example/"]["category_code"] == "HUMR"
            assert reply["tests"]["web_connectivity"]["report_id"]
            helpers = reply["conf"]["test_helpers"]["web-connectivity"]
            assert helpers == [{"address": "https://helper.example/", "type": "https"}]
            wanted = asked(web_connectivity={"category_codes": ["ANON"]})
            chosen = (await posted(harness, "/api/v1/check-in", wanted)).data
            assert [one["url"] for one in chosen["tests"]["web_connectivity"]["urls"]] == [
                "https://tools.example/"
            ]
            for wrong in (
                asked(probe_cc="kz"),
                asked(probe_asn="9198"),
                asked(run_type="always"),
                asked(web_connectivity={"category_codes": ["; DROP"]}),
                asked(web_connectivity={"category_codes": ["NEWS"] * 1000}),
                b"null",
            ):
                assert (await posted(harness, "/api/v1/check-in", wrong)).status == 400

    asyncio.run(scenario())


def test_old_clients_get_a_name_a_token_and_the_servers_of_tor(tmp_path: Path) -> None:
    about = {"platform": "linux", "probe_asn": "AS9198", "probe_cc": "KZ", "password": "x" * 20}
    about |= {"software_name": "miniooni", "software_version": "3.29.1"}

    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            body = as_text({**about, "supported_tests": ["tor"]})
            name = (await posted(harness, "/api/v1/register", body)).data["client_id"]
            login = as_text({"username": name, "password": "x" * 20})
            reply = (await posted(harness, "/api/v1/login", login)).data
            assert time.strptime(reply["expire"], "%Y-%m-%dT%H:%M:%SZ")
            path = "/api/v1/test-list/tor-targets?country_code=KZ"
            found = (await got(harness, path, token=reply["token"])).data
            assert found
            for one in found.values():
                assert set(one) == {"address", "fingerprint", "name", "protocol"}
            assert (await posted(harness, "/api/v1/login", b"{}")).status == 401

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "changes",
    [
        {"probe_cc": "ZZ"},
        {"probe_cc": "kz"},
        {"probe_asn": "AS0"},
        {"probe_asn": "AS09"},
        {"probe_asn": "9198"},
        {"test_name": "Web"},
        {"test_name": "x" * 31},
        {"measurement_start_time": "yesterday"},
        {"measurement_start_time": "2001-01-01 00:00:00"},
        {"test_keys": None},
        {"test_keys": []},
        {"input": "javascript:alert(1)"},
        {"input": "https://listed.example/\x00"},
    ],
)
def test_what_is_no_measurement_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            body = submission(measurement(**changes))
            reply = await posted(harness, "/api/v1/submit_measurement", body)
            assert reply.status == 400
            assert set(reply.data) == {"error"}
            assert await rows(harness) == []

    asyncio.run(scenario())


def test_bodies_are_bounded_also_when_they_are_packed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            path = "/api/v1/submit_measurement"
            for body, status in (
                (submission(measurement(annotations={"x": "y" * 1_000_000})), 413),
                (b" " * 3_000_000, 413),
            ):
                assert (await posted(harness, path, body)).status == status
                assert (await posted(harness, path, body, packed=True)).status == status
            bomb = gzip.compress(gzip.compress(bytes(400_000_000), 1), 1)
            raw = post(harness.url, path, b"", agent=NEW, extra="Content-Encoding: gzip\r\n")
            raw = raw.replace(b"Content-Length: 0", f"Content-Length: {len(bomb)}".encode()) + bomb
            assert (await send(harness.url, raw)).status in {400, 413}
            large = submission(measurement(annotations={"x": "y" * 900_000}))
            assert (await posted(harness, path, large)).status == 200

    asyncio.run(scenario())


def test_an_experiment_that_we_do_not_have_is_taken_and_dropped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            body = submission(measurement(test_name="dash", input=None))
            reply = await posted(harness, "/api/v1/submit_measurement", body)
            assert reply.status == 200
            metrics = await harness.metrics()
            assert metrics['qazcollector_ooni_total{result="unconverted"}'] == 1
            assert await rows(harness) == []

    asyncio.run(scenario())


def test_a_measurement_is_named_as_ooni_does() -> None:
    uid = names.measurement_uid("KZ", "web_connectivity", b"{}", 1_764_500_000.25)
    assert uid.startswith("20251130105320.250000_KZ_webconnectivity_")


def test_no_address_of_a_client_is_kept(tmp_path: Path) -> None:
    address, resolver = "203.0.113.77", "92.46.190.5"
    page = gzip.compress(b"x")[:4].hex() + f" your address is {address}"
    value = measurement(probe_ip=address, annotations={"note": f"from {address}"})
    value["test_keys"]["requests"] = [
        {
            "failure": None,
            "request": {"method": "GET", "url": LISTED, "headers": {}, "body": ""},
            "response": {"body": page, "code": 200, "headers": {"Server": "x"}},
            "t": 0.2,
            "t0": 0.1,
            "transaction_id": 20001,
        }
    ]

    async def scenario() -> None:
        here = parse_proxies(("127.0.0.1/32",))
        token = tmp_path / "token"
        token.write_text(TOKEN)
        async with collector(
            tmp_path, ooni=CLIENTS, proxies=here, operator_token_file=token
        ) as harness:
            extra = f"X-Forwarded-For: {address}\r\n"
            path = "/api/v1/submit_measurement"
            reply = await posted(harness, path, submission(value), extra=extra)
            assert reply.status == 200
            uid = reply.data["measurement_uid"]
            await harness.judged()
            asked = f"/api/v1/raw_measurement?measurement_uid={uid}"
            assert (await got(harness, asked)).status == 401
            kept = await got(harness, asked, token=TOKEN)
            assert kept.status == 200
            assert kept.data["probe_ip"] == "127.0.0.1"
            assert kept.data["test_keys"]["client_resolver"] == "[scrubbed]"
            assert address.encode() not in kept.body
            assert resolver.encode() not in kept.body
            (shown,) = await rows(harness)
            whole = await harness.ask("GET", f"/v1/measurements/{shown['id']}")
            assert whole.status == 200
            assert address.encode() not in whole.body
            assert resolver.encode() not in whole.body

    asyncio.run(scenario())
    for file in tmp_path.glob("store.sqlite3*"):
        assert address.encode() not in file.read_bytes()


@pytest.mark.slow
def test_ten_thousand_hostile_submissions_fill_no_store_and_make_no_events(tmp_path: Path) -> None:
    number = 10_000
    limits = replace(CollectorLimits(), ooni_burst=1e9, network_burst=1e9, connect_burst=1e9)
    limits = replace(limits, connections=LAB_LIMITS.connections, connect_rate=1e9)
    daily = 2_000_000

    def accusing(serial: int) -> dict[str, Any]:
        value = measurement(annotations={"serial": str(serial), "id": str(uuid.uuid4())})
        value["test_keys"]["queries"][0] |= {"failure": "dns_nxdomain_error", "answers": None}
        value["test_keys"] |= {"tcp_connect": [], "blocking": "dns", "accessible": False}
        return value

    async def scenario() -> None:
        settings = OoniSettings(clients=True, daily_bytes=daily)
        async with collector(
            tmp_path, judge=real_judge, ooni=settings, limits=limits, quorum=1
        ) as harness:
            statuses = dict.fromkeys((200, 503), 0)
            path = "/api/v1/submit_measurement"
            gate = asyncio.Semaphore(16)

            async def one(serial: int) -> None:
                async with gate:
                    reply = await posted(harness, path, submission(accusing(serial)))
                statuses[reply.status] += 1

            await asyncio.gather(*map(one, range(number)))
            assert sum(statuses.values()) == number
            assert 0 < statuses[200] < daily / 2048
            async with asyncio.timeout(300):
                while (await harness.service.store.read(backlog.state())).records:  # noqa: ASYNC110 - a store tells of no changes
                    await asyncio.sleep(0.1)
            metrics = await harness.metrics()
            assert metrics['qazcollector_rejected_total{reason="ooni_full"}'] == statuses[503]
            assert not [name for name in metrics if name.startswith("qaz_blocked")]
            assert (await harness.ask("GET", "/v1/events")).data["events"] == []
            assert (await harness.ask("GET", "/v1/verdicts")).data["verdicts"] == []
            assert (await harness.ask("GET", "/v1/hourly")).data["hours"] == []

    asyncio.run(scenario())
    size = sum(file.stat().st_size for file in tmp_path.glob("store.sqlite3*"))
    assert size < 20 * daily


def test_the_operator_may_count_them_but_never_as_votes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS, quorum=1) as harness:
            for _ in range(2):
                body = submission(measurement(annotations={"id": str(uuid.uuid4())}))
                await posted(harness, "/api/v1/submit_measurement", body)
            await harness.judged()
            hours = (await harness.ask("GET", "/v1/hourly")).data
            assert json.dumps(hours).count("listed.example") == 0
            store = harness.service.store
            moved = await setting_aside.take_back(store, "ooni")
            assert moved is not None
            assert moved.records == 2
            verdicts = (await harness.ask("GET", "/v1/verdicts")).data["verdicts"]
            assert verdicts == []

    asyncio.run(scenario())
