"""RIPE Atlas's results as records. Every result here is of this project's making."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from probe import codec
from probe.certificates.roots import Roots
from probe.failure import Failure
from probe.interop.atlas import places
from probe.interop.atlas.dns_steps import Questions
from probe.interop.atlas.places import AtlasPlace
from probe.interop.atlas.to_record import AtlasError, OtherKindError, to_record
from probe.judge import judge
from probe.lab import pki
from probe.model import Dns, Outcome, Record, Tcp, Tls, TrustReason

NOW = datetime(2024, 2, 3, tzinfo=UTC)
ROOT = pki.root("CN=Test Root", now=NOW)
ADDRESS = "93.184.216.34"
BASE: dict[str, Any] = {
    "af": 4,
    "from": "203.0.113.9",
    "src_addr": "192.168.1.5",
    "fw": 5080,
    "lts": 12,
    "msm_id": 77,
    "prb_id": 123,
    "timestamp": int(NOW.timestamp()),
}
SSLCERT: dict[str, Any] = {
    **BASE,
    "type": "sslcert",
    "msm_name": "SSLCert",
    "method": "TLS",
    "dst_name": "Site.example.",
    "dst_addr": ADDRESS,
    "dst_port": "443",
    "ver": "1.2",
    "rt": 120.5,
    "ttc": 50.0,
}
DNS: dict[str, Any] = {**BASE, "type": "dns", "msm_id": 78}


def pem(*ders: bytes) -> list[str]:
    return [
        "-----BEGIN CERTIFICATE-----\n"
        + base64.b64encode(der).decode()
        + "\n-----END CERTIFICATE-----"
        for der in ders
    ]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    file = tmp_path_factory.mktemp("roots") / "root.pem"
    file.write_bytes(ROOT.pem)
    return Roots.file(file)


def chain(names: list[str], authority: pki.CertificateAuthority = ROOT) -> list[str]:
    served = pki.leaf(authority, names, now=NOW).chain.decode()
    return [f"{one}-----END CERTIFICATE-----" for one in served.split("-----END CERTIFICATE-----")][
        :-1
    ]


def abuf(name: str, *answers: str, rcode: int = 0, type_: str = "A") -> str:
    reply = dns.message.make_response(dns.message.make_query(name, type_))
    reply.set_rcode(dns.rcode.Rcode(rcode))
    if answers:
        reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", type_, *answers))
    return base64.b64encode(reply.to_wire()).decode()


def read(content: object, roots: Roots | None = None, **more: Any) -> Record:
    made = to_record(content, roots=roots or Roots.mozilla(), **more)
    assert codec.decode(codec.encode(made)) == made
    return made


def test_a_handshake_becomes_two_steps_with_the_chain_judged_at_its_time(roots: Roots) -> None:
    made = read({**SSLCERT, "cert": chain(["site.example"])}, roots)
    assert (made.experiment, made.input) == ("mitm", "https://site.example/")
    assert made.started_at == "2024-02-03T00:00:00Z"
    assert made.origin == "atlas"
    tcp, tls = made.steps
    assert isinstance(tcp, Tcp)
    assert isinstance(tls, Tls)
    assert (tcp.address, tcp.port, tcp.elapsed) == (ADDRESS, 443, 0.05)
    assert (tls.parent, tls.sni, tls.version, tls.failure) == (1, "site.example", "TLSv1.2", None)
    assert tls.at + tls.elapsed == pytest.approx(0.1205)
    assert tls.trust is not None
    assert tls.trust.valid
    assert set(tls.chain) == set(made.certs)
    late = int((NOW + timedelta(days=3650)).timestamp())
    old = read({**SSLCERT, "cert": chain(["site.example"]), "timestamp": late}, roots).steps[1]
    assert isinstance(old, Tls)
    assert old.trust is not None
    assert old.trust.reason is TrustReason.EXPIRED


def test_a_chain_of_an_unknown_authority_is_kept_and_accuses_nobody(roots: Roots) -> None:
    other = pki.root("CN=Some Interceptor", now=NOW)
    made = read({**SSLCERT, "cert": chain(["site.example"], other)}, roots)
    tls = made.steps[1]
    assert isinstance(tls, Tls)
    assert tls.trust is not None
    assert tls.trust.reason is TrustReason.UNKNOWN_AUTHORITY
    # One look without a control and without another name proves nothing.
    assert judge(made).outcome is Outcome.INCONCLUSIVE


def test_addresses_of_a_probe_are_nowhere_in_its_record() -> None:
    results: list[dict[str, Any]] = [
        {**SSLCERT, "err": "connect: timeout 203.0.113.9"},
        {**SSLCERT, "err": "bad 2001:db8::1"},
        {**DNS, "resultset": [{"dst_addr": "192.168.1.5", "result": {"abuf": abuf("a.example")}}]},
    ]
    for one in results:
        text = codec.encode(read(one)).decode()
        for address in ("203.0.113.9", "192.168.1.5", "2001:db8"):
            assert address not in text


@pytest.mark.parametrize(
    ("more", "op", "failure", "alert"),
    [
        ({"err": "connect: timeout"}, Tcp, Failure.TIMEOUT, None),
        ({"err": "connect: Connection refused"}, Tcp, Failure.REFUSED, None),
        ({"err": "connect: Connection reset by peer"}, Tcp, Failure.RESET, None),
        ({"err": "connect: Something new"}, Tcp, Failure.UNKNOWN, None),
        ({"err": "timeout reading hello"}, Tls, Failure.TIMEOUT, None),
        ({"err": "timeout reading certificates"}, Tls, Failure.UNKNOWN, None),
        ({"alert": {"level": 2, "description": 112}}, Tls, Failure.SSL_HANDSHAKE, 112),
        ({"alert": {"level": 2, "decription": 40}}, Tls, Failure.SSL_HANDSHAKE, 40),
        ({}, Tls, Failure.UNKNOWN, None),
        ({"dst_addr": None, "dnserr": "non-recoverable failure"}, Dns, Failure.UNKNOWN, None),
    ],
)
def test_failures_are_classified_by_the_words_of_the_firmware_alone(
    more: dict[str, Any], op: type[Any], failure: Failure, alert: int | None
) -> None:
    made = read({**SSLCERT, **more})
    last = made.steps[-1]
    assert isinstance(last, op)
    assert last.failure is failure
    assert getattr(last, "alert", None) == alert
    # A line of which a controller was heard is not offline, and one look is no accusation.
    assert judge(made).outcome is Outcome.INCONCLUSIVE
    assert judge(made).mechanisms == ()


def test_an_answer_of_a_named_resolver_has_its_address() -> None:
    answer = {"dst_addr": "8.8.8.8", "proto": "UDP", "result": {"rt": 33.1}}
    answer["result"] = {"rt": 33.1, "abuf": abuf("Site.example", ADDRESS)}
    made = read({**DNS, **answer})
    assert made.input == "https://site.example/"
    (step,) = made.steps
    assert isinstance(step, Dns)
    assert (step.name, step.type, step.resolver) == ("site.example", "A", "8.8.8.8")
    assert (step.addresses, step.failure, step.transport) == ((ADDRESS,), None, "udp")
    assert step.replies[0].at == pytest.approx(0.0331)


@pytest.mark.parametrize(
    ("rcode", "failure"),
    [(0, Failure.DNS_NO_ANSWER), (2, Failure.DNS_SERVFAIL), (3, Failure.DNS_NXDOMAIN)],
)
def test_a_set_asks_the_resolvers_of_the_probe(rcode: int, failure: Failure) -> None:
    rows = [
        {"dst_addr": "192.168.1.1", "proto": "UDP", "result": {"abuf": abuf("a.example")}},
        {"dst_addr": "5.6.7.8", "proto": "TCP", "result": {"abuf": abuf("a.example", rcode=rcode)}},
        {"dst_addr": "1.1.1.1", "dst_port": "853", "error": {"timeout": 5000}},
    ]
    one, two, three = read({**DNS, "resultset": rows}).steps
    assert isinstance(one, Dns)
    assert isinstance(two, Dns)
    assert isinstance(three, Dns)
    assert (one.resolver, one.nearby, one.id) == ("system", True, 1)
    assert (two.resolver, two.nearby, two.transport, two.failure) == (
        "system", False, "tcp", failure,
    )  # fmt: skip
    assert (three.resolver, three.transport, three.failure) == ("1.1.1.1", "dot", Failure.TIMEOUT)


def test_a_query_without_a_reply_has_the_question_of_its_measurement() -> None:
    silent = {**DNS, "dst_addr": "8.8.8.8", "error": {"timeout": 5000}}
    with pytest.raises(AtlasError, match="what was asked is not in it"):
        read(silent)
    questions = Questions()
    read({**DNS, "dst_addr": "8.8.8.8", "result": {"abuf": abuf("a.example")}}, questions=questions)
    made = read(silent, questions=questions)
    assert made.input == "https://a.example/"
    assert made.steps[0].failure is Failure.TIMEOUT
    # A measurement that asks each probe something else teaches nothing.
    read({**DNS, "dst_addr": "8.8.8.8", "result": {"abuf": abuf("b.example")}}, questions=questions)
    with pytest.raises(AtlasError, match="what was asked is not in it"):
        read(silent, questions=questions)
    query = base64.b64encode(dns.message.make_query("c.example", "AAAA").to_wire()).decode()
    assert read({**silent, "qbuf": query}).input == "https://c.example/"


def test_places_are_those_beside_the_result_or_of_the_list() -> None:
    listed = places.read(
        json.dumps(
            {"objects": [{"id": 123, "asn_v4": 9198, "asn_v6": 1, "country_code": "kz", "x": []}]}
        ).encode()
    )
    made = read({**SSLCERT, "err": "x"}, known=listed)
    assert (made.vantage.country, made.vantage.asn) == ("KZ", 9198)
    six = read({**SSLCERT, "err": "x", "af": 6}, known=listed)
    assert (six.vantage.country, six.vantage.asn) == ("KZ", 1)
    own = read({**SSLCERT, "err": "x", "asn_v4": 5, "country_code": "DE"}, known=listed)
    assert (own.vantage.country, own.vantage.asn) == ("DE", 5)
    nowhere = read({**SSLCERT, "err": "x"}, known={9: AtlasPlace(1, 1, "KZ")})
    assert (nowhere.vantage.country, nowhere.vantage.asn) == (None, None)
    assert places.read(b'[{"id": 1}]') == {1: AtlasPlace()}
    with pytest.raises(ValueError, match=r"."):
        places.read(b'{"objects": [{"asn_v4": 1}]}')


def test_the_same_result_has_the_same_id() -> None:
    one, same = read({**SSLCERT, "err": "x"}), read({**SSLCERT, "err": "x", "stored_timestamp": 1})
    other = read({**SSLCERT, "err": "x", "prb_id": 124})
    assert one.id == same.id != other.id
    assert one.run == other.run


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], "no result of RIPE Atlas"),
        ({"type": "sslcert"}, "missing required field"),
        ({**SSLCERT, "timestamp": "x"}, "timestamp"),
        ({**SSLCERT, "timestamp": 2**60}, "timestamp"),
        ({**SSLCERT, "cert": ["x"]}, "certificate 1 is no PEM"),
        ({**SSLCERT, "cert": ["a"] * 17}, "cert"),
        ({**SSLCERT, "dst_port": "99999"}, "dst_port is no port"),
        ({**SSLCERT, "dst_name": "no name!"}, "its target is no name"),
        ({**SSLCERT, "dst_name": None, "dst_addr": None}, "dst_name and dst_addr are missing"),
        ({**SSLCERT, "dst_name": "1.2.3.4", "dst_addr": None}, "dst_addr is missing"),
        ({**DNS, "result": {"abuf": "!"}}, "what was asked is not in it"),
        ({**DNS, "resultset": []}, "what was asked is not in it"),
    ],
)
def test_other_files_are_refused_in_one_line(content: object, reason: str) -> None:
    with pytest.raises(AtlasError, match=reason) as error:
        read(content)
    assert "\n" not in str(error.value)


def test_other_measurements_are_left_out() -> None:
    with pytest.raises(OtherKindError, match="ping"):
        read({**BASE, "type": "ping"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(
    st.sampled_from([SSLCERT, {**DNS, "result": {"abuf": abuf("a.example", ADDRESS)}}]),
    st.dictionaries(
        st.sampled_from(
            [*SSLCERT, "cert", "err", "dnserr", "alert", "result", "resultset", "qbuf"]
        ),
        _JSON
        | st.binary(max_size=80).map(lambda data: {"abuf": base64.b64encode(data).decode()})
        | st.binary(max_size=80).map(pem),
        max_size=4,
    ),
)
@settings(max_examples=500, deadline=None)
def test_anything_becomes_a_record_within_bounds_or_one_reason(
    whole: dict[str, Any], changed: dict[str, Any]
) -> None:
    try:
        made = to_record({**whole, **changed}, roots=Roots.mozilla())
    except AtlasError:
        return
    assert codec.decode(codec.encode(made)) == made
    assert judge(made).outcome not in {Outcome.BLOCKED, Outcome.INTERCEPTED}
    assert msgspec.json.encode(made)
