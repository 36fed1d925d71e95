"""Only public addresses may be connected to; embedded private ones are recognised."""

import ipaddress

import pytest
from hypothesis import given, strategies as st

from probe.net.address_policy import is_dialable, is_global


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "2.132.0.1", "2001:4860:4860::8888", "2002:101:101::1", "64:ff9b::101:101"],
)
def test_a_public_address_is_global(address: str) -> None:
    assert is_global(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.16.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "2001:4860:4860::8888%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:192.168.1.1",
        "::192.168.1.1",
        "64:ff9b::192.168.1.1",
        "64:ff9b:1::1",
        "2002:c0a8:101::1",
        "2001:0:4136:e378:8000:63bf:3f57:fefe",
        "site.example",
        "",
        "1.1.1.1 ",
        "01.1.1.1",
        "2130706433",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_global(address)


def test_a_lab_may_connect_to_any_literal_address_but_no_name() -> None:
    assert is_dialable("127.0.0.1", lab=True)
    assert not is_dialable("127.0.0.1", lab=False)
    assert not is_dialable("localhost", lab=True)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_as_its_mapped_form(address: object) -> None:
    assert (
        is_global(str(address))
        == is_global(f"::ffff:{address}")
        == is_global(f"64:ff9b::{address}")
    )


@given(st.text(max_size=40))
def test_a_text_that_is_no_address_is_not_public(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert not is_global(text)
