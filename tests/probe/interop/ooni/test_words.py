"""The words of both projects, and that nothing changes on the way there and back."""

import ssl

import pytest
from hypothesis import given, strategies as st

from probe.failure import Failure
from probe.interop.ooni import suites, words
from probe.model import Mechanism, Outcome, TrustReason, Verdict


@pytest.mark.parametrize("failure", Failure)
def test_our_failures_are_ooni_s_words(failure: Failure) -> None:
    assert words.to_ooni(failure) == failure.value
    assert words.from_ooni(failure.value) == (failure, None)


def test_a_failure_without_a_word_keeps_its_detail() -> None:
    there = words.to_ooni(Failure.UNKNOWN, "OSError 77")
    assert there == "unknown_failure: OSError 77"
    assert words.from_ooni(there) == (Failure.UNKNOWN, "OSError 77")
    assert words.to_ooni(Failure.RESET, "errno 104") == "connection_reset"
    assert words.to_ooni(None) is None


@pytest.mark.parametrize("success", [None, False, ""])
def test_no_failure_has_three_forms_in_old_measurements(success: words.ForeignFailure) -> None:
    assert words.from_ooni(success) == (None, None)


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        ("connection_refused_error", Failure.REFUSED),
        ("dns_name_error", Failure.DNS_NXDOMAIN),
        ("dns_server_failure", Failure.DNS_MISBEHAVING),
        ("tcp_timed_out_error", Failure.TIMEOUT),
        ("ssl_unknown_autority", Failure.SSL_AUTHORITY),
        ("connect_error", Failure.UNKNOWN),
        ("android_dns_cache_no_data", Failure.UNKNOWN),
        ("dns_bogon_error", Failure.UNKNOWN),
        ("a word of next year", Failure.UNKNOWN),
    ],
)
def test_a_word_that_is_not_ours_stays_in_the_detail(foreign: str, ours: Failure) -> None:
    assert words.from_ooni(foreign) == (ours, foreign)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("dial tcp [scrubbed]: connect: network is unreachable", Failure.NETWORK_UNREACHABLE),
        ("lookup x.example: no such host", Failure.DNS_NXDOMAIN),
        ("remote error: tls: handshake failure", Failure.SSL_HANDSHAKE),
        ("something else", Failure.UNKNOWN),
    ],
)
def test_what_an_old_probe_could_only_describe(text: str, ours: Failure) -> None:
    assert words.from_ooni(f"unknown_failure: {text}") == (ours, text)


@given(st.one_of(st.text(), st.booleans(), st.none()))
def test_any_foreign_word_has_a_bounded_answer(foreign: words.ForeignFailure) -> None:
    failure, detail = words.from_ooni(foreign)
    assert (failure is None) == (not foreign)
    assert len(detail or "") <= words.DETAIL


@pytest.mark.parametrize(
    ("layer", "failure", "word"),
    [
        ("dns", Failure.DNS_NXDOMAIN, "dns_name_error"),
        ("dns", Failure.DNS_NO_ANSWER, None),
        ("dns", Failure.DNS_REFUSED, "dns_server_failure"),
        ("dns", Failure.DNS_SERVFAIL, "unknown_error"),
        ("dns", Failure.TIMEOUT, "unknown_error"),
        ("tcp", Failure.REFUSED, "connection_refused_error"),
        ("tcp", Failure.TIMEOUT, "generic_timeout_error"),
        ("tcp", Failure.HOST_UNREACHABLE, "connect_error"),
        ("http", Failure.DNS_NXDOMAIN, "dns_lookup_error"),
        ("http", Failure.RESET, "unknown_error"),
        ("http", Failure.TIMEOUT, "generic_timeout_error"),
        ("tcp", None, None),
    ],
)
def test_the_helper_s_words(layer: words.Layer, failure: Failure | None, word: str | None) -> None:
    assert words.to_legacy(layer, failure) == word


@pytest.mark.parametrize("layer", ["dns", "tcp", "http"])
@pytest.mark.parametrize("failure", Failure)
def test_a_helper_s_word_says_failed_here_too(layer: words.Layer, failure: Failure) -> None:
    word = words.to_legacy(layer, failure)
    said_nothing = layer == "dns" and failure is Failure.DNS_NO_ANSWER
    assert (word is None) == said_nothing
    assert (words.from_ooni(word)[0] is None) == said_nothing


