"""The metric families: names and labels are a contract, and one key has one vote."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from collector.metrics.exposition import MetricFamily, MetricSample, encode
from collector.store.measurements import INTERFERENCE
from probe.model import Authority, Line, Mechanism, Outcome, Record, Span, Tls, Transfer, Vantage
from tests.build import FORGED, tls
from tests.collector.harness import KZ, LISTED, OTHER, UNLISTED, collector, now, record

NETWORK = 'country="KZ",asn="9198"'
TARGET = f'target="listed.example",category="NEWS",{NETWORK}'


def blocked(url: str = LISTED, **changes: Any) -> Record:
    bad = (Mechanism.TLS_TIMEOUT, Mechanism.DNS_BOGON)
    return record(url, outcome=Outcome.BLOCKED, mechanisms=bad, **changes)


def test_a_post_is_in_the_next_scrape(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            for count in range(1, 6):
                await sender.send(record())
                shown = await harness.metrics()
                name = f'qazprobe_measurements_total{{experiment="web",outcome="ok",{NETWORK}}}'
                assert shown[name] == count

    asyncio.run(scenario())


def test_one_key_has_one_vote_and_it_is_the_newest(tmp_path: Path) -> None:
    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            first, second, third = [await harness.probe() for _ in range(3)]
            for age in (-300, -200, -100):
                await first.send(blocked(started_at=now(age)))
            # An older record that arrives later does not replace a newer one.
            await first.send(record(started_at=now(-1000)))
            await second.send(blocked(), record(started_at=now(-10)))
            await third.send(record(), blocked(started_at=now(-86400 - 60)))
            return await harness.metrics()

    shown = asyncio.run(scenario())
    assert shown[f'qazprobe_target_outcome{{{TARGET},outcome="blocked"}}'] == 2
    assert shown[f'qazprobe_target_outcome{{{TARGET},outcome="ok"}}'] == 1
    assert shown[f"qazprobe_target_interference_ratio{{{TARGET}}}"] == pytest.approx(2 / 3)
    mechanism = f'target="listed.example",{NETWORK},mechanism="dns.bogon"'
    assert shown[f"qazprobe_target_mechanism{{{mechanism}}}"] == 2
    assert shown[f'qazprobe_probes_active{{{NETWORK},region="KZ-75"}}'] == 3
    total = f'qazprobe_measurements_total{{experiment="web",outcome="blocked",{NETWORK}}}'
    assert shown[total] == 5


def test_the_most_severe_of_several_experiments_is_the_vote(tmp_path: Path) -> None:
    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            rates: list[tuple[Literal["A", "B"], float]] = [
                ("A", 100.0),
                ("B", 1000.0),
                ("A", 200.0),
                ("B", 2000.0),
            ]
            throttled = record(
                experiment="throttle",
                outcome=Outcome.THROTTLED,
                started_at=now(-60),
                steps=tuple(
                    Transfer(
                        id=n, address="192.0.2.1", port=443, sni="x", arm=arm, pair=1, rate=rate
                    )
                    for n, (arm, rate) in enumerate(rates)
                ),
            )
            await sender.send(throttled, record())
            return await harness.metrics()

    shown = asyncio.run(scenario())
    assert shown[f'qazprobe_target_outcome{{{TARGET},outcome="throttled"}}'] == 1
    assert f'qazprobe_target_outcome{{{TARGET},outcome="ok"}}' not in shown
    where = f'target="listed.example",{NETWORK}'
    name = "qazprobe_throughput_bytes_per_second"
    assert shown[f'{name}{{{where},arm="target"}}'] == 150
    assert shown[f'{name}{{{where},arm="reference"}}'] == 1500
    assert shown[f"qazprobe_throttle_ratio{{{where}}}"] == pytest.approx(0.1)


def moved(
    arm: Literal["A", "B", "C", "D"], rate: float | None, *, stalled: bool = False
) -> Transfer:
    common = Transfer(address="192.0.2.1", port=443, sni="x", arm=arm, pair=1, rate=rate)
    if not stalled:
        return common
    return msgspec.structs.replace(common, ended="stall", wire_bytes=16_000, elapsed=10.0)


@pytest.mark.parametrize(
    ("steps", "ratio"),
    [
        # Rates of different servers are not compared.
        ((moved("A", 100), moved("B", 100), moved("C", 4000)), 1),
        # The target's own address takes precedence.
        ((moved("A", 100), moved("B", 100), moved("C", 20), moved("D", 200)), 0.1),
        # The neutral server was blocked.
        ((moved("A", None), moved("B", None), moved("C", 20), moved("D", 200)), 0.1),
        # No reference at the target's own address.
        ((moved("A", 100), moved("B", 100), moved("C", 20), moved("D", None)), 1),
        # A stalled transfer has no plateau, and counts with its mean rate.
        ((moved("A", None, stalled=True), moved("B", 160_000)), 0.01),
    ],
)
def test_a_throttle_ratio_is_of_one_server(
    tmp_path: Path, steps: tuple[Transfer, ...], ratio: float
) -> None:
    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            numbered = tuple(msgspec.structs.replace(s, id=n) for n, s in enumerate(steps, 1))
            await sender.send(
                record(experiment="throttle", started_at=now(-60), steps=numbered, elapsed=30.0)
            )
            return await harness.metrics()

    where = f'target="listed.example",{NETWORK}'
    shown = asyncio.run(scenario())
    assert shown[f"qazprobe_throttle_ratio{{{where}}}"] == pytest.approx(ratio)


def test_a_run_record_has_no_target(tmp_path: Path) -> None:
    run = record(
        "",
        experiment="run",
        verdict=None,
        line=Line(foreign_alive=0.5, domestic_alive=1.0),
    )

    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(run)
            return await harness.metrics()

    shown = asyncio.run(scenario())
    assert not [name for name in shown if name.startswith("qazprobe_target_")]
    assert shown[f'qazprobe_connectivity_ratio{{{NETWORK},class="foreign"}}'] == 0.5
    assert shown[f'qazprobe_connectivity_ratio{{{NETWORK},class="domestic"}}'] == 1.0
    total = f'qazprobe_measurements_total{{experiment="run",outcome="none",{NETWORK}}}'
    assert shown[total] == 1


def served_by(authority: str) -> Tls:
    forged = msgspec.structs.replace(
        FORGED, authority=Authority(id=authority, kind="interception", proof="verified")
    )
    return tls(trust=forged)


def test_an_authority_label_is_one_of_the_known_ids(tmp_path: Path) -> None:
    bad: dict[str, Any] = {"outcome": Outcome.INTERCEPTED, "mechanisms": (Mechanism.TLS_MITM,)}
    claimed = record(steps=(served_by("kz.isca"),), **bad)
    unknown = record(OTHER, steps=(served_by("invented-by-a-probe"),), **bad)

    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(claimed, unknown)
            return await harness.metrics()

    shown = asyncio.run(scenario())
    name = "qazprobe_tls_interception"
    assert shown[f'{name}{{target="listed.example",{NETWORK},authority="kz.isca"}}'] == 1
    assert shown[f'{name}{{target="other.example",{NETWORK},authority="unknown"}}'] == 1


def test_malformed_networks_have_default_labels(tmp_path: Path) -> None:
    odd = Vantage(country='K"', asn=0, region="Алматы")

    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record(vantage=odd))
            return await harness.metrics()

    shown = asyncio.run(scenario())
    assert shown['qazprobe_probes_active{country="ZZ",asn="0",region=""}'] == 1


def test_promtool_accepts_the_exposition(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        async with collector(tmp_path) as harness:
            sender = await harness.probe()
            await sender.send(record(), blocked(OTHER), record(UNLISTED))
            return (await harness.ask("GET", "/metrics")).body

    text = asyncio.run(scenario())
    names = {family.name for family in text_string_to_metric_families(text.decode())}
    assert {"qazprobe_measurements", "qazprobe_handshake_seconds"} <= names
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_handshakes_are_a_histogram(tmp_path: Path) -> None:
    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(record(), record(vantage=KZ))
            return await harness.metrics()

    shown = asyncio.run(scenario())
    name, where = "qazprobe_handshake_seconds", f'{NETWORK},op="tls"'
    assert shown[f'{name}_bucket{{{where},le="0.05"}}'] == 0
    assert shown[f'{name}_bucket{{{where},le="0.1"}}'] == 2
    assert shown[f'{name}_bucket{{{where},le="+Inf"}}'] == 2
    assert shown[f"{name}_count{{{where}}}"] == 2
    assert shown[f"{name}_sum{{{where}}}"] == pytest.approx(0.2)


def test_handshakes_during_transfers_are_not_counted(tmp_path: Path) -> None:
    async def scenario() -> dict[str, float]:
        loaded = (Span(since=0.0, until=60.0),)
        async with collector(tmp_path) as harness:
            probe = await harness.probe()
            await probe.send(record(), replace(record(vantage=KZ), loaded=loaded))
            return await harness.metrics()

    shown = asyncio.run(scenario())
    assert shown[f'qazprobe_handshake_seconds_count{{{NETWORK},op="tls"}}'] == 1


def line_test(*moved: tuple[str, int, float | None]) -> Record:
    """A line test's record: direction, object size, rate."""
    steps = tuple(
        Transfer(
            id=n,
            address="192.0.2.9",
            port=443,
            arm="L",
            pair=n,
            direction="up" if way == "up" else "down",
            ended="full" if rate is not None else "stall",
            asked_bytes=size,
            wire_bytes=size,
            elapsed=1.0,
            rate=rate,
        )
        for n, (way, size, rate) in enumerate(moved, 1)
    )
    return replace(record(vantage=KZ, steps=steps), experiment="speed", input="")


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ((("down", 262_144, 1e6), ("down", 2_097_152, 3e6), ("up", 262_144, 5e5)), 3e6),
        ((("down", 262_144, None),), None),  # a failed test has no rate
    ],
)
def test_a_line_test_counts_with_its_largest_object(
    tmp_path: Path, moved: tuple[tuple[str, int, float | None], ...], expected: float | None
) -> None:
    async def scenario() -> dict[str, float]:
        async with collector(tmp_path) as harness:
            await (await harness.probe()).send(line_test(*moved))
            return await harness.metrics()

    shown = asyncio.run(scenario())
    rates = {n: v for n, v in shown.items() if n.startswith("qazprobe_throughput")}
    assert list(rates.values()) == ([expected] if expected is not None else [])
    assert all('arm="reference"' in name for name in rates)


