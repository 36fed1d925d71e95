"""Families of addresses, what resolvers say themselves, and resolvers of the home network."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Dns, Record, Role
from probe.reference_data import advertising_names
from tests.build import (
    GOOD,
    OTHER,
    URL,
    again,
    control,
    dns,
    doh,
    fetched,
    harmless,
    nxdomain,
    record,
    reference,
)
from tests.probe.rules.check import holds, verdict_on
from tests.probe.rules.dns_answers import (
    DEAD,
    LINE,
    NODATA,
    NODATA6,
    SERVFAIL,
    UNSPECIFIED,
    nearby,
    saying,
    twice,
)

V6 = "2606:2800:220:1::1"
(ADVERTISING,) = advertising_names()
TRUE_ADVERTISING = replace(doh(OTHER, name=ADVERTISING), role=Role.NEUTRAL)


def advertising(step: Dns) -> Dns:
    """The answer of the home network's resolver for a name of advertising."""
    return replace(nearby(step), name=ADVERTISING, role=Role.NEUTRAL)


def ipv6_only(system: Dns, *more: object, **others: object) -> Record:
    """A name with IPv6 addresses alone: the control reaches it there."""
    found = control(dns(failure=Failure.DNS_NO_ANSWER), dns(V6, type="AAAA"), *fetched(V6))
    return record(*twice(system), *more, controls=(found,), line=LINE)  # type: ignore[arg-type]


