"""Whose page it is: an unrelated server shows it; `rules/test_http_pages.py` has the table."""

from msgspec.structs import replace

from probe.model import Line
from tests.build import GOOD, HARMLESS, PLAIN, URL, again, at_unrelated, dns, harmless, page, record
from tests.probe.rules.check import verdict_on

NOTICE = page(PLAIN, title="Account suspended", fuzzy="f0f0f0f0f0f0f0f0", sha256="note")
SEEN = (dns(GOOD), NOTICE, *again(NOTICE, page(URL)))
OPEN = "inconclusive 0.5 by verdict.not_excluded"
BLOCKED = "blocked http.blockpage 0.902 by http.another_page_here"


def several(hosts: int) -> Line:
    return Line(portal_hosts=hosts, portal_sign="note")


def test_a_page_at_two_networks_may_be_one_hosters() -> None:
    assert verdict_on(record(*SEEN, url=PLAIN, line=several(2))) == OPEN


def test_a_page_at_three_unrelated_networks_is_not() -> None:
    assert verdict_on(record(*SEEN, url=PLAIN, line=several(3))) == BLOCKED


def test_an_unrelated_server_that_shows_it_to_every_host_shows_nothing() -> None:
    there = at_unrelated(NOTICE)
    line = several(2)
    assert verdict_on(record(*SEEN, there, url=PLAIN, line=line)) == BLOCKED
    too = replace(harmless(there), host=HARMLESS)
    assert verdict_on(record(*SEEN, there, too, url=PLAIN, line=line)) == OPEN


def test_the_sites_own_page_for_a_harmless_host_shows_that_the_server_has_no_other() -> None:
    own = replace(harmless(page(PLAIN)), host=HARMLESS)
    assert verdict_on(record(*SEEN, own, url=PLAIN, line=several(2))) == BLOCKED
    default = replace(own, title="404 Not Found", status=404)
    assert verdict_on(record(*SEEN, default, url=PLAIN, line=several(2))) == OPEN