def test_invented_series_do_not_displace_real_ones(tmp_path: Path) -> None:
    async def scenario() -> dict[str, float]:
        async with collector(tmp_path, max_series=12) as harness:
            for _ in range(2):
                await (await harness.probe()).send(blocked())
            forger = await harness.probe()
            invented = [blocked(vantage=Vantage(country="KZ", asn=n)) for n in range(1, 200)]
            await forger.send(*invented)
            return await harness.metrics()

    shown = asyncio.run(scenario())
    assert len([n for n in shown if n.startswith("qazprobe_")]) <= 12
    assert shown["qazcollector_series_limit"] == 12
    assert shown["qazcollector_series_dropped"] > 100
    assert shown[f'qazprobe_probes_active{{{NETWORK},region="KZ-75"}}'] == 2


def family(name: str, count: int) -> MetricFamily:
    samples = [MetricSample((str(n),), 1.0, 1.0) for n in range(count)]
    return MetricFamily(name, "Text.", "gauge", ("label",), samples)


def exposed(flood: int, limit: int = 1000) -> dict[str, int]:
    """The number of series of each family, in the order of `families`."""
    made = encode(
        [family("target", 600), family("totals", flood), family("strangers", flood)], limit
    )
    names = [line.partition(b"{")[0].decode() for line in made.body.splitlines() if b"{" in line]
    assert len(names) == made.shown <= limit
    return {name: names.count(name) for name in ("target", "totals", "strangers")}


