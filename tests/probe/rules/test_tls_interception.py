import pytest
from msgspec.structs import replace

from probe.model import Authority, Line, Record, Role, TrustReason
from tests.build import (
    CLAIMED,
    EXPIRED,
    FORGED,
    GOOD,
    HOST,
    KNOWN,
    OTHER,
    VALID,
    again,
    at_unrelated,
    control,
    dns,
    fetched,
    harmless,
    page,
    record,
    tcp,
    tls,
)
from tests.probe.rules.check import holds, verdict_on

ELSEWHERE = control(dns(GOOD), *fetched())
SEEN = (dns(GOOD), tcp(), tls(trust=FORGED), page(proven=False))
OWN_DEFAULT = replace(VALID, named=False, subject=f"O=Site,CN={HOST}")
SELECTIVE = Line(resigned_by="forger", resigned_names=3, trusted_names=4)
NATIONAL = replace(FORGED, authority=Authority(id="ru", kind="national", proof="verified"))
SELF_SIGNED = replace(FORGED, reason=TrustReason.SELF_SIGNED)
ELSEWHERE_NAME = replace(tls(OTHER, trust=FORGED), role=Role.NEUTRAL)
OPEN = "inconclusive 0.5 by verdict.not_excluded"
TRUE = replace(
    VALID,
    not_before="2019-06-01T08:30:12Z",
    not_after="2019-08-30T08:30:12Z",
    serial="0102030405060708090a",
    logged=True,
    extensions=8,
)
COPY = replace(
    FORGED,
    not_before="2019-06-01T02:30:12Z",
    not_after="2019-08-30T02:30:12Z",
    serial="010203040506ffeeddcc",
    logged=False,
    extensions=0,
)

VIRTUAL_HOST = (dns(GOOD), tcp(), tls(trust=SELF_SIGNED), *again(tcp(), tls(trust=SELF_SIGNED)))

