import asyncio
import gzip
import ssl
import threading
import time
from pathlib import Path

import pytest
from aiohttp import web

from probe.api_types import RecheckTarget, ServiceReply
from probe.client import endpoint
from probe.client.collector_client import (
    CollectorClient,
    CollectorRefused,
    CollectorUnreachable,
    CollectorUntrusted,
)
from probe.client.endpoint import CollectorEndpoint
from probe.client.enrolment import ensure_enrolled
from probe.client.keys import Keys
from tests.probe.fake_collector import FakeCollector, answering, credentials, problem


async def service(endpoint: CollectorEndpoint) -> ServiceReply:
    async with CollectorClient(endpoint) as client:
        return await client.service()


def test_a_collector_proves_itself_by_its_root_its_key_or_not_at_all(tmp_path: Path) -> None:
    made = credentials(tmp_path)

    async def scenario() -> None:
        async with FakeCollector(tls=made.context) as server:
            rooted = endpoint.parse(server.url, ca_file=made.root, lab=True)
            assert (await service(rooted)).collector_id == "c0ffee"
            pinned = endpoint.parse(f"{server.url}#pin={made.pin}")
            assert (await service(pinned)).collector_id == "c0ffee"
            count = len(server.requests)
            for wrong in (endpoint.parse(server.url), endpoint.parse(server.url, pin="ab" * 32)):
                with pytest.raises(CollectorUntrusted, match="nothing was sent"):
                    await service(wrong)
            assert len(server.requests) == count

    asyncio.run(scenario())


def test_an_expired_certificate_points_at_the_clock(tmp_path: Path) -> None:
    made = credentials(tmp_path, days=-1)

    async def scenario() -> None:
        async with FakeCollector(tls=made.context) as server:
            with pytest.raises(CollectorUntrusted, match="clock"):
                await service(endpoint.parse(server.url, ca_file=made.root, lab=True))

    asyncio.run(scenario())


def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    made = credentials(tmp_path)

    async def scenario() -> None:
        async with FakeCollector(tls=made.context, host="127.0.0.2") as server:
            with pytest.raises(CollectorUntrusted):
                await service(endpoint.parse(server.url, ca_file=made.root, lab=True))

    asyncio.run(scenario())


def test_roots_and_proxies_of_the_environment_are_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = credentials(tmp_path)
    log = tmp_path / "keylog"
    monkeypatch.setenv("SSL_CERT_FILE", str(made.root))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def scenario() -> None:
        async with FakeCollector(tls=made.context) as server:
            with pytest.raises(CollectorUntrusted):
                await service(endpoint.parse(server.url))
            await service(endpoint.parse(server.url, ca_file=made.root, lab=True))

    asyncio.run(scenario())
    assert not log.exists()


def test_a_redirect_is_never_followed() -> None:
    async def scenario() -> None:
        async with FakeCollector() as server, FakeCollector() as elsewhere:
            target = f"{elsewhere.url}/v1/service"
            server.override["/v1/service"] = answering(
                lambda: web.Response(status=302, headers={"Location": target})
            )
            with pytest.raises(CollectorRefused, match="redirect"):
                await service(endpoint.parse(server.url))
            assert elsewhere.requests == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>portal</html>",
        b'{"collector_id":"x","lab":true,"enrolment":"perhaps"}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_an_invalid_response_is_refused(body: bytes) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            server.override["/v1/service"] = answering(lambda: web.Response(body=body))
            with pytest.raises(CollectorRefused, match="invalid response"):
                await service(endpoint.parse(server.url))

    asyncio.run(scenario())


def test_a_response_is_bounded_compressed_and_decompressed() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))

    async def scenario() -> None:
        async with FakeCollector() as server:
            server.override["/v1/service"] = answering(
                lambda: web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
            )
            with pytest.raises(CollectorRefused, match="decompresses to"):
                await service(endpoint.parse(server.url))
            server.override["/v1/service"] = answering(lambda: web.Response(body=bytes(10**6)))
            with pytest.raises(CollectorRefused, match="longer than"):
                await service(endpoint.parse(server.url))
            server.override["/v1/service"] = answering(
                lambda: web.Response(body=b"junk", headers={"Content-Encoding": "gzip"})
            )
            with pytest.raises(CollectorRefused, match="gzip"):
                await service(endpoint.parse(server.url))

    asyncio.run(scenario())


def test_a_refusal_quotes_the_collector_escaped() -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            server.override["/v1/service"] = answering(
                lambda: problem(429, "too many\x1b[2Jrequests")
            )
            with pytest.raises(CollectorRefused, match=r"too many\\u001b\[2Jrequests") as caught:
                await service(endpoint.parse(server.url))
            assert caught.value.temporary
            assert "\x1b" not in str(caught.value)

    asyncio.run(scenario())


def test_a_dead_port_and_a_dead_name_are_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.client.endpoint._resolve", lambda *_: ())

    async def scenario() -> None:
        async with FakeCollector() as server:
            port = server.port
        with pytest.raises(CollectorUnreachable, match="unreachable"):
            await service(endpoint.parse(f"http://127.0.0.1:{port}"))
        with pytest.raises(CollectorUnreachable, match="does not resolve"):
            await service(endpoint.parse("https://collector.example"))

    asyncio.run(scenario())


