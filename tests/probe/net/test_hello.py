"""The shapes of ClientHello."""

import ssl

import pytest
from hypothesis import given, strategies as st

from probe.net.hello import HELLOS, TlsContexts, is_offerable, server_name, split


def first_flight(context: ssl.SSLContext, name: str | None) -> bytes:
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("hello", HELLOS)
def test_every_hello_carries_its_name_and_verifies_nothing(hello: str) -> None:
    contexts = TlsContexts()
    context = contexts.get(hello)
    assert b"site.example" in first_flight(context, "site.example")
    assert context.verify_mode == ssl.CERT_NONE
    assert contexts.get(hello) is context


def test_an_unknown_hello_raises() -> None:
    with pytest.raises(ValueError, match="ech"):
        TlsContexts().get("ech")


def test_a_server_name_has_no_trailing_dot() -> None:
    assert server_name("site.example.") == "site.example"
    assert (server_name("."), server_name(""), server_name(None)) == (None, None, None)


@given(st.binary(min_size=2, max_size=600), st.sampled_from([None, "site.example", "x"]))
def test_a_split_loses_nothing(hello: bytes, name: str | None) -> None:
    one, two = split(hello, name)
    assert one + two == hello


def test_a_split_cuts_the_name() -> None:
    hello = first_flight(TlsContexts().get("split"), "site.example")
    one, two = split(hello, "site.example")
    assert one.endswith(b"site.e")
    assert two.startswith(b"xample")
    one, two = split(hello, None)
    assert abs(len(one) - len(two)) <= 1


@given(st.text(max_size=80))
def test_openssl_accepts_every_offerable_name(name: str) -> None:
    if is_offerable(name) and "\0" not in name:
        assert first_flight(TlsContexts().get("default"), name).startswith(b"\x16\x03\x01")
