import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.model import Authority, Record, TrustReason
from tests.build import (
    FORGED,
    GOOD,
    HOST,
    OTHER,
    PLAIN,
    URL,
    VALID,
    again,
    control,
    dns,
    doh,
    fetched,
    nxdomain,
    page,
    record,
    tcp,
    tls,
)
from tests.probe.rules.check import holds, verdict_on

NOTICE = "http://stop.example/"
PARTIAL = replace(VALID, valid=False, anchored=False, reason=TrustReason.INCOMPLETE)
NATIONAL = replace(FORGED, authority=Authority(id="ru", kind="national", proof="claimed"))
LOOP = page(status=302, location=URL)
NOWHERE = page(status=302, headers={"location": "http://[::zz"})
BROKEN = (tcp(), tls(), page(status=502))
SAME = control(dns(GOOD), tcp(port=80), page(PLAIN))


def plain(*pages: object, **more: object) -> Record:
    return record(dns(GOOD), tcp(port=80), *pages, url=PLAIN, **more)  # type: ignore[arg-type]


TABLE = {
    "proven": ("ok.proven", record(dns(GOOD), *fetched()), True, "ok 0.99 by ok.proven"),
    "proven, a missing page": (
        "ok.proven",
        record(dns(GOOD), *fetched(status=404)),
        True,
        "ok 0.99 by ok.proven",
    ),
    "proven only at an address that others gave": (
        "ok.proven",
        record(nxdomain(), doh(GOOD), *fetched()),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "proven, but led there by an open redirect": (
        "ok.proven",
        record(
            dns(GOOD),
            tcp(port=80),
            page(PLAIN, status=302, location="https://stop.example/"),
            dns(OTHER, name="stop.example", hop=1),
            tls(OTHER, sni="stop.example", hop=1),
            page("https://stop.example/", address=OTHER, hop=1),
            url=PLAIN,
        ),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "refused": (
        "refused.by_the_server",
        record(dns(GOOD), *fetched(status=451)),
        True,
        "refused 0.97 by refused.by_the_server",
    ),
    "refused: a challenge": (
        "refused.by_the_server",
        record(dns(GOOD), *fetched(status=503, title="Just a moment...")),
        True,
        "refused 0.97 by refused.by_the_server",
    ),
    "refused by an unproven server": (
        "refused.by_the_server",
        plain(page(PLAIN, status=403)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "broken for all": (
        "down.server_error",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *BROKEN),)),
        True,
        "down 0.856 by down.server_error",
    ),
    "broken for us": (
        "down.server_error",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *fetched()),)),
        False,
        "refused 0.8 by refused.server_error_here",
    ),
    "an error for us alone": (
        "refused.server_error_here",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *fetched()),)),
        True,
        "refused 0.8 by refused.server_error_here",
    ),
    "an error for all is no refusal": (
        "refused.server_error_here",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *BROKEN),)),
        False,
        "down 0.856 by down.server_error",
    ),
    "endless redirects": (
        "down.endless_redirects",
        record(dns(GOOD), tcp(), tls(), LOOP),
        True,
        "down 0.75 by down.endless_redirects",
    ),
    "endless redirects, for the control too": (
        "down.endless_redirects",
        record(dns(GOOD), tcp(), tls(), LOOP, controls=(control(dns(GOOD), LOOP, age=60.0),)),
        True,
        "down 0.9 by down.endless_redirects",
    ),
    "endless redirects here, and a page for the control": (
        "down.endless_redirects",
        record(dns(GOOD), tcp(), tls(), LOOP, controls=(control(dns(GOOD), *fetched()),)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "a redirect to nowhere here, and a page for the control": (
        "down.broken_redirect",
        record(dns(GOOD), *again(NOWHERE, NOWHERE), controls=(control(dns(GOOD), *fetched()),)),
        False,
        "inconclusive 0.4 by unclear.nothing_fits",
    ),
    "a redirect to nowhere, without a control": (
        "down.broken_redirect",
        record(dns(GOOD), *again(NOWHERE, NOWHERE)),
        True,
        "down 0.75 by down.broken_redirect",
    ),
    "one redirect": (
        "down.endless_redirects",
        record(dns(GOOD), tcp(), tls(), page(status=302, location=f"https://www.{HOST}/")),
        False,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "same key, missing intermediate": (
        "ok.same_server_key_as_the_control",
        record(
            dns(GOOD),
            tcp(),
            tls(trust=PARTIAL),
            page(proven=False),
            controls=(control(tcp(), tls(trust=PARTIAL)),),
        ),
        True,
        "ok 0.828 by ok.same_server_key_as_the_control",
    ),
    "same key, national root": (
        "ok.same_server_key_as_the_control",
        record(
            dns(GOOD),
            tcp(),
            tls(trust=NATIONAL),
            page(proven=False),
            controls=(control(tcp(), tls(trust=NATIONAL)),),
        ),
        True,
        "ok 0.828 by ok.same_server_key_as_the_control",
    ),
    "another key, missing intermediate": (
        "ok.same_server_key_as_the_control",
        record(
            dns(GOOD),
            tcp(),
            tls(trust=PARTIAL),
            page(proven=False),
            controls=(control(tcp(), tls(trust=replace(PARTIAL, leaf_key="b"))),),
        ),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "as the control sees it": (
        "ok.as_the_control_sees_it",
        plain(page(PLAIN), controls=(SAME,)),
        True,
        "ok 0.846 by ok.as_the_control_sees_it",
    ),
    "only as long as what the control sees": (
        "ok.as_the_control_sees_it",
        plain(page(PLAIN, title="No", fuzzy="f0f0f0f0f0f0f0f0"), controls=(SAME,)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "both untitled": (
        "ok.as_the_control_sees_it",
        plain(
            page(PLAIN, title=None, fuzzy="f0f0f0f0f0f0f0f0", sha256="b"),
            controls=(control(page(PLAIN, title=None)),),
        ),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "as its own https page": (
        "ok.as_its_own_https_page",
        plain(page(PLAIN), page(URL)),
        True,
        "ok 0.88 by ok.as_its_own_https_page",
    ),
    "as the https page of where an open redirect led": (
        "ok.as_its_own_https_page",
        plain(
            page(PLAIN, status=302, location=NOTICE),
            page(NOTICE, hop=1),
            page(NOTICE.replace("http:", "https:"), hop=1),
        ),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "unlike its own https page": (
        "ok.as_its_own_https_page",
        plain(page(PLAIN, title="No", fuzzy="f0f0f0f0f0f0f0f0"), page(URL)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "refused like the control": (
        "refused.as_the_control_is",
        plain(page(PLAIN, status=403), controls=(control(page(PLAIN, status=403)),)),
        True,
        "refused 0.85 by refused.as_the_control_is",
    ),
    "refused unlike the control": (
        "refused.as_the_control_is",
        plain(page(PLAIN, status=403), controls=(SAME,)),
        False,
        "inconclusive 0.55 by unclear.plain_page",
    ),
    "sni: answered": (
        "ok.this_name_is_answered",
        record(tcp(), tls(), experiment="sni"),
        True,
        "ok 0.9 by ok.this_name_is_answered",
    ),
    "sni: answered by another server": (
        "ok.this_name_is_answered",
        record(tcp(), tls(trust=FORGED), experiment="sni"),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
    "sni: stopped": (
        "ok.this_name_is_answered",
        record(tcp(), tls(failure=Failure.TIMEOUT), experiment="sni"),
        False,
        "inconclusive 0.5 by unclear.seen_once",
    ),
    "mitm: proven": (
        "ok.own_certificate_every_way",
        record(tcp(), tls()),
        True,
        "inconclusive 0.5 by unclear.no_control",
    ),
    "mitm: forged": (
        "ok.own_certificate_every_way",
        record(tcp(), tls(trust=FORGED)),
        False,
        "inconclusive 0.55 by unclear.whose_certificate",
    ),
}


@pytest.mark.parametrize(("rule", "seen", "expected", "verdict"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, *, expected: bool, verdict: str) -> None:
    assert holds(rule, seen) is expected
    assert verdict_on(seen) == verdict
