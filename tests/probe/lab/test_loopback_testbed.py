"""The testbed on loopback, with real sockets and no namespaces."""

import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from probe.lab import addresses as plan
from probe.lab.catalogue import catalogue
from probe.lab.loopback_testbed import LoopbackTestbed, to_loopback
from tests.probe.lab import socket_checks


@pytest.fixture(scope="module")
def testbed() -> Iterator[LoopbackTestbed]:
    with LoopbackTestbed(catalogue()) as testbed:
        yield testbed


def at(testbed: LoopbackTestbed, name: str) -> str:
    return to_loopback(testbed.topology.addresses_of(name)[0])


def test_at_least_twenty_scenarios_can_run() -> None:
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
def test_interference_depends_on_the_name_in_the_hello(
    testbed: LoopbackTestbed, name: str, here: str
) -> None:
    port = testbed.ports[0]
    assert socket_checks.tls(at(testbed, name), name, port) == here
    assert socket_checks.tls(at(testbed, name), "www.example.com", port) == "tls"


def test_interception_reaches_the_real_site_at_its_uncensored_port(
    testbed: LoopbackTestbed,
) -> None:
    name = "opened-letters.com"
    assert "Security Certificate" in socket_checks.issuer(at(testbed, name), name, testbed.ports[0])
    fetched = socket_checks.fetch(at(testbed, name), name, 10_000, testbed.ports[0])
    assert int(fetched.split()[0]) >= 10_000


def test_plain_http_is_filtered(testbed: LoopbackTestbed) -> None:
    port = testbed.ports[1]
    assert socket_checks.web(at(testbed, "plain-torn.org"), "plain-torn.org", "/", port) == "reset"
    page = socket_checks.web(at(testbed, "replaced-page.org"), "replaced-page.org", "/", port)
    assert "ограничен" in page
    away = socket_checks.web(at(testbed, "sent-away.org"), "sent-away.org", "/", port)
    assert f"{plan.BLOCK_PAGE_NAME}:{port}" in away


def names(testbed: LoopbackTestbed, name: str, resolver: str) -> str:
    host, port = resolver.split(":")
    return socket_checks.names(name, host, "A", int(port))


def test_dns_answers_are_forged_and_lead_to_loopback_only(testbed: LoopbackTestbed) -> None:
    true = f"NOERROR {at(testbed, 'exile-voices.org')}"
    false = f"NOERROR {to_loopback(plan.BLOCK_PAGE)}"
    assert names(testbed, "exile-voices.org", testbed.resolver) == f"{false}|{true}"
    assert names(testbed, "steppe-herald.org", testbed.other_resolver) == "NXDOMAIN"
    assert names(testbed, "miners-union.info", testbed.resolver).startswith("NOERROR 127.")


def test_the_censor_can_be_switched_off(testbed: LoopbackTestbed) -> None:
    testbed.censor(on=False)
    try:
        name = "torn-letter.org"
        assert socket_checks.tls(at(testbed, name), name, testbed.ports[0]) == "tls"
        assert names(testbed, "steppe-herald.org", testbed.resolver).startswith("NOERROR")
    finally:
        testbed.censor(on=True)


def test_urls_have_the_ports_of_the_testbed(testbed: LoopbackTestbed) -> None:
    assert all(urlsplit(url).port in testbed.ports for url in testbed.urls())
    assert all(testbed.expect(url).url == url for url in testbed.urls())
    options = testbed.options()
    assert options["QAZPROBE_RESOLVER"] == testbed.resolver
    assert all(urlsplit(url).port for url in options["QAZPROBE_ANCHORS"].split(","))


def test_a_command_is_run_and_ended(testbed: LoopbackTestbed) -> None:
    assert testbed.run("client", ["echo", "here"]).stdout == "here\n"
    process = testbed.spawn("client", ["sleep", "60"])
    assert process.poll() is None


def test_everything_is_closed_with_the_testbed() -> None:
    with LoopbackTestbed(catalogue()) as testbed:
        url = f"http://{to_loopback(plan.BLOCK_PAGE)}:{testbed.ports[1]}/"
        folder = testbed.folder
        with urllib.request.urlopen(url) as page:
            assert page.status == 200
    assert not folder.exists()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)
