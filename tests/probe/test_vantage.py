"""The vantage point: configured, else from a collector, else saved, else unknown."""

import asyncio
import time
from pathlib import Path

import pytest

from probe import host_network, vantage
from probe.api_types import VantageReply
from probe.config import Settings
from probe.model import Vantage
from probe.vantage import AskCollector, VantageLookup

REPLY = VantageReply(country="KZ", asn=9198, network="JSC Kazakhtelecom")


async def answering() -> VantageReply | None:
    return REPLY


async def silent() -> VantageReply | None:
    await asyncio.sleep(30)
    return REPLY


async def unknown() -> VantageReply | None:
    return None


def look_up(state: Path, source: AskCollector | None, settings: Settings | None = None) -> Vantage:
    async def scenario() -> Vantage:
        lookup = VantageLookup(settings or Settings(), state, source)
        found = await lookup.now()
        await lookup.close()
        return found

    return asyncio.run(scenario())


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_network, "_default_route", lambda: ("eth0", "192.0.2.1"))
    monkeypatch.setattr(vantage, "PATIENCE", 0.2)


def test_the_collector_fills_in_what_is_not_configured(tmp_path: Path) -> None:
    found = look_up(tmp_path, answering, Settings(region="KZ-75", kind="fixed"))
    assert (found.country, found.asn, found.network) == ("KZ", 9198, "JSC Kazakhtelecom")
    assert (found.asn_source, found.region, found.kind) == ("collector", "KZ-75", "fixed")


def test_the_configuration_wins_over_the_collector(tmp_path: Path) -> None:
    found = look_up(tmp_path, answering, Settings(asn=1, country="FR"))
    assert (found.country, found.asn, found.asn_source) == ("FR", 1, "config")
    assert found.network is None


def test_an_answer_is_saved_for_this_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up(tmp_path, answering)
    found = look_up(tmp_path, unknown)
    assert (found.country, found.asn, found.asn_source) == ("KZ", 9198, "remembered")
    monkeypatch.setattr(host_network, "_default_route", lambda: ("eth0", "198.51.100.1"))
    assert look_up(tmp_path, None).asn is None


def test_no_address_is_saved(tmp_path: Path) -> None:
    look_up(tmp_path, answering)
    saved = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"192.0.2.1" not in saved


def test_a_silent_collector_is_not_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    assert look_up(tmp_path, silent).asn_source is None
    assert time.monotonic() - started < 15.0  # it answers after 30


def test_an_unreadable_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / vantage.FILE).write_text("[")
    assert look_up(tmp_path, unknown).country is None
