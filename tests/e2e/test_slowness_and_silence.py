"""Throttled, cut off and silent, with the real commands: verdicts, messages and costs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from collector.store import heartbeats, open_store
from collector.store.heartbeats import COLLECTOR_KEY, HeartbeatHour
from probe.lab.catalogue import catalogue
from probe.lab.harness import Harness
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.scenario import LabSite, Page, Scenario, Throttle
from probe.lab.testbed import NetnsTestbed, unavailable_reason
from tests.e2e.test_spool_to_collector import collector, fill_spool

needs_namespaces = pytest.mark.skipif(
    unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
)

FROZEN = Scenario(
    "throttle.frozen_page",
    (LabSite("sixteen-kilobytes.org", page=Page("large")),),
    (),
    censor=(Throttle("sixteen-kilobytes.org", "freeze", 16_384),),
)
URL = "https://sixteen-kilobytes.org/"


def named(name: str) -> Scenario:
    return next(each for each in catalogue() if each.name == name)


def verdict(records: list[dict[str, object]], experiment: str) -> Mapping[str, object]:
    (found,) = [r["verdict"] for r in records if r["experiment"] == experiment]
    assert isinstance(found, dict)
    return found


def ids(found: Mapping[str, object]) -> list[str]:
    rules = found["rules"]
    assert isinstance(rules, list)
    return [rule["id"] for rule in rules]


# --- slow -----------------------------------------------------------------------------------------


@pytest.mark.lab
@pytest.mark.slow
@needs_namespaces
def test_a_page_that_freezes_is_followed_up_and_found_frozen() -> None:
    """The page comes whole under a harmless name, so `web` names the freeze; `throttle` agrees."""
    with NetnsTestbed([FROZEN]) as testbed:
        harness = Harness(testbed)
        harness.start_collector([URL])
        harness.consent()
        found = harness.probe([URL], "--control", "none", "--profile", "quick")
        metrics = harness.metrics()
    web, compared = verdict(found, "web"), verdict(found, "throttle")
    assert (web["outcome"], web["mechanisms"]) == ("throttled", ["throttle.frozen"])
    assert "frozen.this_name_only" in ids(web)
    assert (compared["outcome"], compared["mechanisms"]) == ("throttled", ["throttle.frozen"])
    arms = [s["arm"] for r in found if r["experiment"] == "throttle" for s in steps(r, "transfer")]
    assert set(arms) == {"A", "B"}
    assert 'qazprobe_throughput_bytes_per_second{target="sixteen-kilobytes.org"' in metrics
    assert 'outcome="throttled"' in metrics


@pytest.mark.lab
@pytest.mark.slow
@needs_namespaces
def test_a_page_that_crawls_among_others_is_no_ok_and_is_followed_up() -> None:
    """`-e web` alone: the page comes whole in the end, and other sites show that it is slow."""
    slow = LabSite("one-page-a-minute.org", page=Page("large"))
    others = tuple(LabSite(f"quick-{word}.org", page=Page("large")) for word in ("fox", "hare"))
    censor = (Throttle(slow.name, "shape", 4_000),)
    scenario = Scenario("throttle.crawling", (slow, *others), (), censor=censor)
    urls = [f"https://{site.name}/" for site in (slow, *others)]
    with NetnsTestbed([scenario]) as testbed:
        harness = Harness(testbed)
        harness.start_collector(urls)
        harness.consent()
        found = harness.probe(urls, "--control", "none", "-e", "web")
    web = {r["input"]: r["verdict"] for r in found if r["experiment"] == "web"}
    seen = {url: v for url, v in web.items() if isinstance(v, dict)}
    outcomes = {url: v["outcome"] for url, v in seen.items()}
    assert outcomes == {urls[0]: "inconclusive", urls[1]: "ok", urls[2]: "ok"}
    assert "unclear.slow_for_this_site" in ids(seen[urls[0]])
    assert [r["input"] for r in found if r["experiment"] == "throttle"] == urls[:1]


def steps(record: dict[str, object], op: str) -> list[dict[str, object]]:
    every = record["steps"]
    assert isinstance(every, list)
    return [step for step in every if step["op"] == op]


def test_a_second_run_of_the_lab_confirms_what_the_first_suspected() -> None:
    with LoopbackTestbed([named("tls.reset")]) as testbed:
        harness = Harness(testbed)
        harness.consent()
        url = testbed.urls()[0]
        verdict_stages, earlier = [], []
        for _ in range(2):
            records = harness.probe([url], "--no-upload", "--control", "none")
            found = verdict(records, "web")
            assert found["outcome"] == "blocked"
            verdict_stages.append(found["stage"])
            earlier_hits = next(r["earlier"] for r in records if r["experiment"] == "web")
            assert isinstance(earlier_hits, list)
            earlier.append(len(earlier_hits))
    assert verdict_stages == ["suspected", "confirmed"]
    assert earlier == [0, 1]


# --- silent ---------------------------------------------------------------------------------------


def kept(store: Path) -> list[HeartbeatHour]:
    async def read() -> list[HeartbeatHour]:
        opened = await open_store(f"sqlite:///{store}")
        try:
            return list(await opened.read(heartbeats.heartbeats_since(0)))
        finally:
            await opened.close()

    return [hour for hour in asyncio.run(read()) if hour.key_id != COLLECTOR_KEY]


def probe(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    alone = {"QAZPROBE_ANCHORS": "none", "QAZPROBE_RESOLVERS": "none"}
    location = {
        "QAZPROBE_COUNTRY": "KZ",
        "QAZPROBE_ASN": "9198",
        "QAZPROBE_RESOLVER": "127.0.0.1:9",
    }
    return subprocess.run(
        [sys.executable, "-m", "probe.cli", *words],
        env={**os.environ, "QAZPROBE_HOME": str(home), **alone, **location},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_probe_that_was_cut_off_says_so_afterwards_and_delivers(tmp_path: Path) -> None:
    """Heartbeats stop, a record waits, and both are reported when the collector is back."""
    home = tmp_path / "home"
    assert probe(home, "consent", "--yes", "--heartbeat").returncode == 0
    with collector(tmp_path, "--enrolment", "open", "--lab") as (url, process):
        port = int(url.rpartition(":")[2])
        upload = ("upload", "--collector", url, "--lab", "--max-time", "8")
        assert probe(home, *upload).returncode == 0
        (alive,) = kept(tmp_path / "store.sqlite3")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        fill_spool(home, 1, url)
        began = time.monotonic()
        cut_off = probe(home, *upload)
        assert cut_off.returncode == 4
        assert "heartbeat: " in cut_off.stderr
        assert time.monotonic() - began < 30
    history = json.loads((home / "heartbeat.json").read_bytes())
    assert [interval["reach"] for interval in history["stays"]] == ["nothing"]
    with collector(tmp_path, "--enrolment", "open", "--lab", port=port):
        assert probe(home, *upload).returncode == 0
    found = kept(tmp_path / "store.sqlite3")
    assert (alive.country, alive.asn, alive.cut) == ("KZ", 9198, 0)
    assert sum(hour.cut.bit_count() for hour in found) >= 1
    assert sum(hour.missed for hour in found) == 0
    assert json.loads((home / "heartbeat.json").read_bytes())["stays"] == []
