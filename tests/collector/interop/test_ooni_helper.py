"""The test helper: answers from control measurements of listed targets, and from nothing else."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec.structs import replace as changed

from collector.api import ooni_helper
from collector.settings import LAB_LIMITS, OoniSettings
from probe import codec
from probe.api_types import RecheckJobs
from probe.failure import Failure
from probe.interop.ooni.out.helper_answer import Endpoint, helper_answer
from probe.model import Dns, Http, Line, Quic, Record, Reply, Role, Steps, Tcp, Tls, Trust, Vantage
from probe.words import TrustReason
from tests.collector.harness import (
    GOOD,
    LISTED,
    OTHER,
    UNLISTED,
    VALID,
    CollectorHarness,
    SigningClient,
    collector,
    fine,
    now,
    record,
)
from tests.collector.interop.ooni_client import WireReply, as_text, get, post, send

HELPER = OoniSettings(clients=True, helper=True)
ABROAD = Vantage(role="control", country="NL", asn=1103)
AGENT = "ooniprobe-cli/3.29.1 ooniprobe-engine/3.29.1"
ELSEWHERE = "93.184.216.35"


def question(url: str = LISTED, *endpoints: str, **changes: Any) -> bytes:
    """What Web Connectivity 0.5 asks a helper."""
    headers = {
        "Accept": ["text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"],
        "Accept-Language": ["en-US,en;q=0.9"],
        "User-Agent": ["Mozilla/5.0 (X11; Linux x86_64) Chrome/144.0.0.0"],
    }
    found = {"http_request": url, "http_request_headers": headers}
    connect = list(endpoints or (f"{GOOD}:443", f"{GOOD}:80"))
    return as_text({**found, "tcp_connect": connect, "x_quic_enabled": False, **changes})


async def asked(harness: CollectorHarness, body: bytes) -> WireReply:
    raw = post(harness.url, "/ooni/helper", body, agent=AGENT)
    return await send(harness.url, raw)


def by_control(url: str = LISTED, **changes: Any) -> Record:
    return record(url, vantage=ABROAD, line=Line(alive_before=True, alive_after=True), **changes)


def test_it_answers_from_the_newest_control_measurement(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=HELPER) as harness:
            helpers = await send(harness.url, get(harness.url, "/api/v1/test-helpers", agent="x"))
            (one,) = helpers.data["web-connectivity"]
            assert one == {"address": f"{harness.url}/ooni/helper", "type": "https"}
            health = await send(harness.url, get(harness.url, "/ooni/helper", agent=AGENT))
            assert set(health.data) == {"message"}
            await (await harness.probe("control")).send(by_control())
            reply = (await asked(harness, question())).data
            assert reply["dns"] == {"failure": None, "addrs": [GOOD]}
            assert reply["tcp_connect"] == {f"{GOOD}:443": {"status": True, "failure": None}}
            assert reply["tls_handshake"] == {
                f"{GOOD}:443": {"server_name": "listed.example", "status": True, "failure": None}
            }
            assert reply["quic_handshake"] == {}
            assert reply["http_request"]["status_code"] == 200
            assert reply["http_request"]["title"] == "Listed"
            assert reply["http_request"]["failure"] is None
            assert reply["http3_request"] is None
            assert reply["ip_info"] == {GOOD: {"asn": 0, "flags": 1 | 2 | 8}}
            metrics = await harness.metrics()
            assert metrics['qazcollector_ooni_helper_total{result="known"}'] == 1

    asyncio.run(scenario())


def test_an_old_measurement_and_one_of_a_probe_are_no_control(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, ooni=HELPER) as harness:
            await (await harness.probe()).send(record())
            old = by_control(started_at=now(-3600))
            await (await harness.probe("control")).send(old)
            reply = await asked(harness, question())
            assert reply.status == 503
            assert reply.headers["retry-after"]

    asyncio.run(scenario())


def test_without_one_a_control_measures_now(tmp_path: Path) -> None:
    async def measure(control: SigningClient) -> None:
        jobs: RecheckJobs = (await control.ask("GET", "/v1/recheck?wait=20")).read(RecheckJobs)
        (job,) = jobs.jobs
        assert job.input == LISTED
        assert job.addresses == (GOOD,)
        await control.post(codec.pack([codec.encode(by_control())]))

    async def scenario() -> None:
        async with collector(tmp_path, ooni=HELPER) as harness:
            control = await harness.probe("control")
            measuring = asyncio.create_task(measure(control))
            while not harness.service.rechecks.has_controls:  # noqa: ASYNC110 - it is no event
                await asyncio.sleep(0.01)
            reply = await asked(harness, question())
            await measuring
            assert reply.status == 200
            assert reply.data["http_request"]["status_code"] == 200

    asyncio.run(scenario())


def test_it_waits_for_controls_no_longer_than_clients_do(tmp_path: Path, monkeypatch: Any) -> None:
    assert ooni_helper.WAIT_SECONDS == 20.0
    monkeypatch.setattr(ooni_helper, "WAIT_SECONDS", 0.2)

    async def scenario() -> None:
        async with collector(tmp_path, ooni=HELPER) as harness:
            control = await harness.probe("control")
            await control.ask("GET", "/v1/recheck?wait=0")
            assert (await asked(harness, question())).status == 503

    asyncio.run(scenario())


def test_it_is_no_open_fetcher(tmp_path: Path) -> None:
    wrong = (
        question(UNLISTED),
        question("https://listed.example:8443/"),
        question("http://127.0.0.1/"),
        question("http://169.254.169.254/latest/"),
        question("file:///etc/passwd"),
        question("gopher://listed.example/"),
        question("https://listed.example@127.0.0.1/"),
        question(LISTED, *(f"93.184.216.{n}:443" for n in range(33))),
        as_text({"http_request": LISTED, "http_request_headers": "x"}),
        as_text({"http_request": 7}),
        b"null",
        b"[" * 10_000,
        b"",
    )

    async def scenario() -> None:
        async with collector(tmp_path, ooni=HELPER) as harness:
            control = await harness.probe("control")
            await control.ask("GET", "/v1/recheck?wait=0")
            for body in wrong:
                assert (await asked(harness, body)).status == 400, body[:80]
            jobs = (await control.ask("GET", "/v1/recheck?wait=0")).read(RecheckJobs)
            assert jobs.jobs == ()

    asyncio.run(scenario())


def test_controls_are_asked_to_dial_public_addresses_on_ports_of_the_web_only(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ooni_helper, "WAIT_SECONDS", 0.2)
    inner = ("127.0.0.1:443", "10.0.0.1:80", "[::1]:443", "[fe80::1%eth0]:443", "169.254.1.1:80")
    odd = (f"{ELSEWHERE}:22", "no address", f"{ELSEWHERE}", ":443", f"{ELSEWHERE}:٤٤٣", "[")

    async def scenario() -> None:
        async with collector(tmp_path, ooni=HELPER) as harness:
            control = await harness.probe("control")
            await control.ask("GET", "/v1/recheck?wait=0")
            reply = await asked(harness, question(LISTED, f"{GOOD}:443", *inner, *odd))
            assert reply.status == 503
            jobs = (await control.ask("GET", "/v1/recheck?wait=0")).read(RecheckJobs)
            assert [one.addresses for one in jobs.jobs] == [(GOOD,)]

    asyncio.run(scenario())


def test_each_network_may_ask_so_much(tmp_path: Path) -> None:
    limits = replace(LAB_LIMITS, helper_burst=2.0, helper_rate=0.001)
    limits = replace(limits, helper_recheck_burst=1.0, helper_recheck_rate=0.001)

    async def scenario() -> None:
        from collector.settings import parse_proxies

        here = parse_proxies(("127.0.0.1/32",))
        async with collector(tmp_path, ooni=HELPER, limits=limits, proxies=here) as harness:

            async def of(address: str, url: str) -> int:
                extra = f"X-Forwarded-For: {address}\r\n"
                raw = post(harness.url, "/ooni/helper", question(url), agent=AGENT, extra=extra)
                return (await send(harness.url, raw)).status

            assert await of("198.51.100.1", LISTED) == 503
            assert await of("198.51.100.2", OTHER) == 429
            assert await of("198.51.100.3", LISTED) == 429
            assert await of("203.0.113.1", LISTED) == 503
            metrics = await harness.metrics()
            assert metrics['qazcollector_rejected_total{reason="rate_helper"}'] == 2

    asyncio.run(scenario())


def of(steps: Steps, url: str = LISTED, *endpoints: Endpoint, quic: bool = False) -> dict[str, Any]:
    given = endpoints or (Endpoint(GOOD, 443),)
    return helper_answer(url, steps, given, network_of=lambda _: 64500, quic=quic)


def test_failures_have_the_words_of_a_helper() -> None:
    lookup, connect, handshake, page = fine()
    assert isinstance(lookup, Dns)
    gone = changed(lookup, failure=Failure.DNS_NXDOMAIN, replies=(Reply(at=0.1, rcode=3),))
    assert of((gone,))["dns"] == {"failure": "dns_name_error", "addrs": []}
    assert of((gone,))["http_request"]["failure"] == "dns_lookup_error"
    empty = changed(lookup, failure=Failure.DNS_NO_ANSWER, replies=(Reply(at=0.1, rcode=0),))
    assert of((empty,))["dns"] == {"failure": None, "addrs": []}
    for failure, tcp, http in (
        (Failure.REFUSED, "connection_refused_error", "connection_refused_error"),
        (Failure.TIMEOUT, "generic_timeout_error", "generic_timeout_error"),
        (Failure.HOST_UNREACHABLE, "connect_error", "unknown_error"),
    ):
        found = of((lookup, changed(connect, failure=failure)))
        assert found["tcp_connect"][f"{GOOD}:443"] == {"status": False, "failure": tcp}
        assert found["http_request"]["failure"] == http
        assert found["http_request"]["status_code"] == -1
        assert found["http_request"]["body_length"] == -1
    reset = of((lookup, connect, changed(handshake, failure=Failure.RESET)))
    assert reset["tls_handshake"][f"{GOOD}:443"]["failure"] == "connection_reset"
    forged = Trust(valid=False, reason=TrustReason.SELF_SIGNED)
    untrusted = of((lookup, connect, changed(handshake, trust=forged), page))
    assert untrusted["tls_handshake"][f"{GOOD}:443"]["failure"] == "ssl_unknown_authority"
    assert untrusted["ip_info"][GOOD]["flags"] == 1 | 2


def test_what_is_no_url_has_no_endpoints() -> None:
    for url in ("https://[", "https://x:99999/", ""):
        assert of(fine(), url)["tcp_connect"].keys() <= {f"{GOOD}:443"}


def test_what_was_not_measured_is_left_out() -> None:
    found = of(fine(), LISTED, Endpoint(ELSEWHERE, 443), Endpoint("10.0.0.1", 443))
    assert set(found["tcp_connect"]) == {f"{GOOD}:443"}
    assert found["ip_info"] == {
        ELSEWHERE: {"asn": 64500, "flags": 1},
        "10.0.0.1": {"asn": 64500, "flags": 1 | 4},
        GOOD: {"asn": 64500, "flags": 2 | 8},
    }


def test_addresses_that_only_the_client_got_are_answered_for_when_a_control_dialled_them() -> None:
    dialled = Tcp(id=9, role=Role.NEUTRAL, address=ELSEWHERE, port=443, failure=Failure.TIMEOUT)
    found = of((*fine(), dialled), LISTED, Endpoint(ELSEWHERE, 443))
    assert found["tcp_connect"][f"{ELSEWHERE}:443"]["failure"] == "generic_timeout_error"


def test_an_unknown_length_is_said_to_be_unknown() -> None:
    *before, page = fine()
    assert isinstance(page, Http)

    def length(**changes: Any) -> int:
        found: int = of((*before, changed(page, **changes)))["http_request"]["body_length"]
        return found

    assert length() == 100
    assert length(complete=False) == -1
    assert length(complete=False, declared_bytes=5000) == 5000
    assert length(headers={"content-encoding": "gzip"}) == -1


def test_it_tells_of_the_last_page_of_redirects() -> None:
    lookup, connect, handshake, page = fine()
    moved = changed(page, status=301, location="https://www.listed.example/", title=None)
    there = tuple(
        changed(one, id=one.id + 4, parent=one.parent and one.parent + 4, hop=1)
        for one in (lookup, connect, handshake, page)
    )
    found = of((lookup, connect, handshake, moved, *there))
    assert found["http_request"]["status_code"] == 200
    dead = changed(there[1], failure=Failure.TIMEOUT)
    lost = of((lookup, connect, handshake, moved, there[0], dead))
    assert lost["http_request"]["failure"] == "generic_timeout_error"


def test_quic_is_answered_for_where_it_is_asked_and_was_measured() -> None:
    handshake = Quic(address=GOOD, port=443, sni="listed.example", trust=VALID, bytes_in=1)
    assert of((*fine(), handshake))["quic_handshake"] == {}
    found = of((*fine(), handshake), quic=True)["quic_handshake"]
    assert found[f"{GOOD}:443"]["status"] is True


def test_where_http_3_is_spoken() -> None:
    *before, page = fine()
    for header, where in (
        ('h3=":443"; ma=86400', "listed.example:443"),
        ('h3-29=":443", h3="alt.example:8443"', "alt.example:8443"),
        ("clear", ""),
    ):
        spoken = changed(page, headers={"alt-svc": header})
        assert of((*before, spoken))["http_request"]["discovered_h3_endpoint"] == where


def test_the_time_of_a_measurement_is_not_in_the_answer() -> None:
    assert str(int(time.time())) not in str(of(fine()))
    assert not [step for step in fine() if isinstance(step, Tls) and step.hello != "default"]