TABLE = {
    "IPv6 alone: no IPv4 address is no denial": (
        "dns.name_denied_here",
        ipv6_only(NODATA),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "IPv6 alone: the name itself is denied": (
        "dns.name_denied_here",
        ipv6_only(nxdomain()),
        True,
        "blocked dns.nxdomain 0.856 by dns.name_denied_here",
    ),
    "IPv6 alone: an encrypted resolver denies it so, too": (
        "dns.name_denied_here",
        ipv6_only(nxdomain(), DEAD),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "IPv6 alone, on a connection without it": (
        "dns.only_ipv6_addresses",
        record(*twice(NODATA), dns(V6, type="AAAA"), line=LINE),
        True,
        "inconclusive 0.7 by dns.only_ipv6_addresses",
    ),
    "IPv6 alone, which answers here": (
        "dns.only_ipv6_addresses",
        record(*twice(NODATA, dns(V6, type="AAAA")), *fetched(V6), line=LINE),
        False,
        "ok 0.99 by ok.proven",
    ),
    "IPv6 alone: a public resolver that gives no IPv4 address tells the truth": (
        "dns.public_resolver_answered_by_another",
        record(
            *twice(NODATA, replace(NODATA, resolver="8.8.8.8"), dns(V6, type="AAAA")), *fetched(V6)
        ),
        False,
        "ok 0.99 by ok.proven",
    ),
    "one family: IPv6 addresses are denied": (
        "dns.one_family_denied",
        record(
            *twice(dns(GOOD), NODATA6),
            doh(V6, type="AAAA"),
            *fetched(),
            reference(dns(V6, name="ref.example", type="AAAA")),
        ),
        True,
        "ok dns.nodata 0.99 by ok.proven",
    ),
    "one family: this resolver gives IPv6 addresses of no name": (
        "dns.one_family_denied",
        record(
            *twice(dns(GOOD), NODATA6),
            doh(V6, type="AAAA"),
            *fetched(),
            reference(replace(NODATA6, name="ref.example")),
        ),
        False,
        "ok 0.99 by ok.proven",
    ),
    "censored, as the resolver says": (
        "dns.resolver_says_censored",
        record(*twice(saying(nxdomain(), 16, "court order 7")), line=LINE),
        True,
        "blocked dns.nxdomain 0.97 by dns.resolver_says_censored",
    ),
    "censored, as it says once": (
        "dns.resolver_says_censored",
        record(saying(nxdomain(), 16), *again(nxdomain()), line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "censored, and the address leads to the site": (
        "dns.resolver_says_censored",
        record(*twice(saying(dns(GOOD), 16)), *fetched(), line=LINE),
        False,
        "ok 0.99 by ok.proven",
    ),
    "blocked, as the resolver says": (
        "dns.resolver_says_blocked",
        record(*twice(saying(UNSPECIFIED, 15)), line=LINE),
        True,
        "blocked dns.bogon 0.9 by dns.resolver_says_blocked",
    ),
    "blocked, as a resolver of the home network says": (
        "dns.resolver_says_blocked",
        record(*twice(nearby(saying(UNSPECIFIED, 15))), line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "filtered at the customer's request": (
        "dns.name_denied_here",
        record(*twice(saying(nxdomain(), 17), doh(GOOD), *fetched()), line=LINE),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "signatures: the system resolver alone rejects them": (
        "dns.name_denied_here",
        record(
            *twice(saying(SERVFAIL, 6), doh(GOOD), *fetched()),
            harmless(dns(OTHER, name="www.harmless.example")),
            line=LINE,
        ),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "home: its resolver denies the name, nothing tells whose list it is": (
        "dns.name_denied_here",
        record(*twice(nearby(nxdomain()), doh(GOOD), *fetched()), line=LINE),
        True,
        "blocked dns.nxdomain 0.873 by dns.name_denied_here",
    ),
    "home: public resolvers are made to deny it, too": (
        "dns.name_denied_here",
        record(
            *twice(nearby(nxdomain()), nxdomain(resolver="8.8.8.8"), doh(GOOD), *fetched()),
            line=LINE,
        ),
        True,
        "blocked dns.nxdomain 0.97 by dns.name_denied_here",
    ),
    "home: a filter there denies advertising so, too": (
        "dns.bogon_here",
        record(
            *twice(nearby(UNSPECIFIED), doh(GOOD), *fetched()),
            advertising(UNSPECIFIED),
            TRUE_ADVERTISING,
            line=LINE,
        ),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "home: a filter there answers otherwise than this": (
        "dns.name_denied_here",
        record(
            *twice(nearby(nxdomain()), doh(GOOD), *fetched()),
            advertising(UNSPECIFIED),
            TRUE_ADVERTISING,
            line=LINE,
        ),
        True,
        "blocked dns.nxdomain 0.873 by dns.name_denied_here",
    ),
    "home: advertising is answered honestly, so it is no filter's list": (
        "dns.bogon_here",
        record(
            *twice(nearby(UNSPECIFIED), doh(GOOD), *fetched()),
            advertising(dns(OTHER)),
            TRUE_ADVERTISING,
            line=LINE,
        ),
        True,
        "blocked dns.bogon 0.873 by dns.bogon_here",
    ),
    "home: public resolvers are made to give 0.0.0.0, too": (
        "dns.bogon_here",
        record(
            *twice(nearby(UNSPECIFIED), dns("0.0.0.0", resolver="8.8.8.8"), doh(GOOD), *fetched()),
            line=LINE,
        ),
        True,
        "blocked dns.bogon 0.97 by dns.bogon_here",
    ),
    "home: it may be a filter": (
        "dns.perhaps_a_filter_at_home",
        record(*twice(nearby(nxdomain()), doh(GOOD), *fetched()), line=LINE),
        True,
        "blocked dns.nxdomain 0.873 by dns.name_denied_here",
    ),
    "home: the provider's own resolver": (
        "dns.perhaps_a_filter_at_home",
        record(*twice(nxdomain(), doh(GOOD), *fetched()), line=LINE),
        False,
        "blocked dns.nxdomain 0.97 by dns.name_denied_here",
    ),
    "home: advertising has no address for others either, and 0.0.0.0 is what filters give": (
        "dns.bogon_here",
        record(
            *twice(nearby(UNSPECIFIED), doh(GOOD), *fetched()), advertising(UNSPECIFIED), line=LINE
        ),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "the next resolver answered": (
        "dns.first_resolver_passed_over",
        record(dns(GOOD, passed_over=(Failure.DNS_REFUSED,)), *fetched(), line=LINE),
        True,
        "ok 0.99 by ok.proven",
    ),
    "the first resolver answered": (
        "dns.first_resolver_passed_over",
        record(dns(GOOD), *fetched(), line=LINE),
        False,
        "ok 0.99 by ok.proven",
    ),
    "a target without a name": (
        "dns.target_has_no_name",
        record(url="https://8.8.8.8/", experiment="dns", line=LINE),
        True,
        "inconclusive 0.9 by dns.target_has_no_name",
    ),
    "a target with a name": (
        "dns.target_has_no_name",
        record(url=URL, experiment="sni", line=LINE),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "cut off: a truncated reply denies nothing": (
        "dns.name_denied_here",
        record(
            *twice(
                replace(
                    dns(failure=Failure.REFUSED),
                    replies=(replace(NODATA.replies[0], truncated=True),),
                    failure=Failure.REFUSED,
                ),
                doh(GOOD),
                *fetched(),
            ),
            harmless(dns(OTHER, name="www.harmless.example")),
            line=LINE,
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict
