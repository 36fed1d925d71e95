"""A real Prometheus fires every alert, and marks every annotation, from a real collector's metrics.

There are several events of a kind at once. The rules are the project's, with every duration
divided by hundreds and no `for`; the collector's clock is set ahead where days must pass.
"""

import asyncio
import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe import codec
from probe.api_types import Heartbeat
from probe.model import Mechanism, Outcome, Record, Vantage, Verdict
from tests.collector.harness import (
    LISTED,
    OTHER,
    UNLISTED,
    CollectorHarness,
    SigningClient,
    believe,
    collector,
    now,
    record,
)
from tests.e2e.prometheus_server import (
    ALERTMANAGER,
    BOARDS,
    OURS,
    PrometheusServer,
    alertmanager,
    answers,
    configuration,
    fast_rules,
    faster,
    filled_in,
    get,
    prometheus,
    until,
)
from tests.e2e.sample_records import LINE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="no prometheus here: apt install prometheus"
    ),
]

HOUR, DAY = 3600.0, 86_400.0
MORE = ("https://third.example/", "https://fourth.example/", "https://fifth.example/")
TARGETS = "url,category_code\n" + "".join(f"{url},NEWS\n" for url in (LISTED, OTHER, *MORE))
MOBILE = Vantage(country="KZ", asn=29355, network="Kcell", version="0.1.0")
ABROAD = Vantage(country="DE", asn=3320, network="Telekom", version="0.1.0")
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((OURS / "rules" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
EVENT_ALERTS = ("QazprobeEventBegan", "QazprobeEvent")
KINDS = ("blocking", "interception", "throttling", "whitelist", "shutdown")
PATIENCE = 120.0


# --- what the probes see -------------------------------------------------------------------------


def seen(
    url: str, outcome: str, hours: float, *mechanisms: Mechanism, vantage: Vantage, **rest: Any
) -> Record:
    """A measurement of some hours ago."""
    return record(
        url,
        outcome=Outcome(outcome),
        mechanisms=mechanisms,
        started_at=now(-hours * HOUR),
        vantage=vantage,
        **rest,
    )


HOME = record().vantage


def fine(hours: float) -> list[Record]:
    found = [seen(url, "ok", hours, vantage=HOME) for url in (LISTED, OTHER, *MORE)]
    # The record of the run tells of the line.
    return [*found, seen("", "ok", hours, vantage=HOME, steps=(), experiment="run", line=LINE)]


def evening(hours: float) -> list[Record]:
    """Two targets blocked, two intercepted, one slowed, and only essential sites reachable."""
    bad = [
        seen(url, "blocked", hours, Mechanism.TLS_TIMEOUT, vantage=HOME) for url in (LISTED, OTHER)
    ]
    bad += [seen(url, "intercepted", hours, Mechanism.TLS_MITM, vantage=HOME) for url in MORE[:2]]
    slow = (Mechanism.THROTTLE_POLICED,)
    bad += [
        seen(url, "throttled", hours, *slow, vantage=HOME, experiment="throttle")
        for url in MORE[1:]
    ]
    return [*bad, cut(hours, Mechanism.ACCESS_WHITELIST, HOME)]


def cut(hours: float, mechanism: Mechanism, vantage: Vantage) -> Record:
    steps, url = (), "service:connectivity"
    return seen(
        url, "blocked", hours, mechanism, vantage=vantage, steps=steps, experiment="connectivity"
    )


def judge(one: Record) -> Verdict:
    """Believe the claim, but have a bug."""
    if one.input == UNLISTED:
        raise ZeroDivisionError
    return believe(one)


def panel(title: str) -> str:
    """The first query of the only panel whose title is this."""
    panels = [one for board in BOARDS.values() for one in board["panels"]]
    (found,) = [one["targets"][0]["expr"] for one in panels if one["title"] == title]
    return filled_in(found, "listed.example")


# --- the scenario --------------------------------------------------------------------------------


@dataclass
class Watched:
    """What Prometheus and Alertmanager told.

    Attributes:
        fired: The alerts that fired, and each with its kind.
        before_the_end: Those that had fired before any event ended.
        most: The most events of each kind that a network had at once.
        descriptions: Of every alert.
        links: Names of alerts, and where each leads.
        pages: The answers of the collector's pages that alerts of each name lead to.
        marks: How many points each annotation of a dashboard has.
        messages: The alerts in each message to an operator.
    """

    server: PrometheusServer
    fired: set[str] = field(default_factory=set)
    before_the_end: set[str] = field(default_factory=set)
    most: dict[str, float] = field(default_factory=dict)
    descriptions: set[str] = field(default_factory=set)
    links: set[tuple[str, str]] = field(default_factory=set)
    pages: dict[str, list[str]] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    messages: list[list[dict[str, str]]] = field(default_factory=list)

    def firing(self) -> set[str]:
        """The alerts that fired so far."""
        found = self.server.query('last_over_time(ALERTS{alertstate="firing"}[10m])')
        for labels in (one["metric"] for one in found):
            self.fired |= {labels["alertname"], f"{labels['alertname']} {labels.get('kind')}"}
        for one in self.server.api("alerts")["alerts"]:
            self.descriptions.add(one["annotations"]["description"])
            self.links.add((one["labels"]["alertname"], one["annotations"]["explorer_url"]))
        return self.fired

    async def see(self, *names: str) -> None:
        """Wait until these have fired."""
        await holds(lambda: set(names) <= self.firing(), lambda: f"{names}: only {self.fired}")

    def follow(self, collector: str) -> None:
        """Open the pages of the collector that alerts lead to."""
        for alert, link in sorted(self.links):
            if link.startswith(collector):
                self.pages.setdefault(alert, []).append(get(link).decode())

    async def holds(self, expr: str) -> None:
        """Wait until a query has an answer."""
        await holds(lambda: self.server.query(expr), lambda: f"never: {expr}")

    def mark(self, since: float) -> None:
        """Count the points of every annotation."""
        for name, board in BOARDS.items():
            for one in board["annotations"]["list"]:
                expr = filled_in(one["expr"], "listed.example", "5s")
                span = {"start": str(since), "end": str(time.time()), "step": "1"}
                found = self.server.api("query_range", query=expr, **span)["result"]
                self.marks[f"{name}/{one['name']}"] = sum(len(each["values"]) for each in found)


async def holds(ready: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait in a thread, because the collector runs in this loop."""
    await asyncio.to_thread(until, ready, PATIENCE, what)


@dataclass
class Country:
    """The collectors, and the probes that send to the first of them."""

    harness: CollectorHarness
    crowded: CollectorHarness
    home: list[SigningClient]
    mobile: list[SigningClient]
    store: Path
    ahead: list[float]
    second: AsyncExitStack

    @property
    def addresses(self) -> list[str]:
        return [one.url.removeprefix("http://") for one in (self.harness, self.crowded)]


@asynccontextmanager
async def country(folder: Path) -> AsyncIterator[Country]:
    """Two collectors, whose clock is ahead by the last of `ahead`."""
    ahead = [0.0]
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    (folder / "one" / "targets.csv").write_text(TARGETS)
    async with AsyncExitStack() as second, collector(folder / "one", judge=judge) as harness:
        crowded = await second.enter_async_context(collector(folder / "two", max_series=3))
        for part in (harness.service.monitor, harness.service.snapshots, harness.service.backlog):
            vars(part)["_clock"] = lambda: time.time() + ahead[-1]
        home = [await harness.probe() for _ in range(3)]
        mobile = [await harness.probe() for _ in range(2)]
        await (await crowded.probe()).send(
            *[record(url, vantage=ABROAD) for url in (LISTED, OTHER)]
        )
        store = folder / "one" / "store.sqlite3"
        yield Country(harness, crowded, home, mobile, store, ahead, second)


async def begin(made: Country, watched: Watched) -> None:
    """All is well, and all are heard."""
    for probe in made.home:
        beat = codec.encode(Heartbeat(country="KZ", asn=9198))
        assert (await probe.ask("POST", "/v1/heartbeat", beat)).status == 200
        await probe.send(*fine(20))
    await watched.holds(faster("country_asn:qazprobe_interference:ratio offset 6h == 0"))
    heard = 'country_asn:qazprobe_probes_heard:max{asn="9198"}'
    await watched.holds(f"min_over_time({heard}[15s]) == 3 and count_over_time({heard}[15s]) > 9")


async def evening_begins(made: Country, watched: Watched) -> None:
    """Several events of several kinds begin, on two networks."""
    for hours in (16.0, 14.0, 12.0):
        for probe in made.home[:2]:
            await probe.send(*evening(hours))
        for probe in made.mobile:
            await probe.send(cut(hours, Mechanism.ACCESS_FOREIGN_CUT, MOBILE))
    await watched.holds('sum(qazprobe_event_active{kind="blocking"}) == 2')
    await watched.see(*(f"{alert} {kind}" for alert in EVENT_ALERTS for kind in KINDS))
    await watched.see("QazprobeInterferenceJump")
    watched.before_the_end = set(watched.fired)
    kinds = watched.server.query("max by (kind) (max_over_time(qazprobe_event_active[10m]))")
    watched.most = {one["metric"]["kind"]: float(one["value"][1]) for one in kinds}


async def evening_ends(made: Country, watched: Watched) -> None:
    """What was blocked is not any more."""
    for hours in (6.0, 4.0):
        for probe in made.home[:2]:
            await probe.send(*fine(hours))
    await watched.holds('sum(qazprobe_events_total{kind="blocking",state="ended"}) == 2')
    await watched.see("QazprobeEventEnded blocking", "QazprobeEventEnded interception")


async def trouble(made: Country, watched: Watched) -> None:
    """The collector has a bug, is attacked and is slow, and a second one has too many series."""
    probe = made.home[0]
    for _ in range(3):
        await probe.send(record(UNLISTED))
    await watched.see("QazcollectorJudgeErrors", "QazcollectorSeriesDropped")
    forged = {**probe.sign("POST", "/v1/measurements"), "Content-Type": codec.BATCH_TYPE}
    async with asyncio.timeout(PATIENCE):
        while "QazcollectorRefusesMuch" not in await asyncio.to_thread(watched.firing):
            for _ in range(20):
                reply = await made.harness.ask("POST", "/v1/measurements", b"forged", forged)
                assert reply.status in {401, 403}
    with closing(sqlite3.connect(made.store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(probe.upload(record(OTHER)))
        await asyncio.sleep(3.0)
        other.execute("ROLLBACK")
    await waiting
    await watched.see("QazcollectorSlow")


async def silence(made: Country, watched: Watched) -> None:
    """No probe is heard, first for minutes, then for a day; nothing is judged meanwhile."""
    await made.harness.judged()
    vars(made.harness.service.judging)["_parts"]._judging.stopping = True
    await made.home[0].upload(record(OTHER))
    flat, shown = 'qazprobe_connectivity_ratio{asn="9198"}', panel("Foreign anchors")
    assert watched.server.query(shown)
    made.ahead.append(1200.0)
    await watched.see("QazprobeProbesSilent", "QazcollectorBacklog")
    await watched.holds('qazprobe_probes_heard{asn="9198"} == 0')
    # The newest measurements of a cut line are the last good ones.
    assert watched.server.query(flat)
    assert not watched.server.query(shown)
    made.ahead.append(DAY + HOUR)
    await watched.see("QazprobeNoProbes")


async def the_end(made: Country, watched: Watched) -> None:
    """The store is moved away; then a collector stops."""
    made.store.rename(made.store.with_suffix(".moved"))

    def failing() -> bool:
        answers(f"{made.harness.url}/readyz")
        return "QazcollectorFailing" in watched.firing()

    await holds(failing, lambda: f"only {watched.fired}")
    made.store.with_suffix(".moved").rename(made.store)
    await made.second.aclose()
    # Of this one, not that there was none before the first scrape.
    await watched.holds('ALERTS{alertname="QazcollectorDown", instance=~".+"}')
    await watched.see("QazcollectorDown")


async def scenario(folder: Path, messages: list[list[dict[str, str]]]) -> Watched:
    """Everything in turn; what Prometheus told of it."""
    since = time.time()
    (folder / "rules").mkdir()
    rules = fast_rules(folder / "rules")
    async with country(folder) as made:
        with ExitStack() as stack:
            at = stack.enter_context(alertmanager(folder, messages)) if ALERTMANAGER else ""
            config = configuration(folder, made.addresses, rules=rules, alerts=at)
            # In a thread, because it waits for itself.
            entered = await asyncio.to_thread(stack.enter_context, prometheus(folder, config))
            watched = Watched(entered)
            for part in (begin, evening_begins, evening_ends, trouble, silence, the_end):
                await part(made, watched)
            watched.mark(since)
            await asyncio.to_thread(watched.follow, made.harness.url)
            return watched


# --- what was told -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    messages: list[list[dict[str, str]]] = []
    found = asyncio.run(scenario(tmp_path_factory.mktemp("alerts"), messages))
    found.messages = messages
    return found


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_fires(watched: Watched, alert: str) -> None:
    assert alert in watched.fired


PAGES = (*EVENT_ALERTS, "QazprobeEventEnded", "QazprobeInterferenceJump", "QazprobeProbesSilent")


@pytest.mark.parametrize("alert", [*PAGES, "QazprobeNoProbes"])
def test_an_alert_leads_to_a_page_of_the_collector(watched: Watched, alert: str) -> None:
    assert watched.pages[alert]


@pytest.mark.parametrize("alert", [*EVENT_ALERTS, "QazprobeEventEnded"])
def test_an_alert_of_events_leads_to_those_events(watched: Watched, alert: str) -> None:
    links = {link for name, link in watched.links if name == alert}
    assert all(
        re.search(r"/events\?kind=\w+&country=KZ.*&state=(confirmed|ended)$", one) for one in links
    )
    assert any('href="/e/' in page for page in watched.pages[alert])


@pytest.mark.parametrize("alert", [one for one in ALERTS if one.startswith("Qazcollector")])
def test_an_alert_of_the_collector_leads_to_the_operators_listener(
    watched: Watched, alert: str
) -> None:
    links = {link for name, link in watched.links if name == alert}
    assert links
    assert links <= {"http://127.0.0.1:9101/admin", "http://127.0.0.1:9101/readyz"}


MARKS = [
    f"{name}/{one['name']}"
    for name, board in BOARDS.items()
    for one in board["annotations"]["list"]
]


@pytest.mark.parametrize("mark", MARKS)
def test_every_annotation_marks_something(watched: Watched, mark: str) -> None:
    assert watched.marks[mark] > 0


def test_there_were_several_events_of_a_kind_at_once(watched: Watched) -> None:
    assert watched.most == {
        "blocking": 2,
        "interception": 2,
        "throttling": 2,
        "whitelist": 1,
        "shutdown": 1,
    }


def test_an_end_is_told_when_something_ended(watched: Watched) -> None:
    assert "QazprobeEventEnded" not in watched.before_the_end
    assert any(one.startswith("2 on AS9198; they ended") for one in watched.descriptions)
    assert any(one.startswith("2 on AS9198; what, since when") for one in watched.descriptions)


@pytest.mark.skipif(
    ALERTMANAGER is None, reason="no Alertmanager: apt install prometheus-alertmanager"
)
def test_events_that_begin_together_are_one_message(watched: Watched) -> None:
    told = Counter(
        (one["alertname"], one["kind"])
        for message in watched.messages
        for one in message
        if one["receiver"] == "events"
    )
    assert told[("QazprobeEventBegan", "blocking")] == 1
    assert told[("QazprobeEventEnded", "blocking")] == 1
    named = {one["alertname"] for message in watched.messages for one in message}
    assert "QazprobeEvent" not in named
    assert "QazprobeProbesSilent" in named
