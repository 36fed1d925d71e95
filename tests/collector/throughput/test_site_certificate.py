"""Who asks for the collector's name gets its certificate; everybody else the pinned key."""

import asyncio
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.throughput import site_certificate
from collector.throughput.bulk_process import BulkJob, bulk_process
from collector.throughput.identity import make_identity
from collector.throughput.server import BulkServer, start_bulk
from collector.throughput.site_certificate import SiteCertificate
from probe.lab import pki
from probe.net.transfer import spki_sha256

IDENTITY = make_identity()
ROOT = pki.root("CN=bulk test root", now=datetime.now(UTC))


def write(folder: Path, *names: str) -> tuple[Path, Path]:
    served = pki.leaf(ROOT, names, now=datetime.now(UTC))
    certificate, key = folder / "site.pem", folder / "site.key"
    certificate.write_bytes(served.chain)
    key.write_bytes(served.key)
    return certificate, key


async def key_shown(port: int, name: str) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown = spki_sha256(tls.getpeercert(binary_form=True) or b"")
    writer.close()
    return shown


async def with_site(site: SiteCertificate) -> BulkServer:
    bulk = await start_bulk("127.0.0.1", 0, identity=IDENTITY)
    bulk.context.sni_callback = site.choose
    return bulk


def test_a_client_that_asks_for_the_collectors_name_verifies_it(tmp_path: Path) -> None:
    certificate, key = write(tmp_path, "collector.example", "*.wild.example")

    async def scenario() -> dict[str, bool]:
        bulk = await with_site(SiteCertificate(certificate, key))
        context = ssl.create_default_context(cadata=ROOT.pem.decode())
        _, writer = await asyncio.open_connection(
            "127.0.0.1", bulk.port, ssl=context, server_hostname="collector.example"
        )
        writer.close()
        names = ("any.example", "a.wild.example", "b.a.wild.example", "wild.example")
        pinned = {one: await key_shown(bulk.port, one) == IDENTITY.spki_sha256 for one in names}
        await bulk.close()
        return pinned

    assert asyncio.run(scenario()) == {
        "any.example": True,
        "a.wild.example": False,
        "b.a.wild.example": True,
        "wild.example": True,
    }


def test_a_renewed_certificate_is_taken_and_a_broken_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_certificate, "LOOK_SECONDS", 0.0)
    certificate, key = write(tmp_path, "collector.example")

    async def scenario() -> list[str]:
        bulk = await with_site(SiteCertificate(certificate, key))
        shown = [await key_shown(bulk.port, "collector.example")]
        for age, renew in ((10, True), (20, False)):
            if renew:
                write(tmp_path, "collector.example")
            else:
                certificate.write_text("broken")
            os.utime(certificate, (age, age))
            shown.append(await key_shown(bulk.port, "collector.example"))
        await bulk.close()
        return shown

    first, renewed, kept = asyncio.run(scenario())
    assert len({first, renewed, IDENTITY.spki_sha256}) == 3
    assert kept == renewed


def hello_with(name: bytes) -> bytes:
    """A ClientHello that offers what no client would."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a" * len(name))
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read().replace(b"a" * len(name), name)


def test_the_process_shows_it_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    certificate, key = write(tmp_path, "collector.example")
    job = BulkJob(
        host="127.0.0.1",
        port=0,
        pem=IDENTITY.pem,
        certificate=str(certificate),
        certificate_key=str(key),
    )

    async def scenario() -> tuple[str, str]:
        async with bulk_process(job) as started:
            reader, writer = await asyncio.open_connection("127.0.0.1", started.port)
            writer.write(hello_with(b"\xff\xfe.collector.example"))
            assert await reader.read(-1) == b""
            writer.close()
            site = await key_shown(started.port, "collector.example")
            return site, await key_shown(started.port, "other.example")

    site, other = asyncio.run(scenario())
    assert site != IDENTITY.spki_sha256 == other
    assert capfd.readouterr().err == ""  # a line for each such name would be a flood
