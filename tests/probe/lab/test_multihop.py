"""`qazprobe trace` on a long way, against what the lab knows to be true of it."""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from probe.lab import addresses as plan, multihop, on_path_injector
from probe.lab.scenario import Box, Hello, Scenario, Site
from probe.lab.testbed import NetnsTestbed, obstacle

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.skipif(obstacle() is not None, reason=f"no namespaces: {obstacle()}"),
]
PUNISHED = 8
BOXES = {
    box.name: box
    for box in (
        Box("reset-in.org", "border", "hello", "reset", "in"),
        Box("reset-on.org", "transit", "hello", "reset", "on"),
        Box("late-tap.org", "border", "hello", "reset", "on", delay=0.1, ttl=255),
        Box("dropped.org", "backbone", "hello", "drop", "in"),
        Box("punished.org", "provider", "hello", "drop", "in", residual=PUNISHED),
        Box("plain-host.org", "transit", "host", "reset", "in"),
        Box("asked-for.org", "backbone", "query", "answer", "on"),
    )
}
SITES = (*(Site(name, plain="same") for name in BOXES), Site("open.org"), Site("proxied.org"))
SCENARIO = Scenario("long way", SITES, (), (*BOXES.values(), Hello("proxied.org", "alert")))
TABLE = """95.57.0.0,95.57.255.255,9198,KZ
92.47.0.0,92.47.255.255,9198,KZ
62.115.0.0,62.115.255.255,1299,SE
"""
UNPRIVILEGED = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
COMMAND = (sys.executable, "-c", "from probe.cli import main; main()")
LAYER = {"hello": "tls", "host": "http", "query": "dns"}


