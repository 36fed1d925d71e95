"""Whose authority it is: the name offered elsewhere; `rules/test_tls_interception.py` has more."""

from msgspec.structs import replace

from tests.build import (
    FORGED,
    GOOD,
    OTHER,
    VALID,
    again,
    at_unrelated as elsewhere,
    control,
    dns,
    fetched,
    harmless,
    record,
    tcp,
    tls,
)
from tests.probe.rules.check import verdict_on

SEEN = (dns(GOOD), tcp(), tls(trust=FORGED), *again(tcp(), tls(trust=FORGED)))
NEIGHBOUR = harmless(tls(trust=replace(VALID, named=False)))
OPEN = "inconclusive 0.5 by verdict.not_excluded"


def test_a_control_at_another_address_says_nothing_about_this_node() -> None:
    there = control(dns(OTHER), *fetched(OTHER))
    assert verdict_on(record(*SEEN, NEIGHBOUR, controls=(there,))) == OPEN


def test_a_control_at_this_address_got_another() -> None:
    there = control(dns(GOOD), *fetched(GOOD), age=60.0)
    verdict = verdict_on(record(*SEEN, NEIGHBOUR, controls=(there,)))
    assert verdict == "intercepted tls.mitm 0.97 by tls.control_sees_another_certificate"


def test_the_controls_address_is_shown_the_same_authority_here() -> None:
    there = control(dns(OTHER), *fetched(OTHER), age=60.0)
    both = record(*SEEN, NEIGHBOUR, tls(OTHER, trust=FORGED), controls=(there,))
    assert verdict_on(both).startswith("intercepted tls.mitm 0.97")


def test_an_unrelated_server_shows_another_or_the_same() -> None:
    own = replace(VALID, named=False, subject="CN=site.example")
    seen = (*SEEN, harmless(tls(trust=own)))
    assert verdict_on(record(*seen, elsewhere(tls(trust=VALID)))) == OPEN
    assert verdict_on(record(*seen, elsewhere(tls(trust=FORGED)))).startswith("intercepted")


def test_a_certificate_of_an_antivirus_accuses_no_network() -> None:
    """Such a product re-signs some sites and exempts others."""
    there = control(dns(GOOD), *fetched(GOOD), age=60.0)
    for issuer in ("CN=Kaspersky Anti-Virus Personal Root", "O=Menlo Security,CN=x"):
        forged = (tcp(), tls(trust=replace(FORGED, issuer=issuer)))
        made = record(dns(GOOD), *forged, *again(*forged), NEIGHBOUR, controls=(there,))
        assert verdict_on(made) == OPEN