TABLE = {
    "known key": (
        "tls.known_interception_key",
        record(dns(GOOD), tcp(), tls(trust=KNOWN)),
        True,
        "intercepted tls.mitm 0.99 by tls.known_interception_key",
    ),
    "known key: a claim is no signature": (
        "tls.known_interception_key",
        record(dns(GOOD), tcp(), tls(trust=CLAIMED)),
        False,
        "intercepted tls.mitm 0.9 by tls.claims_interception_authority",
    ),
    "known key: the name at an unrelated server": (
        "tls.known_interception_key",
        record(dns(GOOD), *fetched(), replace(tls(OTHER, trust=KNOWN), role=Role.NEUTRAL)),
        True,
        "intercepted tls.mitm 0.99 by tls.known_interception_key",
    ),
    "known key: another name's certificate": (
        "tls.known_interception_key",
        record(dns(GOOD), *fetched(), harmless(tls(OTHER, trust=KNOWN))),
        False,
        "ok 0.99 by ok.proven",
    ),
    "claimed name": (
        "tls.claims_interception_authority",
        record(dns(GOOD), tcp(), tls(trust=CLAIMED)),
        True,
        "intercepted tls.mitm 0.9 by tls.claims_interception_authority",
    ),
    "claimed name: the site's own, the control sees it too": (
        "tls.claims_interception_authority",
        record(
            dns(GOOD), tcp(), tls(trust=CLAIMED), controls=(control(tcp(), tls(trust=CLAIMED)),)
        ),
        False,
        "down 0.874 by tls.own_bad_certificate",
    ),
    "another certificate there": (
        "tls.control_sees_another_certificate",
        record(*SEEN, controls=(ELSEWHERE,)),
        True,
        "intercepted tls.mitm 0.892 by tls.control_sees_another_certificate",
    ),
    "another certificate there, a bad one": (
        "tls.control_sees_another_certificate",
        record(*SEEN, controls=(control(tcp(), tls(trust=EXPIRED)),)),
        True,
        "intercepted tls.mitm 0.892 by tls.control_sees_another_certificate",
    ),
    "the same bad certificate there": (
        "tls.control_sees_another_certificate",
        record(*SEEN, controls=(control(tcp(), tls(trust=FORGED)),)),
        False,
        "down 0.874 by tls.own_bad_certificate",
    ),
    "another leaf of the same private authority there": (
        "tls.control_sees_another_certificate",
        record(*SEEN, controls=(control(tcp(), tls(trust=replace(FORGED, leaf_key="b"))),)),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "another trusted leaf here: a large site": (
        "tls.control_sees_another_certificate",
        record(dns(GOOD), *fetched(), controls=(control(tcp(), tls(trust=EXPIRED)),)),
        False,
        "ok 0.99 by ok.proven",
    ),
    "self-signed on both sides": (
        "tls.control_sees_another_certificate",
        record(
            dns(GOOD),
            tcp(),
            tls(trust=SELF_SIGNED),
            controls=(
                control(tcp(), tls(trust=replace(SELF_SIGNED, leaf_key="b", issuer_key="b"))),
            ),
        ),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "no other site was seen to be trusted": (
        "tls.control_sees_another_certificate",
        record(*SEEN, controls=(ELSEWHERE,), line=Line()),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "a national root that browsers do not carry": (
        "tls.control_sees_another_certificate",
        record(dns(GOOD), tcp(), tls(trust=NATIONAL), controls=(ELSEWHERE,)),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "a copy as of 2019, by what the control is shown": (
        "tls.copied_like_2019",
        record(dns(GOOD), tcp(), tls(trust=COPY), controls=(control(tcp(), tls(trust=TRUE)),)),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "a copy as of 2019, by what another address shows": (
        "tls.copied_like_2019",
        record(dns(GOOD), tcp(OTHER), tls(OTHER, trust=TRUE), tcp(), tls(trust=COPY)),
        True,
        "intercepted tls.mitm 0.98 by tls.copied_like_2019",
    ),
    "a forged one that copies dates alone": (
        "tls.copied_like_2019",
        record(
            dns(GOOD),
            tcp(),
            tls(trust=replace(COPY, serial="77" * 10)),
            controls=(control(tcp(), tls(trust=TRUE)),),
        ),
        False,
        "intercepted tls.mitm 0.892 by tls.control_sees_another_certificate",
    ),
    "a renewed certificate of the site's own": (
        "tls.copied_like_2019",
        record(dns(GOOD), tcp(), tls(trust=TRUE), controls=(control(tcp(), tls(trust=COPY)),)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "the same server proves itself when the name is cut in two": (
        "tls.same_server_proves_another_way",
        record(*SEEN, tcp(), replace(tls(), hello="split")),
        True,
        "intercepted tls.mitm 0.95 by tls.same_server_proves_another_way",
    ),
    "the same server proves itself to another name": (
        "tls.same_server_proves_another_way",
        record(*SEEN, harmless(tls(trust=OWN_DEFAULT)), at_unrelated(tls(trust=FORGED))),
        True,
        "intercepted tls.mitm 0.85 by tls.same_server_proves_another_way",
    ),
    "a host of a private authority beside one with a trusted certificate": (
        "tls.same_server_proves_another_way",
        record(*SEEN, harmless(tls(trust=OWN_DEFAULT)), at_unrelated(tls(trust=VALID))),
        True,
        OPEN,
    ),
    "a host of a private authority, and no unrelated server was offered the name": (
        "tls.same_server_proves_another_way",
        record(*SEEN, harmless(tls(trust=OWN_DEFAULT))),
        True,
        OPEN,
    ),
    "a node of a private authority that the control did not see": (
        "tls.control_sees_another_certificate",
        record(*SEEN, line=SELECTIVE, controls=(control(dns(OTHER), *fetched(OTHER)),)),
        True,
        OPEN,
    ),
    "a virtual host that was never given its certificate": (
        "tls.same_server_proves_another_way",
        record(*VIRTUAL_HOST, harmless(tcp()), harmless(tls(trust=OWN_DEFAULT))),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "one of two nodes was never given the certificate": (
        "tls.same_server_proves_another_way",
        record(*VIRTUAL_HOST, tcp(), tls()),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "self-signed, and trusted when the name is cut in two": (
        "tls.same_server_proves_another_way",
        record(*VIRTUAL_HOST, tcp(), replace(tls(), hello="split")),
        True,
        "intercepted tls.mitm 0.95 by tls.same_server_proves_another_way",
    ),
    "one self-signed certificate for all hosts of a server": (
        "tls.one_key_for_unrelated_names",
        record(*VIRTUAL_HOST, line=SELECTIVE),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "a host of many sites shows a harmless name another site's": (
        "tls.same_server_proves_another_way",
        record(*SEEN, harmless(tcp()), harmless(tls(trust=replace(VALID, named=False)))),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "another server proves itself": (
        "tls.same_server_proves_another_way",
        record(*SEEN, harmless(tcp(OTHER)), harmless(tls(OTHER, trust=VALID))),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "one key for unrelated names": (
        "tls.one_key_for_unrelated_names",
        record(*SEEN, at_unrelated(tls(trust=FORGED)), line=SELECTIVE),
        True,
        "intercepted tls.mitm 0.85 by tls.one_key_for_unrelated_names",
    ),
    "one key for several names of one organisation": (
        "tls.one_key_for_unrelated_names",
        record(*SEEN, at_unrelated(tls(trust=VALID)), line=SELECTIVE),
        True,
        OPEN,
    ),
    "one key for unrelated names, and for any other name there": (
        "tls.one_key_for_unrelated_names",
        record(*SEEN, harmless(tls(trust=FORGED)), line=SELECTIVE),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "one key for everything": (
        "tls.one_key_for_unrelated_names",
        record(*SEEN, line=replace(SELECTIVE, trusted_names=0)),
        False,
        "inconclusive access.local_interceptor 0.9 by access.everything_is_resigned",
    ),
    "an unrelated server, this name alone": (
        "tls.interceptor_answers_elsewhere",
        record(dns(GOOD), *fetched(), harmless(tls(OTHER)), ELSEWHERE_NAME),
        True,
        "ok 0.99 by ok.proven",
    ),
    "another server of the same operator": (
        "tls.interceptor_answers_elsewhere",
        record(dns(GOOD), *fetched(), harmless(tls()), harmless(tls(OTHER)), ELSEWHERE_NAME),
        False,
        "ok 0.99 by ok.proven",
    ),
    "an unrelated server's default certificate": (
        "tls.interceptor_answers_elsewhere",
        record(dns(GOOD), *fetched(), harmless(tls(OTHER, trust=FORGED)), ELSEWHERE_NAME),
        False,
        "ok 0.99 by ok.proven",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict
