"""What unsigned measurements are worth: nothing that is counted, whoever tries."""

import asyncio
import sys
import time
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.admin import retention
from collector.admin.rejudge import rejudge
from collector.interop.ooni import conversion, names
from collector.settings import LAB_LIMITS, CollectorLimits, OoniSettings, parse_proxies
from collector.store import keys
from probe import codec
from probe.api_types import BatchReply, RecheckTarget
from probe.client import endpoint
from probe.interop.ooni.helper_controls import HelperControls
from probe.judge import judge as real_judge
from probe.model import Http, Tcp, Tls, Vantage
from tests.collector.harness import GOOD, LISTED, CollectorHarness, collector, record, select
from tests.collector.interop.ooni_client import as_text, get, measurement, post, send, submission

CLIENTS = OoniSettings(clients=True, helper=True, originals=True)
AGENT = "miniooni/3.30.0 ooniprobe-engine/3.30.0"
PATH = "/api/v1/submit_measurement"


async def submitted(harness: CollectorHarness, value: dict[str, Any], extra: str = "") -> int:
    raw = post(harness.url, PATH, submission(value), agent=AGENT, extra=extra)
    return (await send(harness.url, raw)).status


def accusing() -> dict[str, Any]:
    value = measurement()
    value["test_keys"]["queries"][0] |= {"failure": "dns_nxdomain_error", "answers": None}
    return value


def test_in_both_stores_they_are_kept_without_a_vote_and_judging_again_gives_none(
    any_store: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with collector(
            tmp_path, store=any_store, judge=real_judge, ooni=CLIENTS, quorum=1
        ) as harness:
            assert await submitted(harness, accusing()) == 200
            await harness.judged()
            store = harness.service.store
            await rejudge(store, real_judge, since=0.0, now=time.time())
            assert (
                await store.read(select("votes_of_day", first=0, after=10**9, target="", last="~"))
                == []
            )
            (shown,) = (await harness.ask("GET", "/v1/measurements")).data["measurements"]
            assert shown["voting"] is False
            key_id = names.key_of("ZZ", 0)
            assert (await store.read(select("exclusions_of", key_id=key_id)))[0][0] == 0.0
            assert await store.write(keys.erase(key_id, time.time())) == 1
            assert await store.read(select("exclusions_of", key_id=key_id)) == []
            assert await submitted(harness, accusing()) == 200
            assert (await store.read(select("exclusions_of", key_id=key_id)))[0][0] == 0.0
            await harness.judged()
            later = time.time() + 100
            await retention.retire(store, now=later, raw_before=later - 1, before=0.0)

    asyncio.run(scenario())


def test_what_the_client_sent_goes_with_the_evidence(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            raw = post(harness.url, PATH, submission(measurement()), agent=AGENT)
            uid = (await send(harness.url, raw)).data["measurement_uid"]
            store = harness.service.store
            assert await store.read(select("original_get", uid=uid))
            await harness.judged()
            later = time.time() + 100
            await retention.retire(store, now=later, raw_before=later - 1, before=0.0)
            assert await store.read(select("original_get", uid=uid)) == []

    asyncio.run(scenario())


def test_a_key_of_ours_cannot_claim_to_be_an_archive(tmp_path: Path) -> None:
    """Rules for archived measurements ask for less evidence."""

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            for origin in ("ooni", "ooni/qazprobe", "x"):
                reply: BatchReply = await sender.upload(record(origin=origin))
                assert (reply.stored, reply.rejected) == (0, 1)

    asyncio.run(scenario())


def test_each_network_may_send_so_much_and_has_a_share_of_the_day(tmp_path: Path) -> None:
    here = parse_proxies(("127.0.0.1/32",))

    async def scenario() -> None:
        few = replace(LAB_LIMITS, ooni_burst=2.0, ooni_rate=0.001)
        async with collector(tmp_path, ooni=CLIENTS, limits=few, proxies=here) as harness:
            one, other = "X-Forwarded-For: 198.51.100.1\r\n", "X-Forwarded-For: 203.0.113.1\r\n"
            statuses = [await submitted(harness, measurement(), one) for _ in range(3)]
            assert statuses == [200, 200, 429]
            assert await submitted(harness, measurement(), other) == 200
            large = measurement(annotations={"x": "y" * 400_000})
            assert await submitted(harness, large, "X-Forwarded-For: 192.0.2.1\r\n") == 200
            assert await submitted(harness, large, "X-Forwarded-For: 192.0.2.1\r\n") == 429
        day = OoniSettings(clients=True, daily_bytes=4 * 6000)
        async with collector(tmp_path, ooni=day, proxies=here) as harness:
            sent = [await submitted(harness, measurement(), one) for _ in range(4)]
            assert 200 in sent
            assert sent[-1] == 503
            assert await submitted(harness, measurement(), other) == 200
            metrics = await harness.metrics()
            assert metrics['qazcollector_rejected_total{reason="ooni_full"}'] >= 1

    asyncio.run(scenario())


def test_defaults_are_what_the_documents_say() -> None:
    limits = CollectorLimits()
    assert (limits.ooni_burst, limits.ooni_rate) == (600.0, 1.0)
    assert (limits.helper_burst, limits.helper_rate) == (120.0, 1.0)
    assert (limits.helper_recheck_burst, limits.helper_recheck_rate) == (30.0, 0.05)
    assert OoniSettings().daily_bytes == 200_000_000


def test_our_probe_may_have_our_helper_as_its_control(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            abroad = Vantage(role="control", country="NL", asn=1103)
            await (await harness.probe("control")).send(record(vantage=abroad))
            where = endpoint.parse(f"{harness.url}/ooni/helper")
            async with HelperControls(where, lab=False) as controls:
                asks = [RecheckTarget(input=LISTED, addresses=(GOOD,))]
                found = await controls.recheck(asks)
            (made,) = found[LISTED]
            (connected,) = [one for one in made.steps if isinstance(one, Tcp)]
            assert (connected.address, connected.port, connected.failure) == (GOOD, 443, None)
            (shaken,) = [one for one in made.steps if isinstance(one, Tls)]
            assert shaken.sni == "listed.example"
            (page,) = [one for one in made.steps if isinstance(one, Http)]
            assert page.status == 200

    asyncio.run(scenario())


def hostile() -> dict[str, Any]:
    """As large as may be, and of the kinds of parts that cost the most to convert."""
    certificate = {"format": "base64", "data": b64encode(b"\x30\x82" + bytes(700)).decode()}
    value = measurement()
    value["test_keys"]["tls_handshakes"] = [
        {
            "address": f"93.184.{n % 200}.{n % 250}:443",
            "server_name": "listed.example",
            "network": "tcp",
            "peer_certificates": [certificate] * 2,
            "failure": "ssl_unknown_authority",
            "no_tls_verify": False,
            "t0": 0.1,
            "t": 0.2,
            "transaction_id": n + 1,
        }
        for n in range(400)
    ]
    return value


@pytest.mark.skipif(sys.platform == "win32", reason="no process times")
def test_a_hostile_measurement_costs_little() -> None:
    content = as_text(hostile())
    assert 500_000 < len(content) < 1_000_000
    began = time.process_time()
    found = conversion.record_of(content, "x")
    assert time.process_time() - began < 10.0
    assert found is not None
    assert len(codec.encode(found)) < 2_000_000


def test_what_a_client_sends_again_is_stored_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=CLIENTS) as harness:
            value = measurement()
            assert [await submitted(harness, value) for _ in range(2)] == [200, 200]
            await harness.judged()
            found = (await harness.ask("GET", "/v1/measurements")).data["measurements"]
            assert len(found) == 1
            metrics = await harness.metrics()
            assert metrics['qazcollector_ooni_total{result="duplicate"}'] == 1

    asyncio.run(scenario())


def test_its_own_name_for_a_measurement_is_not_taken(tmp_path: Path) -> None:
    one = conversion.record_of(as_text(measurement(measurement_uid="x")), "first")
    other = conversion.record_of(as_text(measurement(measurement_uid="x")), "second")
    assert one is not None
    assert other is not None
    assert one.id != other.id


def test_health_of_helper_tells_nothing_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=OoniSettings(helper=True)) as harness:
            assert (
                await send(harness.url, get(harness.url, "/ooni/helper", agent=AGENT))
            ).status == 200
            raw = post(harness.url, PATH, submission(measurement()), agent=AGENT)
            assert (await send(harness.url, raw)).status == 404

    asyncio.run(scenario())
