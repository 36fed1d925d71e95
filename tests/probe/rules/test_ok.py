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
from tests.probe.rules.check import holds

NOTICE = "http://stop.example/"
PARTIAL = replace(VALID, valid=False, anchored=False, reason=TrustReason.INCOMPLETE)
NATIONAL = replace(FORGED, authority=Authority(id="ru", kind="national", proof="claimed"))
LOOP = page(status=302, location=URL)
BROKEN = (tcp(), tls(), page(status=502))
SAME = control(dns(GOOD), tcp(port=80), page(PLAIN))


def plain(*pages: object, **more: object) -> Record:
    return record(dns(GOOD), tcp(port=80), *pages, url=PLAIN, **more)  # type: ignore[arg-type]


TABLE = {
    "proven": ("ok.proven", record(dns(GOOD), *fetched()), True),
    "proven, a missing page": ("ok.proven", record(dns(GOOD), *fetched(status=404)), True),
    "proven only at an address that others gave": (
        "ok.proven",
        record(nxdomain(), doh(GOOD), *fetched()),
        False,
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
    ),
    "refused": ("refused.by_the_server", record(dns(GOOD), *fetched(status=451)), True),
    "refused: a challenge": (
        "refused.by_the_server",
        record(dns(GOOD), *fetched(status=503, title="Just a moment...")),
        True,
    ),
    "refused by somebody unproven": (
        "refused.by_the_server",
        plain(page(PLAIN, status=403)),
        False,
    ),
    "broken for all": (
        "down.server_error",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *BROKEN),)),
        True,
    ),
    "broken for us": (
        "down.server_error",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *fetched()),)),
        False,
    ),
    "an error for us alone": (
        "refused.server_error_here",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *fetched()),)),
        True,
    ),
    "an error for all is no refusal": (
        "refused.server_error_here",
        record(dns(GOOD), *BROKEN, controls=(control(dns(GOOD), *BROKEN),)),
        False,
    ),
    "endless redirects": ("down.endless_redirects", record(dns(GOOD), tcp(), tls(), LOOP), True),
    "one redirect": (
        "down.endless_redirects",
        record(dns(GOOD), tcp(), tls(), page(status=302, location=f"https://www.{HOST}/")),
        False,
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
    ),
    "as the control sees it": (
        "ok.as_the_control_sees_it",
        plain(page(PLAIN), controls=(SAME,)),
        True,
    ),
    "only as long as what the control sees": (
        "ok.as_the_control_sees_it",
        plain(page(PLAIN, title="No", fuzzy="f0f0f0f0f0f0f0f0"), controls=(SAME,)),
        False,
    ),
    "both untitled": (
        "ok.as_the_control_sees_it",
        plain(
            page(PLAIN, title=None, fuzzy="f0f0f0f0f0f0f0f0", sha256="b"),
            controls=(control(page(PLAIN, title=None)),),
        ),
        False,
    ),
    "as its own https page": ("ok.as_its_own_https_page", plain(page(PLAIN), page(URL)), True),
    "as the https page of where an open redirect led": (
        "ok.as_its_own_https_page",
        plain(
            page(PLAIN, status=302, location=NOTICE),
            page(NOTICE, hop=1),
            page(NOTICE.replace("http:", "https:"), hop=1),
        ),
        False,
    ),
    "unlike its own https page": (
        "ok.as_its_own_https_page",
        plain(page(PLAIN, title="No", fuzzy="f0f0f0f0f0f0f0f0"), page(URL)),
        False,
    ),
    "refused like the control": (
        "refused.as_the_control_is",
        plain(page(PLAIN, status=403), controls=(control(page(PLAIN, status=403)),)),
        True,
    ),
    "refused unlike the control": (
        "refused.as_the_control_is",
        plain(page(PLAIN, status=403), controls=(SAME,)),
        False,
    ),
    "sni: answered": ("ok.this_name_is_answered", record(tcp(), tls(), experiment="sni"), True),
    "sni: answered by somebody else": (
        "ok.this_name_is_answered",
        record(tcp(), tls(trust=FORGED), experiment="sni"),
        False,
    ),
    "sni: stopped": (
        "ok.this_name_is_answered",
        record(tcp(), tls(failure=Failure.TIMEOUT), experiment="sni"),
        False,
    ),
    "mitm: proven": ("ok.own_certificate_every_way", record(tcp(), tls()), True),
    "mitm: forged": ("ok.own_certificate_every_way", record(tcp(), tls(trust=FORGED)), False),
}


@pytest.mark.parametrize(("rule", "seen", "expected"), TABLE.values(), ids=list(TABLE))
def test_rule(rule: str, seen: Record, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert holds(rule, seen) is expected