def test_engines_of_queries() -> None:
    assert words.engine("system", "tcp") == "system"
    assert [words.engine("9.9.9.9", each) for each in ("udp", "tcp", "dot", "doh")] == [
        "udp",
        "tcp",
        "dot",
        "doh",
    ]
    assert all(map(words.is_system, ("system", "getaddrinfo", "golang_net_resolver", "netgo")))
    assert not words.is_system("udp")
    assert not words.is_system(None)
    assert words.transport_of("doh3") == "doh"
    assert words.transport_of("getaddrinfo") == "udp"
    assert words.transport_of("unheard_of") is None


def test_addresses_of_resolvers_and_servers() -> None:
    assert words.resolver_address("system", "udp") == ""
    assert words.resolver_address("9.9.9.9", "udp") == "9.9.9.9:53"
    assert words.resolver_address("2001:db8::1", "dot") == "[2001:db8::1]:853"
    assert words.resolver_address("1.1.1.1", "doh") == "https://1.1.1.1/dns-query"
    assert words.endpoint("2001:db8::1", 443) == "[2001:db8::1]:443"


@pytest.mark.parametrize("reason", TrustReason)
def test_what_a_chain_does_not_prove_is_a_failure_there(reason: TrustReason) -> None:
    there = words.ssl_failure(reason)
    assert there in words.CERTIFICATE_FAILURES
    back = words.trust_reason(there)
    assert words.ssl_failure(back) is there


def test_a_chain_that_proves_its_name_is_no_failure() -> None:
    assert words.ssl_failure(None) is None
    assert words.trust_reason(Failure.RESET) is None


def test_every_suite_that_a_probe_offers_has_its_iana_name() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:!aNULL:!PSK:!SRP:@SECLEVEL=0")
    for suite in context.get_ciphers():
        there = suites.iana_suite(suite["name"])
        assert there is not None
        assert there.startswith("TLS_")
        assert suites.openssl_suite(there) == suite["name"]


def test_suites_without_a_name() -> None:
    assert suites.iana_suite(None) is None
    assert suites.openssl_suite("") is None
    assert suites.openssl_suite("TLS_CIPHER_SUITE_UNKNOWN_4660") is None
    assert suites.openssl_suite("TLS_AES_128_GCM_SHA256") == "TLS_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("outcome", "mechanisms", "keys"),
    [
        (Outcome.OK, (), (True, False)),
        (Outcome.OK, (Mechanism.DNS_INJECTED,), (True, False)),
        (Outcome.THROTTLED, (Mechanism.THROTTLE_POLICED,), (True, False)),
        (Outcome.DOWN, (), (False, False)),
        (Outcome.REFUSED, (), (False, False)),
        (
            Outcome.INTERCEPTED,
            (Mechanism.TLS_MITM, Mechanism.DNS_NXDOMAIN),
            (False, "http-failure"),
        ),
        (Outcome.INCONCLUSIVE, (Mechanism.ACCESS_OFFLINE,), (None, None)),
        (Outcome.BLOCKED, (), (False, None)),
        (Outcome.BLOCKED, (Mechanism.ACCESS_WHITELIST,), (False, None)),
        (Outcome.BLOCKED, (Mechanism.TLS_TIMEOUT, Mechanism.DNS_NXDOMAIN), (False, "http-failure")),
        (
            Outcome.BLOCKED,
            (Mechanism.HTTP_REDIRECTED, Mechanism.HTTP_BLOCKPAGE),
            (False, "http-diff"),
        ),
    ],
)
def test_a_verdict_in_the_two_keys(
    outcome: Outcome, mechanisms: tuple[Mechanism, ...], keys: tuple[object, object]
) -> None:
    assert words.verdict_keys(Verdict(outcome=outcome, mechanisms=mechanisms)) == keys


@pytest.mark.parametrize("mechanism", Mechanism)
def test_how_it_is_blocked_by_mechanism(mechanism: Mechanism) -> None:
    layer, _, what = mechanism.partition(".")
    of_http = "http-diff" if what in {"blockpage", "redirected", "injected"} else "http-failure"
    expected = {
        "dns": "dns",
        "tcp": "tcp_ip",
        "tls": "http-failure",
        "quic": "http-failure",
        "http": of_http,
    }
    blocked = Verdict(outcome=Outcome.BLOCKED, mechanisms=(mechanism,))
    assert words.verdict_keys(blocked) == (False, expected.get(layer))


def test_no_verdict_says_nothing() -> None:
    assert words.verdict_keys(None) == (None, None)
