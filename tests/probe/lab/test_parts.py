"""Parts of the lab that need no network."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import dns.message
import dns.rcode
import pytest
from cryptography import x509
from hypothesis import given, strategies as st

from probe.lab import loopback_testbed, names, pages
from probe.lab.hello import (
    is_whole,
    offers_alpn,
    offers_only_tls13,
    pattern,
    server_name,
)
from probe.lab.line import Direction
from probe.lab.pki import Pki, forge_2019, forge_2021
from probe.lab.scenario import WIRE, CertificateKind, LabSite, LineSpec, Page, Scenario
from probe.lab.topology import build

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def client_hello(
    name: str | None,
    alpn: Sequence[str] = (),
    least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = least
    if alpn:
        context.set_alpn_protocols(list(alpn))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    machine = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        machine.do_handshake()
    return out.read()


def test_the_name_of_a_real_hello_is_parsed_and_matched_by_the_pattern() -> None:
    hello = client_hello("example-site.org")
    assert server_name(hello) == "example-site.org"
    assert is_whole(hello)
    assert not is_whole(hello[:100])
    assert bytes.fromhex("000010") + b"example-site.org" in hello
    assert pattern("example-site.org") == "|000010|example-site.org"
    assert server_name(client_hello(None)) is None


def test_alpn_and_versions_of_a_hello_are_parsed() -> None:
    assert not offers_alpn(client_hello("a.example"))
    assert offers_alpn(client_hello("a.example", alpn=["h2"]))
    assert not offers_only_tls13(client_hello("a.example"))
    assert offers_only_tls13(client_hello("a.example", least=ssl.TLSVersion.TLSv1_3))
    for junk in (b"", b"GET / HTTP/1.1", client_hello("a.example")[:80]):
        assert not offers_alpn(junk)
        assert not offers_only_tls13(junk)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_hello_have_no_name(data: bytes) -> None:
    assert server_name(data) is None


@given(st.integers(0, 500))
def test_a_truncated_hello_has_its_name_or_none(size: int) -> None:
    assert server_name(client_hello("example-site.org")[:size]) in {None, "example-site.org"}


def chain(kind: CertificateKind) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(Pki(NOW).serve(kind, ("a.org",)).chain)


def test_faulty_certificates_have_the_fault_of_their_kind() -> None:
    assert len(chain("trusted")) == 2
    assert len(chain("incomplete")) == 1
    assert chain("expired")[0].not_valid_after_utc < NOW
    assert chain("not_yet_valid")[0].not_valid_before_utc > NOW
    (self_signed,) = chain("self_signed")
    assert self_signed.issuer == self_signed.subject
    assert "a.org" not in str(chain("wrong_name")[0].extensions)
    assert "Russian Trusted" in chain("national")[0].issuer.rfc4514_string()


def test_a_leaf_is_signed_by_its_intermediate_and_that_by_a_root() -> None:
    pki = Pki(NOW)
    leaf, above = x509.load_pem_x509_certificates(pki.serve("trusted", ("a.org",)).chain)
    leaf.verify_directly_issued_by(above)
    above.verify_directly_issued_by(pki.first_root.certificate)
    assert pki.roots_pem.count(b"BEGIN CERTIFICATE") == 2


def test_forgeries_copy_the_fields_of_their_year() -> None:
    pki = Pki(NOW)
    (real, _) = x509.load_pem_x509_certificates(pki.serve("trusted", ("a.org",)).chain)
    old = x509.load_pem_x509_certificates(forge_2019(pki.interceptor_2019, real).chain)[0]
    new = x509.load_pem_x509_certificates(forge_2021(pki.interceptor_2021, real).chain)[0]
    assert old.subject == new.subject == real.subject
    assert (real.not_valid_after_utc - old.not_valid_after_utc).total_seconds() == 21_600
    assert new.not_valid_after_utc == real.not_valid_after_utc
    assert old.serial_number >> 32 == real.serial_number >> 32
    assert len(list(old.extensions)) == 1
    assert old.issuer.rfc4514_string() == "CN=Security Certificate,C=KZ"


def zone_of(*sites: LabSite) -> names.Zone:
    return names.Zone(build([Scenario("test", sites, ())], WIRE))


def ask(zone: names.Zone, name: str, kind: str = "A", resolver: str = "8.8.8.8") -> str:
    reply = zone.answer(dns.message.make_query(name, kind), resolver)
    if reply is None:
        return "silence"
    found = " ".join(str(each) for rrset in reply.answer for each in rrset)
    return f"{dns.rcode.to_text(reply.rcode())} {found}".strip()


def test_the_zone_answers_every_kind_of_name() -> None:
    zone = zone_of(
        LabSite("up.org", ipv6=True),
        LabSite("none.org", resolves="nodata"),
        LabSite("mute.org", resolves="silent"),
        LabSite("lame.org", resolves="servfail"),
        LabSite("alias.org", resolves="cname_nowhere"),
        LabSite("cdn.org", addresses=6, spread=True),
    )
    assert ask(zone, "up.org").startswith("NOERROR 45.130.")
    assert ask(zone, "WWW.UP.org").startswith("NOERROR 45.130.")
    assert ask(zone, "up.org", "AAAA").startswith("NOERROR 2a0d:5600:")
    assert ask(zone, "up.org", "TXT") == "NOERROR"
    assert ask(zone, "none.org") == "NOERROR"
    assert ask(zone, "mute.org") == "silence"
    assert ask(zone, "lame.org") == "SERVFAIL"
    assert ask(zone, "alias.org") == "NOERROR gone.alias.org."
    assert ask(zone, "nobody.org") == "NXDOMAIN"
    assert "8.8.8.8" in ask(zone, "dns.google")
    answers = {ask(zone, "cdn.org", resolver=each) for each in ("8.8.8.8", "1.1.1.1", "9.9.9.9")}
    assert len(answers) > 1


@given(st.binary(max_size=200))
def test_garbage_is_no_query(data: bytes) -> None:
    query = names.parse(data)
    assert query is None or query.question


@pytest.mark.parametrize("kind", ["news", "small", "untitled", "challenge", "legal", "unavailable"])
def test_pages_are_http(kind: str) -> None:
    page = Page(kind)  # type: ignore[arg-type]
    head, _, body = pages.encode(pages.answer(LabSite("a.org"), page, "/")).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_front_page_has_a_realistic_size_and_changes() -> None:
    one, two = (pages.answer(LabSite("a.org"), Page(), "/").body for _ in range(2))
    assert 10_000 < len(one) < 100_000
    assert one != two
    assert one[-5000:] == two[-5000:]


def test_redirects_get_the_ports_of_the_testbed() -> None:
    redirect = pages.with_ports(pages.redirect("https://a.org/x", 301), 8443, 8080)
    assert ("Location", "https://a.org:8443/x") in redirect.headers
    assert pages.with_port("http://a.org/", 8443, 8080) == "http://a.org:8080/"
    assert pages.with_port("/relative", 8443, 8080) == "/relative"
    assert pages.with_port("https://a.org:1/", 8443, 8080) == "https://a.org:1/"


def direction(**spec: float) -> Direction:
    return Direction(LineSpec("test", **spec), Random(1))  # type: ignore[arg-type]


def test_a_rate_spaces_frames_and_a_full_queue_drops_them() -> None:
    direction_ = direction(rate=8000, queue=3000)
    assert [direction_.arrival(1000, 0.0) for _ in range(5)] == [1.0, 2.0, 3.0, 4.0, None]
    assert direction_.arrival(1000, 4.0) == 5.0


def test_a_delay_is_added_and_jitter_does_not_reorder() -> None:
    assert direction(delay=0.3).arrival(1500, 1.0) == 1.3
    direction_ = direction(delay=0.01, jitter=0.05)
    arrivals = [direction_.arrival(100, at / 1000) or 0 for at in range(200)]
    assert arrivals == sorted(arrivals)


def test_loss_is_as_specified() -> None:
    direction_ = direction(loss=0.05)
    lost = sum(direction_.arrival(100, 0.0) is None for _ in range(10_000))
    assert 400 < lost < 600


def test_cross_traffic_takes_its_share_in_bursts() -> None:
    direction_ = direction(rate=1_000_000, cross=0.9, queue=10_000_000)
    last = max(direction_.arrival(1250, at / 100) or 0 for at in range(1000))
    assert last > 10.05  # at 10 ms each nothing waits without cross traffic


def test_every_address_maps_to_loopback() -> None:
    assert loopback_testbed.to_loopback("45.130.1.34") == "127.45.1.34"
    assert loopback_testbed.from_loopback("127.45.1.34") == "45.130.1.34"
    assert (
        loopback_testbed.from_loopback(loopback_testbed.to_loopback("92.46.180.80"))
        == "92.46.180.80"
    )
    assert loopback_testbed.to_loopback("10.10.34.34").startswith("127.")
    assert loopback_testbed.to_loopback("8.8.8.8").startswith("127.")
