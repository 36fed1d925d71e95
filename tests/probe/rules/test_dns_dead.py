"""Names that do not exist: for every resolver, for this one, and where every such name is sold."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Record, Role
from tests.build import HOST, OTHER, SINK, again, dns, doh, nxdomain, record, tcp, tls
from tests.probe.rules.check import holds, verdict_on
from tests.probe.rules.dns_answers import (
    DEAD,
    DEAD_TOO,
    HONEST,
    LINE,
    NODATA,
    NODATA6,
    NOT_IT,
    SELLS,
    SERVFAIL,
    UNSPECIFIED,
    saying,
    twice,
)

FORGED_ALONE = (dns(SINK), DEAD, DEAD_TOO, tcp(SINK), tls(SINK, trust=NOT_IT))
BELOW = f"qjxkvbzwpdmh.{HOST}"
INVENTED = tuple(replace(step, name=BELOW, role=Role.NEUTRAL) for step in (dns(SINK), DEAD))

TABLE = {
    "a dead name, forged alone": (
        "dns.dead_name_forged_here",
        record(*twice(*FORGED_ALONE), *INVENTED, line=HONEST),
        True,
        "blocked dns.wrong_address 0.9 by dns.dead_name_forged_here",
    ),
    "a name that expired, of which the resolver has an old answer": (
        "dns.dead_name_forged_here",
        record(*twice(*FORGED_ALONE), line=HONEST),
        True,
        "inconclusive 0.5 by verdict.not_excluded",
    ),
    "a dead name, forged alone with an address that leads nowhere": (
        "dns.dead_name_forged_here",
        record(*twice(UNSPECIFIED, DEAD, DEAD_TOO), line=HONEST),
        True,
        "blocked dns.bogon dns.wrong_address 0.9 by dns.dead_name_forged_here",
    ),
    "a dead name, with an address of a private network: perhaps a company's": (
        "dns.dead_name_forged_here",
        record(*twice(dns("10.1.2.3"), DEAD, DEAD_TOO), line=HONEST),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a dead name, by one other source": (
        "dns.dead_name_forged_here",
        record(dns(SINK), DEAD, again(dns(SINK))[0], line=HONEST),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a dead name, and nothing known of others": (
        "dns.dead_name_forged_here",
        record(*twice(dns(SINK), DEAD, DEAD_TOO), line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "a dead name whose answer is an old one": (
        "dns.dead_name_forged_here",
        record(*twice(saying(dns(SINK), 3), DEAD, DEAD_TOO), line=HONEST),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "dead names are sold": (
        "dns.dead_names_answered_here",
        record(*twice(dns(SINK), DEAD, DEAD_TOO), line=SELLS),
        True,
        "down dns.wrong_address 0.9 by dns.dead_names_answered_here",
    ),
    "dead names are sold, and this one leads elsewhere": (
        "dns.dead_names_answered_here",
        record(*twice(dns(OTHER), DEAD, DEAD_TOO), line=SELLS),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "dead names: an encrypted resolver that follows its own list is no witness": (
        "dns.name_dead_everywhere",
        record(*twice(nxdomain(), saying(DEAD, 16)), line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "dead names: without IPv6 addresses, too": (
        "dns.name_dead_everywhere",
        record(*twice(NODATA, doh(failure=Failure.DNS_NO_ANSWER)), NODATA6, line=LINE),
        True,
        "down 0.9 by dns.name_dead_everywhere",
    ),
    "dead names: without an IPv4 address, and IPv6 not asked": (
        "dns.name_dead_everywhere",
        record(*twice(NODATA, doh(failure=Failure.DNS_NO_ANSWER)), line=LINE),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "signatures: every resolver that checks rejects them": (
        "dns.signatures_fail_everywhere",
        record(*twice(SERVFAIL, saying(replace(SERVFAIL, resolver="1.1.1.1", transport="doh"), 6))),
        True,
        "down 0.9 by dns.signatures_fail_everywhere",
    ),
    "signatures: encrypted resolvers fail without saying why": (
        "dns.signatures_fail_everywhere",
        record(*twice(SERVFAIL, replace(SERVFAIL, resolver="1.1.1.1", transport="doh"))),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict
