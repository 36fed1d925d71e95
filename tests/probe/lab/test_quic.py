"""QUIC in the lab: the Initial parser, the filter rules, what sites advertise."""

import ssl
from dataclasses import replace

import dns.message
import pytest

pytest.importorskip("aioquic", reason="the extra [quic] is not installed")

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from hypothesis import given, strategies as st

from probe.lab import pages
from probe.lab.initial import Initials
from probe.lab.middlebox import dead_server_rules, rules
from probe.lab.names import Zone
from probe.lab.scenario import (
    WIRE,
    EchFilter,
    Interference,
    LabSite,
    Page,
    QuicFilter,
    Scenario,
    WholeLine,
)
from probe.lab.topology import Topology, build
from probe.net.ech import ENTROPY, client_hello, with_ech
from probe.net.hello import TlsContexts
from probe.reference_data import whoami_names


def first_flight(name: str | None) -> list[bytes]:
    settings = QuicConfiguration(server_name=name, verify_mode=ssl.CERT_NONE)
    client = QuicConnection(configuration=settings)
    client.connect(("192.0.2.1", 443), 0.0)
    return [data for data, _ in client.datagrams_to_send(0.0)]


def test_the_name_is_read_from_a_clients_first_flight() -> None:
    initials = Initials()
    assert [initials.handle(data) for data in first_flight("example-site.org")][
        -1
    ] == "example-site.org"


def test_a_flight_without_a_name_has_none() -> None:
    initials = Initials()
    assert {initials.handle(data) for data in first_flight(None)} == {None}


@given(st.binary(max_size=300))
def test_bytes_that_are_no_initial_have_no_name(data: bytes) -> None:
    assert Initials().handle(data) is None
    assert Initials().handle(b"\xc3\0\0\0\1" + data) is None


SITE = LabSite("example-site.org", ipv6=True, quic="up")


def topology_of(*interferences: Interference, site: LabSite = SITE) -> Topology:
    return build([Scenario("test", (site,), (), interferences)], WIRE)


def lines(*interferences: Interference, v6: bool = False) -> list[str]:
    fixed = rules(topology_of(), v6=v6).splitlines()
    return [
        line for line in rules(topology_of(*interferences), v6=v6).splitlines() if line not in fixed
    ]


def test_quic_filters_leave_tcp_alone() -> None:
    (dropped,) = lines(QuicFilter(SITE.name, "drop"))
    (refused,) = lines(QuicFilter(SITE.name, "refuse"))
    (redirected,) = lines(QuicFilter(SITE.name, "drop_name"))
    assert all("-p udp --dport 443" in line for line in (dropped, refused, redirected))
    assert dropped.endswith("-j DROP")
    assert refused.endswith("--reject-with icmp-port-unreachable")
    assert redirected.endswith("--to-ports 20000")
    assert "icmp6-port-unreachable" in lines(QuicFilter(SITE.name, "refuse"), v6=True)[0]
    assert "-p udp --dport 443 -j DROP" in lines(WholeLine("no_quic"))[0]
    assert "--dport 443 -j DROP" in dead_server_rules(topology_of(site=replace(SITE, quic="mute")))


def test_an_ech_filter_matches_any_name() -> None:
    (line,) = lines(EchFilter(SITE.name))
    assert "fe0d00fa0000010001" in line
    hello = with_ech(client_hello(TlsContexts().get("default"), "any.example"), bytes(ENTROPY))
    assert bytes.fromhex("fe0d00fa0000010001") in hello


def answered(site: LabSite, name: str, kind: str) -> str:
    reply = Zone(topology_of(site=site)).answer(dns.message.make_query(name, kind), "8.8.8.8")
    assert reply is not None
    return " ".join(str(each) for rrset in reply.answer for each in rrset)


def test_a_site_with_quic_advertises_it_in_dns_and_http() -> None:
    assert 'alpn="h3,h2"' in answered(SITE, SITE.name, "HTTPS")
    assert answered(replace(SITE, quic="no"), SITE.name, "HTTPS") == ""
    page = pages.answer(SITE, Page(), "/")
    assert dict(pages.with_alt_svc(page, SITE).headers)["Alt-Svc"].startswith("h3=")
    assert "Alt-Svc" not in dict(pages.with_alt_svc(page, replace(SITE, quic="no")).headers)


def test_a_whoami_name_returns_the_address_of_the_resolver() -> None:
    assert answered(SITE, whoami_names()[0], "A") == "8.8.8.8"
