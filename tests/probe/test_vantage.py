"""Our vantage: configured, else asked for, else remembered, else unknown; never waited for long."""

import asyncio
import time
from pathlib import Path

import pytest

from probe import host_network, vantage
from probe.api_types import VantageReply
from probe.config import Settings
from probe.model import Vantage
from probe.vantage import Ask, VantageLookup

REPLY = VantageReply(country="KZ", asn=9198, network="JSC Kazakhtelecom")


async def said() -> VantageReply | None:
    return REPLY


async def silent() -> VantageReply | None:
    await asyncio.sleep(30)
    return REPLY


async def unknown() -> VantageReply | None:
    return None


def ask(state: Path, source: Ask | None, settings: Settings | None = None) -> Vantage:
    async def story() -> Vantage:
        here = VantageLookup(settings or Settings(), state, source)
        found = await here.now()
        await here.close()
        return found

    return asyncio.run(story())


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_network, "_default_route", lambda: ("eth0", "192.0.2.1"))
    monkeypatch.setattr(vantage, "PATIENCE", 0.2)


def test_the_collector_fills_in_what_was_not_said(tmp_path: Path) -> None:
    found = ask(tmp_path, said, Settings(region="KZ-75", kind="fixed"))
    assert (found.country, found.asn, found.network) == ("KZ", 9198, "JSC Kazakhtelecom")
    assert (found.asn_source, found.region, found.kind) == ("collector", "KZ-75", "fixed")


def test_the_configuration_holds_against_the_collector(tmp_path: Path) -> None:
    found = ask(tmp_path, said, Settings(asn=1, country="FR"))
    assert (found.country, found.asn, found.asn_source) == ("FR", 1, "config")
    assert found.network is None


def test_what_was_said_is_remembered_for_this_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(tmp_path, said)
    found = ask(tmp_path, unknown)
    assert (found.country, found.asn, found.asn_source) == ("KZ", 9198, "remembered")
    monkeypatch.setattr(host_network, "_default_route", lambda: ("eth0", "198.51.100.1"))
    assert ask(tmp_path, None).asn is None


def test_no_address_is_remembered(tmp_path: Path) -> None:
    ask(tmp_path, said)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"192.0.2.1" not in kept


def test_nobody_waits_for_a_silent_collector(tmp_path: Path) -> None:
    started = time.monotonic()
    assert ask(tmp_path, silent).asn_source is None
    assert time.monotonic() - started < 1.0


def test_a_broken_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / vantage.FILE).write_text("[")
    assert ask(tmp_path, unknown).country is None
