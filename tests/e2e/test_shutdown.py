"""A whole shutdown, by the real commands: a country in which the censor changes its mind midway.

Heartbeats every five minutes by a clock that the test moves (`shifted_clock.py`); everything that is
sent, and everything that is stopped, is real.
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
CLOCKWORK = Path(__file__).with_name("shifted_clock.py")
HOMES = 5
EVERY = 300
HEALTHY = 6
WHERE = 'country="KZ",asn="9198"'


@dataclass
class Town:
    """Some homes on one network, and a collector beyond the censor."""

    testbed: NetnsTestbed
    clock: Path
    now: float = 0.0

    def command(self, what: str, *words: str) -> list[str]:
        return [sys.executable, str(CLOCKWORK), str(self.clock), what, *words]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.clock.write_text(str(self.now))

    def env(self, home: int) -> dict[str, str]:
        folder = self.testbed.folder / f"volunteer{home}"
        folder.mkdir(exist_ok=True)
        place = {"QAZPROBE_COUNTRY": "KZ", "QAZPROBE_ASN": "9198"}
        return {"QAZPROBE_HOME": str(folder), **place}

    def probe(self, home: int, *words: str) -> Finished:
        return self.testbed.client(self.command("probe", *words), env=self.env(home), timeout=90)

    def reached(self, command: str, home: int, *words: str) -> Finished:
        trusted = ("--lab", "--ca-file", str(self.testbed.ca_file))
        return self.probe(
            home, command, "--collector", self.testbed.collector_url, *trusted, *words
        )

    def beat(self, pool: ThreadPoolExecutor) -> list[int]:
        """Five minutes pass, and every home says that it is there: what its timer would run."""
        self.pass_time(EVERY)
        words = ("--quiet", "--max-time", "15")
        beats = pool.map(lambda home: self.reached("upload", home, *words), range(HOMES))
        return [said.returncode for said in beats]

    def ask(self, path: str) -> str:
        fetch = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        url = f"{self.testbed.collector_url}{path}"
        return self.testbed.run("internet", [sys.executable, "-c", fetch, url]).stdout

    def events(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads(self.ask("/v1/events"))
        return found

    def history(self, home: int) -> list[dict[str, object]]:
        file = Path(self.env(home)["QAZPROBE_HOME"]) / "heartbeat.json"
        stays: list[dict[str, object]] = json.loads(file.read_bytes())["stays"]
        return stays


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(HOMES + 1) as made:
        yield made


@pytest.fixture
def town(tmp_path: Path, pool: ThreadPoolExecutor) -> Iterator[Town]:
    with NetnsTestbed([Scenario("shutdown", (), ())]) as testbed:
        made = Town(testbed, tmp_path / "clock")
        made.pass_time(0)
        harness = Harness(testbed, collector=made.command("collector"))
        harness.start_collector([])
        consents = pool.map(
            lambda n: made.probe(n, "consent", "--yes", "--heartbeat"), range(HOMES)
        )
        assert [said.returncode for said in consents] == [0] * HOMES
        yield made


def test_a_shutdown_from_the_first_silence_to_the_last_record(
    town: Town, pool: ThreadPoolExecutor
) -> None:
    for _ in range(HEALTHY):
        assert town.beat(pool) == [0] * HOMES
    assert town.events()["unconfirmed"] == []

    town.testbed.set_interference(WholeLine("outage"))
    cut = town.now
    looking = pool.submit(look_around, town, 0)
    alarms: list[dict[str, object]] = []
    while not alarms and town.now - cut < 3 * 900:
        town.beat(pool)
        alarms = town.events()["unconfirmed"]
    (silence,) = [one for one in alarms if one["asn"] == 9198]
    assert silence["probes"] == HOMES
    assert (
        600 <= town.now - cut <= 900 + EVERY
    )  # by the clock of the town, a look every five minutes
    assert town.events()["events"] == []  # an alarm, and nothing else says so yet
    assert looking.result() == 3  # offline: it says so, and its record is kept
    for home in range(HOMES):
        (stay,) = town.history(home)
        assert stay["reach"] == "nothing"

    town.testbed.set_interference()
    assert town.beat(pool) == [0] * HOMES
    assert [town.history(home) for home in range(HOMES)] == [[]] * HOMES
    town.beat(pool)
    found = town.events()
    (event,) = [one for one in found["events"] if one["asn"] == 9198]
    assert (event["kind"], event["probes"]) == ("shutdown", HOMES)
    assert event["sources"] == ["silence", "spool"]
    assert event["ended_at"] is not None
    assert found["unconfirmed"] == []
    shown = town.ask("/metrics")
    assert f'qazprobe_connectivity_ratio{{{WHERE},class="foreign"}} 0.0' in shown
    assert 'experiment="connectivity",outcome="inconclusive"' in shown


def look_around(town: Town, home: int, *more: str) -> int:
    """`-e connectivity` at one home; what it measured waits in its spool."""
    config = Path(town.env(home)["QAZPROBE_HOME"]) / "qazprobe.toml"
    config.write_text("[options.connectivity]\nagain_seconds = 1\n")
    words = ("-e", "connectivity", "--control", "none", "--quiet", "--max-time", "30")
    return town.reached("run", home, *words, *more).returncode


def without_router(town: Town) -> None:
    """The home's own cable: the far end of it goes dark."""
    said = town.testbed.run("censor", ["ip", "link", "set", "home", "down"])
    assert said.returncode == 0, said.stderr


CUTS = (
    (WholeLine("whitelist"), "access.whitelist", "what a list would pass does"),
    (WholeLine("foreign_cut"), "access.foreign_cut", "sites at home do"),
    (WholeLine("outage"), "access.offline", "the operator is down"),
    (None, "access.offline", "Not even the home's own router answers"),
)


def cut_midway(folder: Path, what: WholeLine | None) -> dict[str, object]:
    """A look at a healthy line, then something happens to it, and another look."""
    with NetnsTestbed([Scenario("shutdown", (), ())]) as testbed:
        folder.mkdir()
        town = Town(testbed, folder / "clock")
        town.pass_time(0)
        assert town.probe(0, "consent", "--yes").returncode == 0
        assert verdict(town)["outcome"] == "ok"
        if what is None:
            without_router(town)
        else:
            testbed.set_interference(what)
        return verdict(town)


def test_what_is_left_says_what_was_cut(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    folders = [tmp_path / str(number) for number in range(len(CUTS))]
    looks = pool.map(cut_midway, folders, [what for what, _, _ in CUTS])
    for found, (_, mechanism, words) in zip(looks, CUTS, strict=True):
        # Two looks a second apart are one look: it takes minutes to accuse.
        assert (found["outcome"], found["mechanisms"]) == ("inconclusive", [mechanism])
        rules = found["rules"]
        assert isinstance(rules, list)
        assert any(words in rule["reason"] for rule in rules)


def verdict(town: Town) -> dict[str, object]:
    """What `-e connectivity` says at home now."""
    look_around(town, 0, "--no-upload", "-o", str(town.testbed.folder / "look.jsonl"))
    lines = (town.testbed.folder / "look.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    (found,) = [one["verdict"] for one in records if one["experiment"] == "connectivity"]
    assert isinstance(found, dict)
    return found
