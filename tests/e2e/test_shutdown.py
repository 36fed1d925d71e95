"""A whole shutdown with the real commands, in a testbed whose interference changes.

Heartbeats are sent every five minutes of a clock that the test shifts (`shifted_clock.py`). All
packets and all interference are real.
"""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from probe.lab.commands import Finished
from probe.lab.harness import Harness
from probe.lab.scenario import Scenario, WholeLine
from probe.lab.testbed import NetnsTestbed, unavailable_reason

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]
SHIFTED_CLOCK = Path(__file__).with_name("shifted_clock.py")
HOMES = 5
EVERY = 300
HEALTHY = 6
WHERE = 'country="KZ",asn="9198"'


@dataclass
class HomeNetwork:
    """Some homes on one network, and a collector beyond the censor."""

    testbed: NetnsTestbed
    clock: Path
    now: float = 0.0

    def command(self, what: str, *words: str) -> list[str]:
        return [sys.executable, str(SHIFTED_CLOCK), str(self.clock), what, *words]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        # Replaced as a whole: the running commands read it at any moment.
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(str(self.now))
        fresh.replace(self.clock)

    def env(self, home: int) -> dict[str, str]:
        folder = self.testbed.folder / f"volunteer{home}"
        folder.mkdir(exist_ok=True)
        settings = {"QAZPROBE_COUNTRY": "KZ", "QAZPROBE_ASN": "9198"}
        return {"QAZPROBE_HOME": str(folder), **settings}

    def probe(self, home: int, *words: str) -> Finished:
        return self.testbed.client(self.command("probe", *words), env=self.env(home), timeout=90)

    def with_collector(self, command: str, home: int, *words: str) -> Finished:
        trusted = ("--lab", "--ca-file", str(self.testbed.ca_file))
        return self.probe(
            home, command, "--collector", self.testbed.collector_url, *trusted, *words
        )

    def send_heartbeats(self, pool: ThreadPoolExecutor) -> list[int]:
        """Advance five minutes and send the heartbeat of every home, as its timer would."""
        self.advance(EVERY)
        words = ("--quiet", "--max-time", "15")
        results = pool.map(lambda home: self.with_collector("upload", home, *words), range(HOMES))
        return [finished.returncode for finished in results]

    def get(self, path: str) -> str:
        fetch = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        url = f"{self.testbed.collector_url}{path}"
        return self.testbed.run("internet", [sys.executable, "-c", fetch, url]).stdout

    def events(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads(self.get("/v1/events"))
        return found

    def history(self, home: int) -> list[dict[str, object]]:
        file = Path(self.env(home)["QAZPROBE_HOME"]) / "heartbeat.json"
        intervals: list[dict[str, object]] = json.loads(file.read_bytes())["stays"]
        return intervals


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(HOMES + 1) as executor:
        yield executor


@pytest.fixture
def network(tmp_path: Path, pool: ThreadPoolExecutor) -> Iterator[HomeNetwork]:
    with NetnsTestbed([Scenario("shutdown", (), ())]) as testbed:
        network = HomeNetwork(testbed, tmp_path / "clock")
        network.advance(0)
        harness = Harness(testbed, collector=network.command("collector"))
        harness.start_collector([])
        consents = pool.map(
            lambda n: network.probe(n, "consent", "--yes", "--heartbeat"), range(HOMES)
        )
        assert [finished.returncode for finished in consents] == [0] * HOMES
        yield network


def test_a_shutdown_from_the_first_silence_to_the_last_record(
    network: HomeNetwork, pool: ThreadPoolExecutor
) -> None:
    for _ in range(HEALTHY):
        assert network.send_heartbeats(pool) == [0] * HOMES
    assert network.events()["unconfirmed"] == []

    network.testbed.set_interference(WholeLine("outage"))
    cut = network.now
    measuring = pool.submit(measure_connectivity, network, 0)
    alarms: list[dict[str, object]] = []
    while not alarms and network.now - cut < 3 * 900:
        network.send_heartbeats(pool)
        alarms = network.events()["unconfirmed"]
    (silence,) = [one for one in alarms if one["asn"] == 9198]
    assert silence["probes"] == HOMES
    assert 600 <= network.now - cut <= 900 + EVERY
    assert network.events()["events"] == []  # an alarm without corroboration
    assert measuring.result() == 3  # offline; the record is kept
    for home in range(HOMES):
        (interval,) = network.history(home)
        assert interval["reach"] == "nothing"

    network.testbed.set_interference()
    assert network.send_heartbeats(pool) == [0] * HOMES
    assert [network.history(home) for home in range(HOMES)] == [[]] * HOMES
    network.send_heartbeats(pool)
    found = network.events()
    (event,) = [one for one in found["events"] if one["asn"] == 9198]
    assert event["kind"] == "shutdown"
    assert event["probes"] == {"agree": HOMES, "able": HOMES}
    assert event["sources"] == ["silence", "spool"]
    assert event["ended"] is not None
    assert found["unconfirmed"] == []
    shown = network.get("/metrics")
    while "qazcollector_backlog_records 0.0\n" not in shown:
        shown = network.get("/metrics")
    shown = network.get("/metrics")
    assert f'qazprobe_connectivity_ratio{{{WHERE},class="foreign"}} 0.0' in shown
    assert 'experiment="connectivity",outcome="inconclusive"' in shown


def measure_connectivity(network: HomeNetwork, home: int, *more: str) -> int:
    """Run `-e connectivity` at one home; the record waits in its spool."""
    config = Path(network.env(home)["QAZPROBE_HOME"]) / "qazprobe.toml"
    config.write_text("[options.connectivity]\nagain_seconds = 1\n")
    words = ("-e", "connectivity", "--control", "none", "--quiet", "--max-time", "30")
    return network.with_collector("run", home, *words, *more).returncode


def disconnect_router(network: HomeNetwork) -> None:
    """Take down the far end of the home's link."""
    finished = network.testbed.run("censor", ["ip", "link", "set", "home", "down"])
    assert finished.returncode == 0, finished.stderr


CUTS = (
    (WholeLine("whitelist"), "access.whitelist", "whitelisted sites do"),
    (WholeLine("foreign_cut"), "access.foreign_cut", "domestic sites do"),
    (WholeLine("outage"), "access.offline", "the operator is down"),
    (None, "access.offline", "The home router does not answer"),
)


def verdict_after(folder: Path, what: WholeLine | None) -> dict[str, object]:
    """The verdict after a measurement of a healthy line and then this interference."""
    with NetnsTestbed([Scenario("shutdown", (), ())]) as testbed:
        folder.mkdir()
        network = HomeNetwork(testbed, folder / "clock")
        network.advance(0)
        assert network.probe(0, "consent", "--yes").returncode == 0
        assert verdict(network)["outcome"] == "ok"
        if what is None:
            disconnect_router(network)
        else:
            testbed.set_interference(what)
        return verdict(network)


def test_the_reachable_classes_show_what_was_cut(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    folders = [tmp_path / str(number) for number in range(len(CUTS))]
    verdicts = pool.map(verdict_after, folders, [what for what, _, _ in CUTS])
    for found, (_, mechanism, words) in zip(verdicts, CUTS, strict=True):
        # Measurements a second apart do not confirm each other: a confirmation takes minutes.
        assert (found["outcome"], found["mechanisms"]) == ("inconclusive", [mechanism])
        rules = found["rules"]
        assert isinstance(rules, list)
        assert any(words in rule["reason"] for rule in rules)


def verdict(network: HomeNetwork) -> dict[str, object]:
    """The verdict of `-e connectivity` at home now."""
    measure_connectivity(
        network, 0, "--no-upload", "-o", str(network.testbed.folder / "measurement.jsonl")
    )
    lines = (network.testbed.folder / "measurement.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    (found,) = [one["verdict"] for one in records if one["experiment"] == "connectivity"]
    assert isinstance(found, dict)
    return found
