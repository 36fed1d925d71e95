"""The country on real packets: every act of the censor, seen with plain sockets from inside."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.lab import addresses as plan, testbed as country_module
from probe.lab.catalogue import catalogue
from probe.lab.catalogue.lines import LOSS_5, SATELLITE
from probe.lab.commands import environment
from probe.lab.scenario import (
    Cut,
    Hello,
    Interference,
    LineSpec,
    Nation,
    Page,
    Scenario,
    Site,
    Slow,
)
from probe.lab.testbed import CountryError, NetnsTestbed, Where, obstacle

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(obstacle() is not None, reason=f"no namespaces: {obstacle()}"),
]
LOOKS = Path(__file__).with_name("looks.py")
HARMLESS = "www.example.com"
SYSTEM = plan.SYSTEM_RESOLVER


def look(country: NetnsTestbed, looks: list[list[object]], where: Where = "client") -> list[str]:
    said = country.run(where, [sys.executable, str(LOOKS), json.dumps(looks)], timeout=60)
    assert said.returncode == 0, said.stderr
    found: list[str] = json.loads(said.stdout)
    return found


def nation(*acts: Interference, sites: tuple[Site, ...] = ()) -> NetnsTestbed:
    return NetnsTestbed([Scenario("test", sites, (), acts)])


@pytest.fixture(scope="module")
def big() -> Iterator[NetnsTestbed]:
    with NetnsTestbed(each for each in catalogue() if each.climate.usual) as country:
        yield country


def test_a_country_of_all_usual_scenarios_starts_in_three_seconds() -> None:
    began = time.monotonic()
    with NetnsTestbed(each for each in catalogue() if each.climate.usual) as country:
        assert time.monotonic() - began < 3
        assert country.log() == ""


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
def test_the_name_in_a_hello_decides(big: NetnsTestbed, name: str, here: str) -> None:
    address = big.addresses(name)[0]
    assert look(big, [["tls", address, HARMLESS], ["tls", address, name]]) == ["tls", here]
    assert look(big, [["tls", address, name]], where="abroad") == ["tls"]


def test_the_name_decides_at_any_address_and_over_ipv6(big: NetnsTestbed) -> None:
    elsewhere = big.addresses("ordinary-day.org")[0]
    six = big.addresses("both-families.org")[1]
    looks: list[list[object]] = [
        ["tls", elsewhere, "silent-hello.org"],
        ["tls", six, HARMLESS],
        ["tls", six, "both-families.org"],
    ]
    assert look(big, looks) == ["silence", "tls", "silence"]


def test_interception_forges_one_name_and_copies_the_real_leaf(big: NetnsTestbed) -> None:
    address = big.addresses("opened-letters.com")[0]
    forged, real, other = look(
        big,
        [
            ["issuer", address, "opened-letters.com"],
            ["issuer", address, HARMLESS],
            ["issuer", big.addresses("read-by-others.ru")[0], "read-by-others.ru"],
        ],
    )
    assert "Security Certificate" in forged
    assert "Laboratory Encrypt" in real
    assert "ISCA" in other


def test_packets_to_an_address_are_stopped_as_ordered(big: NetnsTestbed) -> None:
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
    looks: list[list[object]] = [["step", big.addresses(name)[0], 443] for name in wanted]
    assert dict(zip(wanted, look(big, looks), strict=True)) == wanted
    abroad = dict(zip(wanted, look(big, looks, where="abroad"), strict=True))
    assert abroad["blackhole-times.org"] == abroad["cut-short.org"] == "open"
    assert abroad["dead-server.org"] == "timeout"


def test_plain_http_is_acted_upon_by_host_and_path(big: NetnsTestbed) -> None:
    def at(host: str, path: str = "/") -> list[object]:
        return ["web", big.addresses(host)[0], host, path]

    reset, silent, fin, page, forbidden, away, raw, cut, one, rest = look(
        big,
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


def test_plain_http_of_another_host_at_the_same_address_is_left_alone(big: NetnsTestbed) -> None:
    address = big.addresses("replaced-page.org")[0]
    assert "Replaced-page: news" in look(big, [["web", address, HARMLESS]])[0]


def test_names_are_lied_about_as_ordered(big: NetnsTestbed) -> None:
    def true(name: str) -> str:
        return f"NOERROR {big.addresses(name)[0]}"

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
    looks: list[list[object]] = [["names", *asked] for asked in wanted]
    assert dict(zip(wanted, look(big, looks), strict=True)) == wanted


def test_abroad_nobody_lies(big: NetnsTestbed) -> None:
    looks: list[list[object]] = [["names", "steppe-herald.org", "8.8.8.8"]]
    assert look(big, looks, where="abroad") == [f"NOERROR {big.addresses('steppe-herald.org')[0]}"]


def test_slowed_names_are_slow_and_others_are_not() -> None:
    names = ("policed.org", "shaped.org", "frozen.org", "free.org")
    sites = tuple(Site(name, page=Page("large")) for name in names)
    acts = (
        Slow("policed.org", "police", 16_000),
        Slow("shaped.org", "shape", 16_000),
        Slow("frozen.org", "freeze", 16_384),
    )
    with nation(*acts, sites=sites) as country:
        looks: list[list[object]] = [
            ["fetch", country.addresses(site.name)[0], site.name] for site in sites
        ]
        policed, shaped, frozen, free = look(country, looks)
    assert _rate(free) > 1_000_000
    assert frozen.startswith("frozen")
    assert int(frozen.split()[1]) < 20_000
    assert _rate(shaped) < 40_000
    assert policed.startswith("frozen") or _rate(policed) < 40_000


def _rate(fetched: str) -> float:
    """Bytes a second."""
    size, seconds = fetched.split()
    return int(size) / float(seconds)


def test_a_residual_block_follows_its_trigger() -> None:
    act = Hello("long-memory.org", "drop", residual=3)
    with nation(act, sites=(Site("long-memory.org"),)) as country:
        address = country.addresses("long-memory.org")[0]
        harmless: list[object] = ["tls", address, HARMLESS]
        assert look(country, [harmless]) == ["tls"]
        assert look(country, [["tls", address, "long-memory.org"]]) == ["silence"]
        assert look(country, [harmless]) == ["timeout"]
        time.sleep(4)
        assert look(country, [harmless]) == ["tls"]


def test_a_whitelist_lets_through_what_is_essential() -> None:
    sites = (Site("bank.kz", domestic=True, essential=True), Site("shop.kz", domestic=True))
    with nation(Nation("whitelist"), sites=sites) as country:
        looks: list[list[object]] = [
            ["step", country.addresses("bank.kz")[0], 443],
            ["step", country.addresses("shop.kz")[0], 443],
            ["step", country.addresses("www.iana.org")[0], 443],
            ["step", country.addresses("www.iana.org")[1], 443],
        ]
        assert look(country, looks) == ["open", "timeout", "timeout", "timeout"]


def test_a_foreign_cut_leaves_what_is_domestic() -> None:
    sites = (Site("shop.kz", domestic=True), Site("abroad.org"))
    with nation(Nation("foreign_cut"), sites=sites) as country:
        looks: list[list[object]] = [
            ["step", country.addresses(site.name)[0], 443] for site in sites
        ]
        assert look(country, looks) == ["open", "timeout"]


def test_a_portal_answers_for_everybody() -> None:
    with nation(Nation("captive_portal"), sites=(Site("any.org", plain="same"),)) as country:
        address = country.addresses("any.org")[0]
        found = look(country, [["web", address, "any.org"], ["step", address, 443]])
    assert plan.PORTAL_NAME in found[0]
    assert found[1] == "refused"


def test_hotel_dns_and_sold_names() -> None:
    with nation(Nation("hotel_dns")) as country:
        looks: list[list[object]] = [["names", "www.iana.org", "8.8.8.8"]]
        assert look(country, looks) == [f"NOERROR {plan.PORTAL}"]
    with nation(Nation("nxdomain_sold")) as country:
        looks = [["names", "nobody-has-this.org", SYSTEM], ["names", "nobody.org", "8.8.8.8"]]
        assert look(country, looks) == [f"NOERROR {plan.AD_PAGE}", "NXDOMAIN"]


def test_a_product_signs_for_everybody() -> None:
    with nation(Nation("everything_resigned")) as country:
        looks: list[list[object]] = [
            ["issuer", country.addresses(name)[0], name] for name in ("www.iana.org", "kaspi.kz")
        ]
        assert all("Guardian" in issuer for issuer in look(country, looks))


def test_stopped_helpers_are_silent() -> None:
    with nation(Nation("no_doh"), Nation("no_collector")) as country:
        looks: list[list[object]] = [
            ["names", "www.iana.org", "8.8.8.8"],
            ["step", "8.8.8.8", 443],
            ["step", plan.COLLECTOR, plan.COLLECTOR_PORT],
        ]
        found = look(country, looks)
    assert found[0].startswith("NOERROR")
    assert found[1:] == ["timeout", "timeout"]


def test_a_line_delays_and_limits() -> None:
    with NetnsTestbed([], line=SATELLITE) as country:
        address = country.addresses("www.iana.org")[0]
        look(country, [["names", "www.iana.org", SYSTEM]])  # neighbours are found, slowly
        began = time.monotonic()
        assert look(country, [["names", "www.iana.org", SYSTEM]])[0].startswith("NOERROR")
        assert time.monotonic() - began > 0.6
        size, seconds = look(country, [["fetch", address, "www.iana.org"]])[0].split()
    assert float(seconds) > 1.8
    assert int(size) > 100


def test_a_lossy_line_loses_packets_and_carries_pages() -> None:
    with NetnsTestbed([], line=LOSS_5) as country:
        looks: list[list[object]] = [["names", "www.iana.org", SYSTEM] for _ in range(150)]
        lost = look(country, looks).count("silence")
        address = country.addresses("www.iana.org")[0]
        assert look(country, [["tls", address, "www.iana.org"]]) in (["tls"], ["silence"])
    assert 2 <= lost <= 45  # 5% each way: 15 of 150 on average


def test_the_line_is_no_bottleneck_of_its_own() -> None:
    fast = LineSpec("fast", delay=0.002)
    big_site = next(each for each in catalogue() if each.name == "innocent.large")
    with NetnsTestbed([], line=fast, extra=big_site.sites) as country:
        address = country.addresses("whole-archive.org")[0]
        size, seconds = look(country, [["fetch", address, "whole-archive.org", 2_500_000]])[
            0
        ].split()
    assert int(size) > 1_000_000
    assert int(size) * 8 / float(seconds) > 20_000_000


def test_a_command_at_a_place_sees_that_place(big: NetnsTestbed) -> None:
    said = big.client(["sh", "-c", "cat /etc/resolv.conf; ip -o addr show eth0"])
    assert SYSTEM in said.stdout
    assert plan.CLIENT in said.stdout
    assert plan.ABROAD in big.abroad(["ip", "-o", "addr"]).stdout


def test_nothing_of_the_real_network_is_inside(big: NetnsTestbed) -> None:
    for where in ("client", "abroad", "internet", "censor"):
        links = big.run(where, ["ip", "-o", "link"]).stdout.splitlines()
        assert {line.split()[1].split("@")[0].rstrip(":") for line in links} <= {
            "lo", "eth0", "home", "uplink", "censor0", "abroad0"
        }  # fmt: skip


def test_a_command_that_hangs_is_ended(big: NetnsTestbed) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        big.client(["sleep", "60"], timeout=0.3)


def test_everything_goes_when_its_maker_is_killed() -> None:
    program = (
        "from probe.lab.testbed import Country; import time\n"
        "with Country([]) as c:\n"
        "    c.spawn('client', ['sleep', '1234567'])\n"
        "    print(c.folder, *c._places.values(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment()
    ) as maker:
        assert maker.stdout is not None
        folder, *pids = maker.stdout.readline().split()
        inside = [int(pid) for pid in pids]
        assert len(inside) == 4
        maker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in inside) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in inside)
    assert not Path(folder).exists()


def test_scenarios_of_two_lines_need_two_countries() -> None:
    lines = [each for each in catalogue() if each.name in {"lines.loss_1", "lines.loss_5"}]
    with pytest.raises(ValueError, match="a country each"):
        NetnsTestbed(lines)


def test_no_country_without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(country_module, "obstacle", lambda: "not here")
    with pytest.raises(country_module.NoNamespacesError, match="not here"), NetnsTestbed([]):
        pass


def test_settings_of_the_outside_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QAZPROBE_COLLECTOR", "https://real.example/")
    assert not [name for name in environment() if name.startswith("QAZPROBE_")]
    assert os.environ["PATH"] == environment()["PATH"]


def test_the_censor_changes_its_mind_midway() -> None:
    """Healthy, then one name, then everything, then healthy again: one country all the while."""
    with nation(sites=(Site("ordinary-day.org"),)) as country:
        ways: tuple[tuple[Interference, ...], ...] = (
            (),
            (Hello("ordinary-day.org", "reset"),),
            (Nation("outage"),),
            (),
        )
        seen = []
        address = country.addresses("ordinary-day.org")[0]
        for acts in ways:
            country.switch(*acts)
            seen += look(country, [["tls", address, "ordinary-day.org"]])
        assert seen == ["tls", "reset", "timeout", "tls"]
        with pytest.raises(CountryError, match="process of its own"):
            country.switch(Hello("ordinary-day.org", "alert"))
        with pytest.raises(CountryError, match="KeyError"):
            country.switch(Cut("nowhere.example", "drop"))
