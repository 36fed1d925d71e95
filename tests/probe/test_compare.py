"""Comparisons of two observations."""

import ipaddress

import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import replace

from probe.compare import (
    forged_among,
    host_of,
    incompatible,
    is_address,
    is_bogon,
    registrable,
    same_failure,
    same_site,
    similar_pages,
)
from probe.failure import Failure
from probe.model import Reply
from tests.build import GOOD, OTHER, PLAIN, dns, page


def reply(*answers: str, rcode: int = 0, ip_ttl: int | None = None) -> Reply:
    return Reply(at=0.0, rcode=rcode, answers=answers, ip_ttl=ip_ttl)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("www.azattyq.org", "azattyq.org"),
        ("a.b.example.com.kz", "example.com.kz"),
        ("egov.kz", "egov.kz"),
        ("rus.azattyq.org.", "azattyq.org"),
        ("localhost", "localhost"),
        ("93.184.216.34", "93.184.216.34"),
        ("co.uk", "co.uk"),
    ],
)
def test_the_registered_name(host: str, name: str) -> None:
    assert registrable(host) == name


@given(st.text(max_size=60))
def test_hosts_and_names_of_any_text_never_raise(text: str) -> None:
    assert same_site(host_of(text), host_of(text))
    assert registrable(registrable(text)) == registrable(text)
    is_address(text)
    is_bogon(text)


@given(st.text("0123456789abf.:%[]x\u0663", max_size=20))
@example("1.2.3.4")
@example("2001:db8::1")
@example("fe80::1%eth0")
def test_an_address_is_what_the_standard_library_reads(text: str) -> None:
    try:
        expected = bool(ipaddress.ip_address(text))
    except ValueError:
        expected = False
    assert is_address(text) is expected


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "127.0.0.1", "0.0.0.0", "169.254.1.1", "::1", "::ffff:10.0.0.1", "fe80::1", "x"],
)
def test_what_is_no_public_address_is_a_bogon(address: str) -> None:
    assert is_bogon(address)


def test_a_mapped_public_address_is_public() -> None:
    assert not is_bogon("::ffff:93.184.216.34")
    assert not is_bogon(GOOD)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (reply(GOOD), reply(GOOD), False),
        (reply(GOOD, OTHER), reply(OTHER), False),
        (reply(rcode=3), reply(GOOD), True),
        (reply(), reply(GOOD), True),
        (reply("10.10.34.35"), reply(GOOD), True),
        (reply(GOOD), reply(OTHER), False),
        (reply(GOOD, ip_ttl=60), reply(OTHER, ip_ttl=60), False),
        (reply(GOOD, ip_ttl=60), reply(OTHER, ip_ttl=44), True),
    ],
)
def test_which_replies_cannot_both_be_honest(one: Reply, other: Reply, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert incompatible(one, other) is expected
    assert forged_among(dns(replies=(one, other))) is expected


def test_a_reset_here_is_not_a_timeout_there() -> None:
    assert not same_failure(Failure.RESET, Failure.TIMEOUT)
    assert same_failure(Failure.HOST_UNREACHABLE, Failure.NETWORK_UNREACHABLE)
    assert not same_failure(None, None)


def test_pages_are_similar_only_with_positive_evidence() -> None:
    site = page(PLAIN)
    assert similar_pages(site, replace(site, fuzzy="0f0f0f0f0f0f0f0e", sha256="b"))
    assert not similar_pages(site, replace(site, status=403))
    stranger = replace(site, title="No", fuzzy="f0f0f0f0f0f0f0f0", sha256="b")
    assert not similar_pages(site, stranger)
    untitled = replace(site, title=None, fuzzy=None, sha256="b")
    assert not similar_pages(untitled, replace(untitled, sha256="c"))


def test_redirects_are_alike_when_they_lead_to_one_site() -> None:
    to = replace(page(PLAIN), status=301, sha256="a", location="https://www.site.example/")
    assert similar_pages(to, replace(to, location="https://site.example/x", sha256="b"))
    assert not similar_pages(to, replace(to, location="https://stop.example/", sha256="b"))