class Traces:
    """Each trace made once, several at a time."""

    def __init__(self, country: NetnsTestbed) -> None:
        self.country = country
        self.env = {"QAZPROBE_HOME": str(country.folder / "home"), "QAZPROBE_COUNTRY": "KZ"}
        self.run("consent", "--yes")
        (country.folder / "table.csv").write_text(TABLE)
        wanted = [(name, raw) for name in ("reset-in.org", "reset-on.org") for raw in (True,)]
        wanted += [(site.name, False) for site in SITES]
        with ThreadPoolExecutor(9) as pool:
            self.made = dict(
                zip(wanted, pool.map(lambda one: self.trace(*one), wanted), strict=True)
            )

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
        said = self.country.client([*prefix, *COMMAND, *arguments], env=self.env, timeout=150)
        assert said.returncode == 0, said.stderr
        return said.stdout

    def file(self, name: str, kind: str) -> Path:
        return self.country.folder / f"{name}.{kind}"

    def trace(self, name: str, raw: bool) -> dict[str, Any]:  # noqa: FBT001 - two kinds of trace
        mark = f"{name}-{raw}"
        more = ["--pcap", str(self.file(mark, "pcap"))] if raw else []
        more += ["--residual", "30"] if name == "punished.org" else []
        more += ["--lab", "--ca-file", str(self.country.ca_file), "--json", "--tries", "2"]
        more += ["--asn-table", str(self.file("table", "csv")), "-o", str(self.file(mark, "jsonl"))]
        said = self.run("trace", name, *more, prefix=() if raw else UNPRIVILEGED)
        found: dict[str, Any] = json.loads(said)
        return found

    def finding(self, name: str, layer: str, *, raw: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = self.made[name, raw]["layers"][layer]["finding"]
        assert found is not None
        return found


@pytest.fixture(scope="module")
def traces() -> Iterator[Traces]:
    with NetnsTestbed([SCENARIO]) as country:
        yield Traces(country)
        assert country.log() == ""


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_the_hop_is_where_the_box_is(traces: Traces, box: Box) -> None:
    layer = LAYER[box.what]
    found = traces.finding(box.name, layer)
    assert found["by"] == multihop.first_met(box)
    assert found["after"] == multihop.first_met(box) - 1
    assert found["trigger"] == "sent"
    others = [traces.made[box.name, False]["layers"][each] for each in LAYER.values()]
    assert sum(other["finding"] is not None for other in others) == 1
    assert {other["server"] for other in others} == {multihop.SERVER_HOP}


def test_nothing_is_found_where_nothing_is_done(traces: Traces) -> None:
    said = traces.made["open.org", False]
    assert {layer["finding"] for layer in said["layers"].values()} == {None}
    assert said["outcome"] == "inconclusive"


@pytest.mark.parametrize(
    ("name", "layer", "stands"),
    [
        ("dropped.org", "tls", "in"),
        ("punished.org", "tls", "in"),
        ("late-tap.org", "tls", "on"),
        ("asked-for.org", "dns", "on"),
        ("proxied.org", "tls", "in"),
        ("reset-in.org", "tls", None),
    ],
)
def test_what_can_be_told_without_privileges_is_true(
    traces: Traces, name: str, layer: str, stands: str | None
) -> None:
    assert traces.finding(name, layer)["stands"] == stands


def test_single_packets_tell_a_reset_in_the_path_from_one_on_it(traces: Traces) -> None:
    if not traces.file("reset-on.org-True", "pcap").exists():
        pytest.skip("no CAP_NET_RAW in the lab")
    assert traces.finding("reset-in.org", "tls", raw=True)["stands"] == "in"
    found = traces.finding("reset-on.org", "tls", raw=True)
    assert found["stands"] == "on"
    injected, own = found["injected"], found["own"]
    assert injected["ip_ttl"] == multihop.injected_ttl(BOXES["reset-on.org"])
    assert (injected["ip_id"], injected["window"]) == (
        on_path_injector.IP_ID,
        on_path_injector.WINDOW,
    )
    assert injected["flags"] == "RA"
    assert own["ip_ttl"] == 64 - len(multihop.ROUTERS)


def test_a_proxy_is_seen_because_it_answers_too_near(traces: Traces) -> None:
    said = traces.made["proxied.org", False]["layers"]["tls"]
    assert said["proxy"] is True
    assert said["server"] == said["finding"]["by"] == multihop.ROUTERS.index("border") + 1


def test_how_long_an_address_is_punished(traces: Traces) -> None:
    said = traces.made["punished.org", False]["layers"]["tls"]["residual"]
    assert said["least"] <= PUNISHED <= said["most"] + 0.2
    assert said["most"] - said["least"] < 10
    assert traces.made["dropped.org", False]["layers"]["tls"]["residual"]["least"] == 0


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("reset-in.org", "at the border of KZ"),
        ("late-tap.org", "inside KZ"),
        ("dropped.org", "inside KZ"),
        ("plain-host.org", "outside KZ"),
    ],
)
def test_inside_the_country_or_at_its_border(traces: Traces, name: str, place: str) -> None:
    assert traces.finding(name, LAYER[BOXES[name].what])["place"] == place


def test_the_neighbourhood_is_nowhere(traces: Traces) -> None:
    hidden = [plan.LONG_CLIENT, plan.CLIENT, plan.LONG_WAY["home"]]
    hidden += [plan.LONG_WAY["provider"], plan.LONG_WAY["backbone"]]
    routers = traces.made["open.org", False]["routers"]
    assert [one["address"] for one in routers] == [
        None,
        None,
        None,
        *(plan.LONG_WAY[name] for name in ("border", "transit", "edge")),
    ]
    for file in traces.country.folder.glob("*.jsonl"):
        assert not [address for address in hidden if address in file.read_text()]
    for file in traces.country.folder.glob("*.pcap"):
        data = file.read_bytes()
        packed = [bytes(map(int, address.split("."))) for address in hidden]
        assert not [one for one in packed if one in data]
        assert os.stat(file).st_mode & 0o077 == 0  # noqa: PTH116 - its mode is the point


def test_the_verdict_says_it_in_one_sentence(traces: Traces) -> None:
    said = traces.made["dropped.org", False]
    assert said["outcome"] == "blocked"
    assert "silent between hop 3 and hop 4, in the path" in said["reason"]
