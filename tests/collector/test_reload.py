"""SIGHUP: new certificates and lists without a restart; broken ones change nothing."""

import asyncio
import signal
import ssl
from pathlib import Path

import pytest

from collector.reload import reload
from tests.collector.harness import TARGETS, CollectorHarness, collector, record, settings
from tests.collector.test_serve import started
from tests.probe.fake_collector import credentials

NEW = "https://new.example/"


def leaf(harness: CollectorHarness) -> str:
    """The certificate that the collector shows to a new connection."""
    address = harness.service.settings.listen
    port = int(harness.url.rpartition(":")[2])
    return ssl.get_server_certificate((address.host, port), timeout=10)


def add_target(folder: Path) -> None:
    (folder / "targets.csv").write_text(f"{TARGETS}{NEW},NEWS\n")


def test_new_certificates_and_lists_are_used(tmp_path: Path) -> None:
    credentials(tmp_path)

    async def scenario() -> None:
        async with collector(tmp_path, tls_cert=tmp_path / "leaf.pem") as harness:
            before = await asyncio.to_thread(leaf, harness)
            assert NEW not in harness.service.labels
            credentials(tmp_path)
            add_target(tmp_path)
            await reload(harness.service, harness.running.context)
            assert await asyncio.to_thread(leaf, harness) != before
            assert NEW in harness.service.labels

    asyncio.run(scenario())


def test_records_are_judged_by_the_new_lists(tmp_path: Path) -> None:

    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            add_target(tmp_path)
            await reload(harness.service, None)
            await sender.send(record(NEW))
            shown = await harness.metrics()
            assert any('target="new.example"' in name for name in shown)

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["certificate", "list"])
def test_what_cannot_be_read_leaves_what_is_in_use(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    credentials(tmp_path)

    async def scenario() -> None:
        async with collector(tmp_path, tls_cert=tmp_path / "leaf.pem") as harness:
            before = await asyncio.to_thread(leaf, harness)
            listed = len(harness.service.labels)
            if what == "certificate":
                (tmp_path / "leaf.pem").write_text("-----BEGIN CERTIFICATE-----\nhalf")
            else:
                (tmp_path / "targets.csv").unlink()
            await reload(harness.service, harness.running.context)
            assert await asyncio.to_thread(leaf, harness) == before
            assert len(harness.service.labels) == listed

    asyncio.run(scenario())
    assert "what was in use stays" in caplog.text


def test_the_signal_reloads(tmp_path: Path) -> None:
    made = settings(tmp_path)
    options = ("--store", made.store, "--targets", made.targets[0])
    with started(*options) as (process, _):
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        assert "reloaded" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_new_token_is_used_and_one_that_could_be_guessed_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"

    async def scenario() -> None:
        file.write_text("a" * 32)
        async with collector(tmp_path, operator_token_file=file) as harness:
            file.write_text("b" * 32)
            await reload(harness.service, None)
            for word, status in (("a", 401), ("b", 200)):
                bearer = {"Authorization": f"Bearer {word * 32}"}
                reply = await harness.ask("GET", "/v1/verdicts", headers=bearer)
                assert (reply.status, word) == (status, word)
            before = harness.service.operator_token
            file.write_text("short")
            await reload(harness.service, None)
            assert harness.service.operator_token == before

    asyncio.run(scenario())
    assert "--operator-token-file" in caplog.text
