"""`qazprobe trace` on a multihop path, compared with the lab's topology."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from probe.lab import addresses as plan, multihop, on_path_injector
from probe.lab.scenario import LabSite, RouterMiddlebox, Scenario, SniFilter
from probe.lab.testbed import NetnsTestbed, unavailable_reason

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]
RESIDUAL = 8
MIDDLEBOXES = {
    middlebox.name: middlebox
    for middlebox in (
        RouterMiddlebox("reset-in.org", "border", "hello", "reset", "in"),
        RouterMiddlebox("reset-on.org", "transit", "hello", "reset", "on"),
        RouterMiddlebox("late-tap.org", "border", "hello", "reset", "on", delay=0.1, ttl=255),
        RouterMiddlebox("dropped.org", "backbone", "hello", "drop", "in"),
        RouterMiddlebox("punished.org", "provider", "hello", "drop", "in", residual=RESIDUAL),
        RouterMiddlebox("plain-host.org", "transit", "host", "reset", "in"),
        RouterMiddlebox("asked-for.org", "backbone", "query", "answer", "on"),
    )
}
SITES = (
    *(LabSite(name, plain="same") for name in MIDDLEBOXES),
    LabSite("open.org"),
    LabSite("proxied.org"),
)
SCENARIO = Scenario(
    "multihop", SITES, (), (*MIDDLEBOXES.values(), SniFilter("proxied.org", "alert"))
)
TABLE = """95.57.0.0,95.57.255.255,9198,KZ
92.47.0.0,92.47.255.255,9198,KZ
62.115.0.0,62.115.255.255,1299,SE
"""
UNPRIVILEGED = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
COMMAND = (sys.executable, "-c", "from probe.cli import main; main()")
LAYER = {"hello": "tls", "host": "http", "query": "dns"}


class Traces:
    """Every trace, run once, several at a time."""

    def __init__(self, testbed: NetnsTestbed) -> None:
        self.testbed = testbed
        self.env = {"QAZPROBE_HOME": str(testbed.folder / "home"), "QAZPROBE_COUNTRY": "KZ"}
        self.run("consent", "--yes")
        (testbed.folder / "table.csv").write_text(TABLE)
        wanted = [(name, raw) for name in ("reset-in.org", "reset-on.org") for raw in (True,)]
        wanted += [(site.name, False) for site in SITES]
        with ThreadPoolExecutor(9) as pool:
            self.results = dict(
                zip(wanted, pool.map(lambda one: self.trace(*one), wanted), strict=True)
            )

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
        finished = self.testbed.client([*prefix, *COMMAND, *arguments], env=self.env, timeout=500)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def file(self, name: str, kind: str) -> Path:
        return self.testbed.folder / f"{name}.{kind}"

    def trace(self, name: str, raw: bool) -> dict[str, Any]:  # noqa: FBT001 - two kinds of trace
        mark = f"{name}-{raw}"
        more = ["--pcap", str(self.file(mark, "pcap"))] if raw else []
        more += ["--residual", "30"] if name == "punished.org" else []
        more += ["--lab", "--ca-file", str(self.testbed.ca_file), "--json", "--tries", "2"]
        more += ["--asn-table", str(self.file("table", "csv")), "-o", str(self.file(mark, "jsonl"))]
        finished = self.run(
            "trace", name, "--accept-risk", *more, prefix=() if raw else UNPRIVILEGED
        )
        found: dict[str, Any] = json.loads(finished)
        return found

    def finding(self, name: str, layer: str, *, raw: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = self.results[name, raw]["layers"][layer]["finding"]
        assert found is not None
        return found


@pytest.fixture(scope="module")
def traces() -> Iterator[Traces]:
    with NetnsTestbed([SCENARIO]) as testbed:
        yield Traces(testbed)
        assert testbed.log() == ""


@pytest.mark.parametrize("middlebox", MIDDLEBOXES.values(), ids=MIDDLEBOXES)
def test_the_hop_is_that_of_the_middlebox(traces: Traces, middlebox: RouterMiddlebox) -> None:
    layer = LAYER[middlebox.what]
    found = traces.finding(middlebox.name, layer)
    assert found["by"] == multihop.trigger_ttl(middlebox)
    assert found["after"] == multihop.trigger_ttl(middlebox) - 1
    assert found["trigger"] == "sent"
    others = [traces.results[middlebox.name, False]["layers"][each] for each in LAYER.values()]
    assert sum(other["finding"] is not None for other in others) == 1
    assert {other["server"] for other in others} == {multihop.SERVER_HOP}


def test_without_a_middlebox_nothing_is_found(traces: Traces) -> None:
    finished = traces.results["open.org", False]
    assert {layer["finding"] for layer in finished["layers"].values()} == {None}
    assert finished["outcome"] == "inconclusive"


@pytest.mark.parametrize(
    ("name", "layer", "stands"),
    [
        ("dropped.org", "tls", "in"),
        ("punished.org", "tls", "in"),
        ("late-tap.org", "tls", "on"),
        ("asked-for.org", "dns", "on"),
        ("proxied.org", "tls", None),  # a router that rewrites the TTL would look the same
        ("reset-in.org", "tls", None),
    ],
)
def test_findings_without_privileges_are_true(
    traces: Traces, name: str, layer: str, stands: str | None
) -> None:
    assert traces.finding(name, layer)["stands"] == stands


def test_raw_packets_distinguish_an_in_path_reset_from_an_on_path_one(traces: Traces) -> None:
    if not traces.file("reset-on.org-True", "pcap").exists():
        pytest.skip("no CAP_NET_RAW in the lab")
    assert traces.finding("reset-in.org", "tls", raw=True)["stands"] == "in"
    found = traces.finding("reset-on.org", "tls", raw=True)
    assert found["stands"] == "on"
    injected, own = found["injected"], found["own"]
    assert injected["ip_ttl"] == multihop.arriving_ttl(MIDDLEBOXES["reset-on.org"])
    assert (injected["ip_id"], injected["window"]) == (
        on_path_injector.IP_ID,
        on_path_injector.WINDOW,
    )
    assert injected["flags"] == "RA"
    assert own["ip_ttl"] == 64 - len(multihop.ROUTERS)


def test_a_proxy_is_detected_because_it_answers_too_near(traces: Traces) -> None:
    finished = traces.results["proxied.org", False]["layers"]["tls"]
    assert finished["proxy"] is True
    assert finished["server"] == finished["finding"]["by"] == multihop.ROUTERS.index("border") + 1
    assert traces.results["proxied.org", False]["outcome"] == "inconclusive"


def test_the_residual_block_is_measured(traces: Traces) -> None:
    finished = traces.results["punished.org", False]["layers"]["tls"]["residual"]
    assert finished["least"] <= RESIDUAL <= finished["most"] + 0.2
    assert finished["most"] - finished["least"] < 10
    assert traces.results["dropped.org", False]["layers"]["tls"]["residual"]["least"] == 0


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("reset-in.org", "at the border of KZ (AS9198)"),
        ("late-tap.org", "inside KZ"),
        ("dropped.org", "inside KZ"),
        ("plain-host.org", "outside KZ (AS1299)"),
    ],
)
def test_the_middlebox_is_located_inside_at_or_beyond_the_border(
    traces: Traces, name: str, where: str
) -> None:
    assert traces.finding(name, LAYER[MIDDLEBOXES[name].what])["place"] == where


def test_addresses_near_the_client_are_nowhere(traces: Traces) -> None:
    hidden = [plan.MULTIHOP_CLIENT, plan.CLIENT, plan.MULTIHOP_NEAR["home"]]
    hidden += [plan.MULTIHOP_NEAR["provider"], plan.MULTIHOP_NEAR["backbone"]]
    routers = traces.results["open.org", False]["routers"]
    assert [one["address"] for one in routers] == [
        None,
        None,
        None,
        *(plan.MULTIHOP_NEAR[name] for name in ("border", "transit", "edge")),
    ]
    for file in traces.testbed.folder.glob("*.jsonl"):
        assert not [address for address in hidden if address in file.read_text()]
    for file in traces.testbed.folder.glob("*.pcap"):
        data = file.read_bytes()
        packed = [bytes(map(int, address.split("."))) for address in hidden]
        assert not [one for one in packed if one in data]
        assert os.stat(file).st_mode & 0o077 == 0  # noqa: PTH116 - the mode is under test


def test_the_verdict_has_the_hop_in_one_sentence(traces: Traces) -> None:
    finished = traces.results["dropped.org", False]
    assert finished["outcome"] == "blocked"
    assert "silent between hop 3 and hop 4, in-path" in finished["reason"]
