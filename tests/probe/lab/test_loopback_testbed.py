"""The street on real sockets of loopback: what can be played without any namespace."""

import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from probe.lab import addresses as plan
from probe.lab.catalogue import catalogue
from probe.lab.loopback_testbed import LoopbackTestbed, to_loopback
from tests.probe.lab import looks


@pytest.fixture(scope="module")
def street() -> Iterator[LoopbackTestbed]:
    with LoopbackTestbed(catalogue()) as opened:
        yield opened


def at(street: LoopbackTestbed, name: str) -> str:
    return to_loopback(street.world.addresses_of(name)[0])


def test_twenty_scenarios_and_more_can_be_played() -> None:
    assert len(LoopbackTestbed(catalogue()).scenarios) >= 20


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("ordinary-day.org", "tls"),
        ("silent-hello.org", "silence"),
        ("torn-letter.org", "reset"),
        ("polite-goodbye.org", "fin"),
        ("formal-refusal.org", "alert 40"),
    ],
)
def test_the_name_in_a_hello_decides(street: LoopbackTestbed, name: str, here: str) -> None:
    port = street.ports[0]
    assert looks.tls(at(street, name), name, port) == here
    assert looks.tls(at(street, name), "www.example.com", port) == "tls"


def test_interception_reaches_the_real_site_by_its_back_door(street: LoopbackTestbed) -> None:
    name = "opened-letters.com"
    assert "Security Certificate" in looks.issuer(at(street, name), name, street.ports[0])
    fetched = looks.fetch(at(street, name), name, 10_000, street.ports[0])
    assert int(fetched.split()[0]) >= 10_000


def test_plain_http_is_acted_upon(street: LoopbackTestbed) -> None:
    port = street.ports[1]
    assert looks.web(at(street, "plain-torn.org"), "plain-torn.org", "/", port) == "reset"
    page = looks.web(at(street, "replaced-page.org"), "replaced-page.org", "/", port)
    assert "ограничен" in page
    away = looks.web(at(street, "sent-away.org"), "sent-away.org", "/", port)
    assert f"{plan.BLOCK_PAGE_NAME}:{port}" in away


def names(street: LoopbackTestbed, name: str, resolver: str) -> str:
    host, port = resolver.split(":")
    return looks.names(name, host, "A", int(port))


def test_names_are_lied_about_and_lead_to_loopback_only(street: LoopbackTestbed) -> None:
    true = f"NOERROR {at(street, 'exile-voices.org')}"
    false = f"NOERROR {to_loopback(plan.BLOCK_PAGE)}"
    assert names(street, "exile-voices.org", street.resolver) == f"{false}|{true}"
    assert names(street, "steppe-herald.org", street.other_resolver) == "NXDOMAIN"
    assert names(street, "miners-union.info", street.resolver).startswith("NOERROR 127.")


def test_the_censor_can_be_switched_off(street: LoopbackTestbed) -> None:
    street.censor(on=False)
    try:
        name = "torn-letter.org"
        assert looks.tls(at(street, name), name, street.ports[0]) == "tls"
        assert names(street, "steppe-herald.org", street.resolver).startswith("NOERROR")
    finally:
        street.censor(on=True)


def test_urls_carry_the_ports_of_the_street(street: LoopbackTestbed) -> None:
    assert all(urlsplit(url).port in street.ports for url in street.urls())
    assert all(street.expect(url).url == url for url in street.urls())
    options = street.options()
    assert options["QAZPROBE_RESOLVER"] == street.resolver
    assert all(urlsplit(url).port for url in options["QAZPROBE_ANCHORS"].split(","))


def test_a_command_is_run_and_ended(street: LoopbackTestbed) -> None:
    assert street.run("client", ["echo", "here"]).stdout == "here\n"
    process = street.spawn("client", ["sleep", "60"])
    assert process.poll() is None


def test_everything_is_closed_with_the_street() -> None:
    with LoopbackTestbed(catalogue()) as opened:
        url = f"http://{to_loopback(plan.BLOCK_PAGE)}:{opened.ports[1]}/"
        folder = opened.folder
        with urllib.request.urlopen(url) as page:
            assert page.status == 200
    assert not folder.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)
