"""The testbed with real packets: each interference, checked with plain sockets on its nodes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.lab import addresses as plan, testbed as testbed_module
from probe.lab.catalogue import catalogue
from probe.lab.catalogue.lines import LOSS_5, SATELLITE
from probe.lab.commands import environment
from probe.lab.scenario import (
    WIRE,
    AddressBlock,
    Interference,
    LabSite,
    LineSpec,
    Page,
    Scenario,
    SniFilter,
    Throttle,
    WholeLine,
)
from probe.lab.testbed import NetnsTestbed, NetnsTestbedError, NodeName, unavailable_reason

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        unavailable_reason() is not None, reason=f"no namespaces: {unavailable_reason()}"
    ),
]
CHECKS = Path(__file__).with_name("socket_checks.py")
HARMLESS = "www.example.com"
SYSTEM = plan.SYSTEM_RESOLVER


def observe(
    testbed: NetnsTestbed, checks: list[list[object]], node: NodeName = "client"
) -> list[str]:
    finished = testbed.run(node, [sys.executable, str(CHECKS), json.dumps(checks)], timeout=60)
    assert finished.returncode == 0, finished.stderr
    found: list[str] = json.loads(finished.stdout)
    return found


def make_testbed(*interferences: Interference, sites: tuple[LabSite, ...] = ()) -> NetnsTestbed:
    return NetnsTestbed([Scenario("test", sites, (), interferences)])


@pytest.fixture(scope="module")
def default_testbed() -> Iterator[NetnsTestbed]:
    with NetnsTestbed(each for each in catalogue() if each.environment.is_default) as testbed:
        yield testbed


def test_all_default_scenarios_start_about_as_fast_as_none() -> None:
    def seconds(scenarios: list[Scenario]) -> float:
        began = time.monotonic()
        with NetnsTestbed(scenarios) as testbed:
            took = time.monotonic() - began
            assert testbed.log() == ""
        return took

    # About 0.7 s each: a bound in seconds would measure what else the machine does.
    every = [each for each in catalogue() if each.environment.is_default]
    assert seconds(every) < 4 * seconds([])


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("ordinary-day.org", "tls"),
        ("silent-hello.org", "silence"),
        ("silent-after.org", "silence"),
        ("torn-letter.org", "reset"),
        ("polite-goodbye.org", "fin"),
        ("formal-refusal.org", "alert 40"),
    ],
)
def test_interference_depends_on_the_name_in_the_hello(
    default_testbed: NetnsTestbed, name: str, here: str
) -> None:
    address = default_testbed.addresses(name)[0]
    assert observe(default_testbed, [["tls", address, HARMLESS], ["tls", address, name]]) == [
        "tls",
        here,
    ]
    assert observe(default_testbed, [["tls", address, name]], node="abroad") == ["tls"]


def test_the_name_is_filtered_at_any_address_and_over_ipv6(default_testbed: NetnsTestbed) -> None:
    elsewhere = default_testbed.addresses("ordinary-day.org")[0]
    six = default_testbed.addresses("both-families.org")[1]
    checks: list[list[object]] = [
        ["tls", elsewhere, "silent-hello.org"],
        ["tls", six, HARMLESS],
        ["tls", six, "both-families.org"],
    ]
    assert observe(default_testbed, checks) == ["silence", "tls", "silence"]


def test_interception_forges_one_name_and_copies_the_real_leaf(
    default_testbed: NetnsTestbed,
) -> None:
    address = default_testbed.addresses("opened-letters.com")[0]
    forged, real, other = observe(
        default_testbed,
        [
            ["issuer", address, "opened-letters.com"],
            ["issuer", address, HARMLESS],
            ["issuer", default_testbed.addresses("read-by-others.ru")[0], "read-by-others.ru"],
        ],
    )
    assert "Security Certificate" in forged
    assert "Laboratory Encrypt" in real
    assert "ISCA" in other


def test_address_blocks_and_dead_servers_fail_as_specified(default_testbed: NetnsTestbed) -> None:
    wanted = {
        "blackhole-times.org": "timeout",
        "slammed-door.net": "refused",
        "no-road-there.org": "host unreachable",
        "lost-network.org": "net unreachable",
        "cut-short.org": "reset",
        "closed-shop.org": "refused",
        "dead-server.org": "timeout",
        "unplugged.org": "host unreachable",
        "ordinary-day.org": "open",
    }
    checks: list[list[object]] = [
        ["connect", default_testbed.addresses(name)[0], 443] for name in wanted
    ]
    assert dict(zip(wanted, observe(default_testbed, checks), strict=True)) == wanted
    abroad = dict(zip(wanted, observe(default_testbed, checks, node="abroad"), strict=True))
    assert abroad["blackhole-times.org"] == abroad["cut-short.org"] == "open"
    assert abroad["dead-server.org"] == "timeout"


def test_plain_http_is_filtered_by_host_and_path(default_testbed: NetnsTestbed) -> None:
    def at(host: str, path: str = "/") -> list[object]:
        return ["web", default_testbed.addresses(host)[0], host, path]

    reset, silent, fin, page, forbidden, away, raw, cut, one, rest = observe(
        default_testbed,
        [
            at("plain-torn.org"),
            at("plain-silent.org"),
            at("plain-goodbye.org"),
            at("replaced-page.org"),
            at("forbidden-page.org"),
            at("sent-away.org"),
            at("spoken-over.org"),
            at("half-a-page.org"),
            at("library-of-all.org", "/banned-book"),
            at("library-of-all.org"),
        ],
    )
    assert (reset, silent, fin) == ("reset", "silence", "fin")
    assert page.startswith("HTTP/1.1 200")
    assert "ограничен" in page
    assert forbidden.startswith("HTTP/1.1 403")
    assert plan.BLOCK_PAGE_NAME in away
    assert raw.startswith("<html>")
    assert cut.startswith("HTTP/1.1 200 OK")
    assert one == "reset"
    assert "Library-of-all: news" in rest


def test_plain_http_of_another_host_at_the_same_address_is_left_alone(
    default_testbed: NetnsTestbed,
) -> None:
    address = default_testbed.addresses("replaced-page.org")[0]
    assert "Replaced-page: news" in observe(default_testbed, [["web", address, HARMLESS]])[0]


def test_dns_answers_are_forged_as_specified(default_testbed: NetnsTestbed) -> None:
    def true(name: str) -> str:
        return f"NOERROR {default_testbed.addresses(name)[0]}"

    wanted = {
        ("steppe-herald.org", SYSTEM): "NXDOMAIN",
        ("open-courts-monitor.org", SYSTEM): "NOERROR",
        ("river-post.net", "8.8.8.8"): "SERVFAIL",
        ("ledger-leaks.org", "8.8.8.8"): "REFUSED",
        ("night-radio.fm", SYSTEM): "silence",
        ("miners-union.info", SYSTEM): f"NOERROR {plan.BOGON}",
        ("free-ballot.org", SYSTEM): f"NOERROR {plan.BLOCK_PAGE}",
        ("poets-abroad.com", SYSTEM): "NXDOMAIN",
        ("poets-abroad.com", "9.9.9.9"): true("poets-abroad.com"),
        ("quiet-archive.org", SYSTEM): true("quiet-archive.org"),
        ("quiet-archive.org", "1.1.1.1"): "NXDOMAIN",
        ("exile-voices.org", SYSTEM): f"NOERROR {plan.BLOCK_PAGE}|{true('exile-voices.org')}",
        ("late-edition.net", SYSTEM): f"{true('late-edition.net')}|NOERROR {plan.BLOCK_PAGE}",
        ("ordinary-day.org", SYSTEM): true("ordinary-day.org"),
        ("never-registered.org", "8.8.8.8"): "NXDOMAIN",
        ("points-at-you.org", SYSTEM): "NOERROR 127.0.0.1",
    }
    checks: list[list[object]] = [["names", *asked] for asked in wanted]
    assert dict(zip(wanted, observe(default_testbed, checks), strict=True)) == wanted


def test_dns_answers_abroad_are_true(default_testbed: NetnsTestbed) -> None:
    checks: list[list[object]] = [["names", "steppe-herald.org", "8.8.8.8"]]
    assert observe(default_testbed, checks, node="abroad") == [
        f"NOERROR {default_testbed.addresses('steppe-herald.org')[0]}"
    ]


def test_slowed_names_are_slow_and_others_are_not() -> None:
    names = ("policed.org", "shaped.org", "frozen.org", "free.org")
    sites = tuple(LabSite(name, page=Page("large")) for name in names)
    interferences = (
        Throttle("policed.org", "police", 16_000),
        Throttle("shaped.org", "shape", 16_000),
        Throttle("frozen.org", "freeze", 16_384),
    )
    with make_testbed(*interferences, sites=sites) as testbed:
        checks: list[list[object]] = [
            ["fetch", testbed.addresses(site.name)[0], site.name] for site in sites
        ]
        policed, shaped, frozen, free = observe(testbed, checks)
    assert frozen.startswith("frozen")
    assert int(frozen.split()[1]) < 20_000
    assert _rate(shaped) < 40_000
    assert policed.startswith("frozen") or _rate(policed) < 40_000
    assert _rate(free) > 5 * max(_rate(shaped), 16_000)


def _rate(fetched: str) -> float:
    """Bytes a second."""
    size, seconds = fetched.split()
    return int(size) / float(seconds)


def test_a_residual_block_follows_its_trigger() -> None:
    residual = 6  # enough for two checks on a busy machine
    interference = SniFilter("long-memory.org", "drop", residual=residual)
    with make_testbed(interference, sites=(LabSite("long-memory.org"),)) as testbed:
        address = testbed.addresses("long-memory.org")[0]
        harmless: list[object] = ["tls", address, HARMLESS]
        assert observe(testbed, [harmless]) == ["tls"]
        assert observe(testbed, [["tls", address, "long-memory.org"]]) == ["silence"]
        assert observe(testbed, [harmless]) == ["timeout"]
        time.sleep(residual + 1)
        assert observe(testbed, [harmless]) == ["tls"]


def test_a_whitelist_passes_essential_sites() -> None:
    sites = (LabSite("bank.kz", domestic=True, essential=True), LabSite("shop.kz", domestic=True))
    with make_testbed(WholeLine("whitelist"), sites=sites) as testbed:
        checks: list[list[object]] = [
            ["connect", testbed.addresses("bank.kz")[0], 443],
            ["connect", testbed.addresses("shop.kz")[0], 443],
            ["connect", testbed.addresses("www.iana.org")[0], 443],
            ["connect", testbed.addresses("www.iana.org")[1], 443],
        ]
        assert observe(testbed, checks) == ["open", "timeout", "timeout", "timeout"]


def test_a_foreign_cut_leaves_domestic_sites() -> None:
    sites = (LabSite("shop.kz", domestic=True), LabSite("abroad.org"))
    with make_testbed(WholeLine("foreign_cut"), sites=sites) as testbed:
        checks: list[list[object]] = [
            ["connect", testbed.addresses(site.name)[0], 443] for site in sites
        ]
        assert observe(testbed, checks) == ["open", "timeout"]


def test_a_portal_answers_for_every_site() -> None:
    with make_testbed(
        WholeLine("captive_portal"), sites=(LabSite("any.org", plain="same"),)
    ) as testbed:
        address = testbed.addresses("any.org")[0]
        found = observe(testbed, [["web", address, "any.org"], ["connect", address, 443]])
    assert plan.PORTAL_NAME in found[0]
    assert found[1] == "refused"


def test_hotel_dns_and_sold_nxdomain() -> None:
    with make_testbed(WholeLine("hotel_dns")) as testbed:
        checks: list[list[object]] = [["names", "www.iana.org", "8.8.8.8"]]
        assert observe(testbed, checks) == [f"NOERROR {plan.PORTAL}"]
    with make_testbed(WholeLine("nxdomain_sold")) as testbed:
        checks = [["names", "nobody-has-this.org", SYSTEM], ["names", "nobody.org", "8.8.8.8"]]
        assert observe(testbed, checks) == [f"NOERROR {plan.AD_PAGE}", "NXDOMAIN"]


def test_a_local_product_signs_for_every_site() -> None:
    with make_testbed(WholeLine("everything_resigned")) as testbed:
        checks: list[list[object]] = [
            ["issuer", testbed.addresses(name)[0], name] for name in ("www.iana.org", "kaspi.kz")
        ]
        assert all("Guardian" in issuer for issuer in observe(testbed, checks))


def test_blocked_resolvers_and_collector_are_silent() -> None:
    with make_testbed(WholeLine("no_doh"), WholeLine("no_collector")) as testbed:
        checks: list[list[object]] = [
            ["names", "www.iana.org", "8.8.8.8"],
            ["connect", "8.8.8.8", 443],
            ["connect", plan.COLLECTOR, plan.COLLECTOR_PORT],
        ]
        found = observe(testbed, checks)
    assert found[0].startswith("NOERROR")
    assert found[1:] == ["timeout", "timeout"]


def test_a_line_delays_and_limits() -> None:
    with NetnsTestbed([], line=SATELLITE) as testbed:
        address = testbed.addresses("www.iana.org")[0]
        observe(testbed, [["names", "www.iana.org", SYSTEM]])  # resolves the link-layer addresses
        began = time.monotonic()
        assert observe(testbed, [["names", "www.iana.org", SYSTEM]])[0].startswith("NOERROR")
        assert time.monotonic() - began > 0.6
        size, seconds = observe(testbed, [["fetch", address, "www.iana.org"]])[0].split()
    assert float(seconds) > 1.8
    assert int(size) > 100


def test_a_lossy_line_loses_packets_and_carries_pages() -> None:
    with NetnsTestbed([], line=LOSS_5) as testbed:
        checks: list[list[object]] = [["names", "www.iana.org", SYSTEM] for _ in range(150)]
        lost = observe(testbed, checks).count("silence")
        address = testbed.addresses("www.iana.org")[0]
        assert observe(testbed, [["tls", address, "www.iana.org"]]) in (["tls"], ["silence"])
    assert 2 <= lost <= 45  # 5% each way: 15 of 150 on average


def test_the_line_is_no_bottleneck_of_its_own() -> None:
    fast = LineSpec("fast", delay=0.002)
    big_site = next(each for each in catalogue() if each.name == "innocent.large")
    rates = []
    for line in (WIRE, fast):
        with NetnsTestbed([], line=line, extra=big_site.sites) as testbed:
            address = testbed.addresses("whole-archive.org")[0]
            check: list[object] = ["fetch", address, "whole-archive.org", 2_500_000]
            rates.append(8 * _rate(observe(testbed, [check])[0]))
    assert rates[1] > min(20_000_000, rates[0] / 40)


def test_a_command_runs_on_its_node(default_testbed: NetnsTestbed) -> None:
    finished = default_testbed.client(["sh", "-c", "cat /etc/resolv.conf; ip -o addr show eth0"])
    assert SYSTEM in finished.stdout
    assert plan.CLIENT in finished.stdout
    assert plan.ABROAD in default_testbed.abroad(["ip", "-o", "addr"]).stdout


def test_nodes_have_no_interface_of_the_real_network(default_testbed: NetnsTestbed) -> None:
    for node in ("client", "abroad", "internet", "censor"):
        links = default_testbed.run(node, ["ip", "-o", "link"]).stdout.splitlines()
        assert {line.split()[1].split("@")[0].rstrip(":") for line in links} <= {
            "lo", "eth0", "home", "uplink", "censor0", "abroad0"
        }  # fmt: skip


def test_a_command_that_hangs_is_ended(default_testbed: NetnsTestbed) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        default_testbed.client(["sleep", "60"], timeout=0.3)


def test_everything_ends_when_the_owner_is_killed() -> None:
    program = (
        "from probe.lab.testbed import NetnsTestbed; import time\n"
        "with NetnsTestbed([]) as t:\n"
        "    t.spawn('client', ['sleep', '1234567'])\n"
        "    print(t.folder, *t._node_pids.values(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment()
    ) as owner:
        assert owner.stdout is not None
        folder, *pids = owner.stdout.readline().split()
        nodes = [int(pid) for pid in pids]
        assert len(nodes) == 4
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in nodes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in nodes)
    assert not Path(folder).exists()


def test_scenarios_of_two_lines_need_two_testbeds() -> None:
    lines = [each for each in catalogue() if each.name in {"lines.loss_1", "lines.loss_5"}]
    with pytest.raises(ValueError, match="separate testbeds"):
        NetnsTestbed(lines)


def test_no_testbed_without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed_module, "unavailable_reason", lambda: "not here")
    with pytest.raises(testbed_module.NoNamespacesError, match="not here"), NetnsTestbed([]):
        pass


def test_qazprobe_settings_of_the_environment_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_COLLECTOR", "https://real.example/")
    assert not [name for name in environment() if name.startswith("QAZPROBE_")]
    assert os.environ["PATH"] == environment()["PATH"]


def test_the_interference_changes_while_the_testbed_runs() -> None:
    """No interference, one name, the whole line, and none again, in one testbed."""
    with make_testbed(sites=(LabSite("ordinary-day.org"),)) as testbed:
        ways: tuple[tuple[Interference, ...], ...] = (
            (),
            (SniFilter("ordinary-day.org", "reset"),),
            (WholeLine("outage"),),
            (),
        )
        seen = []
        address = testbed.addresses("ordinary-day.org")[0]
        for interferences in ways:
            testbed.set_interference(*interferences)
            seen += observe(testbed, [["tls", address, "ordinary-day.org"]])
        assert seen == ["tls", "reset", "timeout", "tls"]
        with pytest.raises(NetnsTestbedError, match="process of its own"):
            testbed.set_interference(SniFilter("ordinary-day.org", "alert"))
        with pytest.raises(NetnsTestbedError, match="KeyError"):
            testbed.set_interference(AddressBlock("nowhere.example", "drop"))