def test_a_silent_server_times_out(tmp_path: Path) -> None:
    async def mute(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async def scenario() -> None:
        async with FakeCollector(override={"/v1/measurements": mute}) as server:
            keys = Keys(tmp_path)
            async with CollectorClient(endpoint.parse(server.url)) as client:
                await ensure_enrolled(client, keys, keys.identity(server.url), None)
                async with asyncio.timeout(30):
                    with pytest.raises(CollectorUnreachable, match="no response within"):
                        await client.upload(b"", seconds=0.2)

    asyncio.run(scenario())


def test_a_name_that_does_not_resolve_is_dialled_where_it_was_last_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: object, **__: object) -> tuple[str, ...]:
        return ()

    async def scenario() -> None:
        async with FakeCollector() as server:
            keys = Keys(tmp_path)
            url = f"http://collector.lab:{server.port}"
            identity = keys.remember(keys.identity(url), "c0ffee", addresses=("127.0.0.1",))
            async with CollectorClient(endpoint.parse(url, lab=True), identity) as client:
                assert (await client.vantage()).asn == 9198
                assert client.address == "127.0.0.1"

    monkeypatch.setattr("probe.client.endpoint._resolve", dead)
    asyncio.run(scenario())


def test_a_dead_resolver_does_not_delay_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def slow(*_: object) -> tuple[str, ...]:
        ended.wait(30)
        return ()

    async def scenario() -> tuple[str, ...]:
        return await endpoint.addresses(endpoint.parse("https://collector.example"), limit=0.1)

    monkeypatch.setattr("probe.client.endpoint._resolve", slow)
    started = time.monotonic()
    try:
        assert asyncio.run(scenario()) == ()
        assert time.monotonic() - started < 15  # the resolver answers after 30
    finally:
        ended.set()


def test_requests_are_signed_for_this_collector_and_reuse_one_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server:
            keys = Keys(tmp_path)
            async with CollectorClient(endpoint.parse(server.url)) as client:
                with pytest.raises(CollectorRefused, match="not enrolled"):
                    await client.recheck([], wait=1)
                await ensure_enrolled(client, keys, keys.identity(server.url), None)
                await client.recheck([RecheckTarget(input="https://a.example/")], wait=1)
                assert (await client.recheck_jobs(wait=0)).jobs == ()
                await client.erase()
                with pytest.raises(CollectorRefused, match="unknown key"):
                    await client.erase()
                assert client.bytes_out > 0
                assert client.bytes_in > 0
            assert len(server.connections) == 1

    asyncio.run(scenario())


def test_a_wrong_clock_is_put_right_by_the_collectors(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector(date_ahead=7200) as server:
            keys = Keys(tmp_path)
            client = CollectorClient(endpoint.parse(server.url))
            identity = keys.identity(server.url)
            async with client:
                await ensure_enrolled(client, keys, identity, None)
                client.clock_offset = None  # as in a run that begins with a signed request
                await client.recheck_jobs(wait=0)
                assert client.clock_offset == pytest.approx(-7200, abs=5)

    asyncio.run(scenario())


def test_the_collectors_own_time_counts_and_not_that_of_a_proxy(tmp_path: Path) -> None:
    """A proxy may put its own time into the header Date."""
    signed: list[float] = []

    async def refuse_once(request: web.Request) -> web.Response:
        signed.append(float(request.headers["Qaz-Created"]))
        if len(signed) == 1:
            ahead = str(int(time.time()) + 7200)
            body = b'{"error":"clock"}'
            return web.Response(status=401, body=body, headers={"Qaz-Time": ahead})
        return web.Response(body=b'{"jobs":[]}', content_type="application/json")

    async def scenario() -> None:
        async with FakeCollector() as server, CollectorClient(endpoint.parse(server.url)) as client:
            keys = Keys(tmp_path)
            await ensure_enrolled(client, keys, keys.identity(server.url), None)
            server.override["/v1/recheck"] = refuse_once
            await client.recheck_jobs(wait=0)
        assert signed[1] - signed[0] == pytest.approx(7200, abs=60)

    asyncio.run(scenario())


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_request_that_was_carried_out_before_is_signed_anew_once(
    tmp_path: Path, refusals: int
) -> None:
    signed: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        signed.append(request.headers["Qaz-Created"])
        if len(signed) <= refusals:
            return web.Response(status=409, body=b'{"error":"carried out before"}')
        return web.Response(body=b'{"jobs":[]}', content_type="application/json")

    async def scenario() -> None:
        async with FakeCollector() as server, CollectorClient(endpoint.parse(server.url)) as client:
            keys = Keys(tmp_path)
            await ensure_enrolled(client, keys, keys.identity(server.url), None)
            server.override["/v1/recheck"] = refuse
            if refusals == 1:
                await client.recheck_jobs(wait=0)
            else:
                with pytest.raises(CollectorRefused, match="carried out before"):
                    await client.recheck_jobs(wait=0)
        assert len(set(signed)) == 2

    asyncio.run(scenario())


def test_controls_are_asked_by_name_or_all_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with FakeCollector() as server, CollectorClient(endpoint.parse(server.url)) as client:
            await client.controls(["https://a.example/?q=1&x=2"])
            await client.controls([f"https://{n}.example/" for n in range(2000)])
            assert server.requests[0].startswith("GET /v1/control?input=https")
            assert server.requests[1] == "GET /v1/control"

    asyncio.run(scenario())


def test_target_lists_come_with_an_etag() -> None:
    async def lists(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304)
        return web.Response(body=b"url\n", headers={"ETag": '"1"'})

    async def scenario() -> None:
        async with FakeCollector() as server, CollectorClient(endpoint.parse(server.url)) as client:
            server.override["/v1/targets"] = lists
            first = await client.targets("kz", None)
            assert first.body == b"url\n"
            again = await client.targets("kz", first.etag)
            assert (again.etag, again.body) == ('"1"', None)

    asyncio.run(scenario())


def test_nothing_below_tls_1_2_is_spoken(tmp_path: Path) -> None:
    made = credentials(tmp_path)
    chosen = endpoint.tls_context(endpoint.parse("https://a.example", ca_file=made.root, lab=True))
    assert chosen.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert chosen.verify_mode is ssl.CERT_REQUIRED
