"""The profiles in a simulated network: what they find, what they cost, how long they take."""

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from probe import codec
from probe.lab.harness import Harness
from probe.lab.loopback_testbed import LoopbackTestbed
from probe.lab.scenario import LabSite, Page, Scenario, Throttle
from probe.lab.testbed import NetnsTestbed, unavailable_reason
from probe.model import Record
from probe.ordering import LIMITS

needs_namespaces = pytest.mark.skipif(
    unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
)

SLOWED = "evening-tv.org"
SITES = (SLOWED, "morning-news.org", "noon-mail.org", "night-music.org", "dawn-radio.org")
SCENARIO = Scenario(
    "profiles.evening",
    tuple(LabSite(name, page=Page("large")) for name in SITES),
    (),
    censor=(Throttle(SLOWED, "police", 16_000),),
)


def purposes(hosts: Sequence[str]) -> str:
    """A list on which the first two sites are candidates for throttling, the third for forging."""
    known = ("throttle-candidate", "throttle-candidate", "mitm-candidate", "suspected", "")
    rows = (f"https://{host}/,NEWS,{purpose}\n" for host, purpose in zip(hosts, known, strict=True))
    return "url,category_code,purpose\n" + "".join(rows)


def run(harness: Harness, hosts: Sequence[str], *words: str) -> tuple[list[Record], float]:
    """The records of a run of the list, and its seconds."""
    out = harness.testbed.folder / "found.jsonl"
    urls = [f"https://{host}/" for host in hosts]
    argv = harness.probe_argv(urls, out, "--quiet", "--control", "none", *words)
    Path(argv[argv.index("--targets") + 1]).write_text(purposes(hosts))
    began = time.monotonic()
    env = {**os.environ, **harness.probe_env()}
    finished = harness.testbed.run("client", argv, env=env, timeout=240)
    assert finished.returncode == 0, finished.stderr
    return [codec.decode(line) for line in out.read_bytes().splitlines()], time.monotonic() - began


def outcomes(records: Sequence[Record], experiment: str) -> dict[str, str]:
    return {
        one.input: str(one.verdict.outcome)
        for one in records
        if one.experiment == experiment and one.verdict is not None
    }


def traffic(records: Sequence[Record]) -> int:
    facts = records[-1].facts
    assert facts is not None
    return facts.bytes_in + facts.bytes_out


class Profiled(NamedTuple):
    """A run of a profile: its records and its seconds."""

    records: list[Record]
    seconds: float


# What is measured at the same time: each in a network of its own, and mostly waiting.
RUNS = {
    "watch": ("--profile", "watch"),
    "watch without a collector": ("--profile", "watch", "--no-upload"),
    "quick": ("--profile", "quick"),
    "full": ("--profile", "full"),
}


@pytest.fixture(scope="module")
def profiled() -> dict[str, Profiled]:
    with ThreadPoolExecutor(len(RUNS)) as pool:
        return dict(zip(RUNS, pool.map(evening, RUNS.values()), strict=True))


def evening(words: Sequence[str]) -> Profiled:
    """A run while one of the sites is slowed."""
    with NetnsTestbed([SCENARIO]) as testbed:
        harness = Harness(testbed)
        if "--no-upload" not in words:
            harness.start_collector([f"https://{host}/" for host in SITES])
        harness.consent()
        return Profiled(*run(harness, SITES, *words))


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.alone
@needs_namespaces
@pytest.mark.parametrize("name", ["watch", "watch without a collector"])
def test_watch_finds_an_evenings_throttling_within_its_limits(
    profiled: Mapping[str, Profiled], name: str
) -> None:
    records, seconds = profiled[name]
    found = outcomes(records, "throttle")
    assert found.pop(f"https://{SLOWED}/", None) == "throttled", records[-1].facts
    # The other candidate is compared too, unless the first one took the whole share.
    compared = [one.verdict for one in records if one.experiment == "throttle"]
    assert set(found.values()) <= {"ok"}, compared
    assert len(outcomes(records, "web")) == len(SITES)
    print(f"{name}: {traffic(records)} bytes, {seconds:.1f} s")
    assert traffic(records) < LIMITS["watch"].bytes
    assert seconds < 90


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.alone
@needs_namespaces
def test_a_quiet_round_of_watch_costs_little() -> None:
    with NetnsTestbed([dataclasses.replace(SCENARIO, censor=())]) as testbed:
        harness = Harness(testbed)
        harness.start_collector([f"https://{host}/" for host in SITES])
        harness.consent()
        records, seconds = run(harness, SITES, "--profile", "watch")
    print(f"watch, quiet: {traffic(records)} bytes, {seconds:.1f} s")
    assert set(outcomes(records, "throttle").values()) == {"ok"}
    assert traffic(records) < 700_000
    assert seconds < 30


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.alone
@needs_namespaces
@pytest.mark.parametrize("name", ["quick", "full"])
def test_a_run_without_options_answers_every_question(
    profiled: Mapping[str, Profiled], name: str
) -> None:
    records, seconds = profiled[name]
    print(f"{name}: {traffic(records)} bytes, {seconds:.1f} s")
    assert set(outcomes(records, "web").values()) <= {"ok", "inconclusive"}
    assert outcomes(records, "throttle")[f"https://{SLOWED}/"] == "throttled"
    assert list(outcomes(records, "mitm")) == [f"https://{SITES[2]}/"]
    assert list(outcomes(records, "connectivity")) == [""]
    if name == "quick":
        assert seconds < LIMITS["quick"].seconds + 5


def test_profiles_cost_little_where_no_bulk_server_is_known() -> None:
    """Candidates that give no page are not compared: each comparison would be timeouts."""
    silent = Scenario("profiles.silent", tuple(LabSite(name) for name in SITES), ())
    with LoopbackTestbed([silent]) as testbed:
        harness = Harness(testbed)
        harness.consent()
        _, by_web = run(harness, SITES, "--no-upload", "-e", "web")
        records, seconds = run(harness, SITES, "--no-upload", "--profile", "quick")
    assert set(outcomes(records, "throttle"))
    assert seconds < by_web + 30