def test_a_flood_of_one_family_empties_no_other_and_passes() -> None:
    before = exposed(flood=50)
    assert before == {"target": 600, "totals": 50, "strangers": 50}
    assert exposed(flood=59_000) == {"target": 600, "totals": 380, "strangers": 20}
    assert exposed(flood=50) == before


def test_a_family_keeps_its_share_when_targets_need_everything() -> None:
    made = encode([family("target", 5000), family("totals", 500), family("strangers", 5)], 1000)
    assert made.shown == 1000
    assert made.body.count(b"totals{") == 20
    assert made.body.count(b"strangers{") == 5


def test_metrics_on_their_own_address(tmp_path: Path) -> None:
    from collector.settings import Address

    async def scenario() -> None:
        async with collector(tmp_path, metrics=Address("127.0.0.1", 0)) as harness:
            assert (await harness.ask("GET", "/metrics")).status == 404
            assert "qazcollector_series" in await harness.metrics()

    asyncio.run(scenario())


def test_labels_are_escaped_and_series_counted() -> None:
    family = MetricFamily(
        "a", "b", "gauge", ("x",), [MetricSample(('"\\\n',), 1), MetricSample(("z",), 2.5, 9)]
    )
    text = encode([family], 1)
    assert (text.shown, text.dropped) == (1, 1)
    assert text.body.decode().splitlines()[-1] == 'a{x="z"} 2.5'
    assert 'a{x="\\"\\\\\\n"} 1' in encode([family], 5).body.decode()


def test_the_interference_ratio() -> None:
    from collector.metrics.counting import ratio

    assert ratio({"ok": 1, "refused": 1, "blocked": 1, "intercepted": 1}) == 0.5
    assert ratio({"down": 4, "inconclusive": 3}) is None
    assert ratio({"throttled": 1, "down": 9}) == 1.0
    assert {"blocked", "intercepted", "throttled"} == INTERFERENCE
