"""Floods of connections against a real listener: whoever behaves is still served."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from collector import listening
from collector.settings import LAB_LIMITS, CollectorLimits
from tests.collector.harness import CollectorHarness, collector

HALF_OPEN = bytes.fromhex("16030100c8010000c40303") + bytes(60)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def _limits(**changes: Any) -> CollectorLimits:
    kept = {name: getattr(LAB_LIMITS, name) for name in ("network_burst", "connect_burst")}
    return CollectorLimits(**{**kept, **changes})


@asynccontextmanager
async def flood(harness: CollectorHarness, number: int, said: bytes) -> AsyncIterator[None]:
    """That many connections that say something, and then nothing."""
    host, port = harness.url.partition("://")[2].split(":")
    with contextlib.ExitStack() as stack:
        loop = asyncio.get_running_loop()
        for _ in range(number):
            one = stack.enter_context(socket.socket())
            one.settimeout(0)
            await loop.sock_connect(one, (host, int(port)))
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(one, said)
        yield


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
def test_idle_connections_do_not_shut_out_others(tmp_path: Path, said: bytes) -> None:
    async def scenario() -> None:
        async with (
            collector(tmp_path, limits=_limits(connections=20)) as harness,
            flood(harness, 60, said),
        ):
            for _ in range(3):
                assert (await harness.ask("GET", "/healthz")).status == 200
            assert len(harness.service.door.connections) <= 20
            assert harness.service.door.connections.evicted >= 40

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"", HALF_OPEN, b"GET / HTTP/1.1\r\n\r\n"])
def test_half_open_handshakes_do_not_shut_out_others(
    tmp_path: Path, certificate: Path, said: bytes
) -> None:
    async def scenario() -> None:
        limits = _limits(connections=40, handshakes=10)
        async with collector(tmp_path, limits=limits, tls_cert=certificate) as harness:
            trusted = ssl.create_default_context(cafile=str(certificate))
            async with flood(harness, 100, said):
                host, port = harness.url.removeprefix("https://").split(":")
                for _ in range(3):
                    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusted)
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    assert b"200 OK" in await reader.read()
                    writer.close()
                assert len(harness.service.door.handshakes) <= 10
                assert len(harness.service.door.connections) <= 40

    asyncio.run(scenario())


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", HALF_OPEN])
def test_a_connection_without_a_request_is_closed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: Path, said: bytes, *, tls: bool
) -> None:
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.5)

    async def scenario() -> None:
        cert = certificate if tls else None
        async with collector(tmp_path, tls_cert=cert) as harness:
            host, port = harness.url.partition("://")[2].split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await _until_empty(harness)

    asyncio.run(scenario())


def test_new_connections_of_a_network_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.service._is_loopback", lambda _: False)

    async def scenario() -> None:
        limits = _limits(connect_burst=5.0, connect_rate=0.001)
        async with collector(tmp_path, limits=limits) as harness:
            async with flood(harness, 5, b""):
                host, port = harness.url.removeprefix("http://").split(":")
                with contextlib.suppress(ConnectionError):
                    reader, writer = await asyncio.open_connection(host, int(port))
                    assert await asyncio.wait_for(reader.read(), 10) == b""
                    writer.close()
                assert harness.service.door.connections.refused == 1
            await _until_empty(harness)

    asyncio.run(scenario())


def test_a_request_that_is_worked_on_is_not_closed_for_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path, limits=_limits(connections=10)) as harness:
            control = await harness.probe("control")
            waiting = asyncio.ensure_future(control.ask("GET", "/v1/recheck?wait=3"))
            gauge = harness.service.instruments.controls_waiting
            while not gauge._value.get():  # noqa: ASYNC110 - a gauge has no event
                await asyncio.sleep(0.01)
            async with flood(harness, 40, b""):
                assert (await waiting).status == 200

    asyncio.run(scenario())


async def _until_empty(harness: CollectorHarness) -> None:
    async with asyncio.timeout(20):
        while len(harness.service.door.connections):  # noqa: ASYNC110 - nor has a pool
            await asyncio.sleep(0.02)
    assert not harness.service.door.served
    assert len(harness.service.door.handshakes) == 0


@pytest.mark.parametrize(("allowed", "connections"), [((300, 300), 44), ((300, 5000), 1000)])
def test_descriptors_limit_the_connections(
    tmp_path: Path, allowed: tuple[int, int], connections: int
) -> None:
    """In a process of its own, because a limit cannot be raised again."""
    from tests.collector.test_serve import ROOT

    code = (
        "import resource; from collector.serve import _within_descriptors;"
        "from tests.collector.harness import settings; from pathlib import Path;"
        "from collector.settings import CollectorLimits;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, {allowed});"
        f"made = settings(Path({str(tmp_path)!r}), limits=CollectorLimits());"
        "print(_within_descriptors(made).limits.connections,"
        " resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(connections), str(max(300, min(1256, allowed[1])))]
