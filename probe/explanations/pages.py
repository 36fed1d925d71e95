"""Innocent explanations of a page, a redirect or a reply over plain http.

A site may itself write about blocking, send some countries elsewhere, or be closed by its hoster.
What shows that a page is not the site's own is a server that has nothing to do with it.
"""

from probe.analysis.evidence import Evidence
from probe.analysis.shared import FINE, kind_and_sign
from probe.compare import is_stock, page_sign, similar_pages
from probe.model import Http, Role
from probe.rule import Match
from probe.rules.http import good_control, same_answer
from probe.rules.http_pages import one_operators_notice

# Rules whose pages the site's own server might send.
_MAY_BE_ITS_OWN = frozenset(
    {
        "http.another_page_here",
        "http.known_block_page",
        "http.redirected_away",
        "http.page_without_a_status",
    }
)
# One hoster's page for closed sites comes from several of its servers.
_SEVERAL_NETWORKS = 3
_REDIRECTS_FROM = 300


def same_for_every_host(e: Evidence, match: Match) -> str | None:
    """A harmless host at the same address, or an unrelated site, gets another page or redirect."""
    accused = [s for s in match.on_target(e) if isinstance(s, Http)]
    signs = {sign for s in accused if (sign := _plain_sign(s)) is not None} - {FINE}
    if not signs:
        return None
    names = {_name(s) for s in accused}
    harmless = [s for s in map(_plain_sign, e.harmless(Http)) if s is not None]
    if harmless and signs.issuperset(harmless):
        return "The same page or redirect came for a harmless host, so it is not about this site."
    unrelated = [*e.all(Http, role=Role.REFERENCE), *e.all(Http, role=Role.NEUTRAL)]
    if any(_plain_sign(s) in signs for s in unrelated if _name(s) not in names):
        return "The same page or redirect came for an unrelated site, so it is not about this one."
    return None


def perhaps_the_sites_own(e: Evidence, match: Match) -> str | None:
    """An unrelated server shows it, or several networks, or the site's page comes for any host."""
    accused = [s for s in match.on_target(e) if isinstance(s, Http) and not s.proven]
    if match.rule.id not in _MAY_BE_ITS_OWN or not accused:
        return None
    if all(map(one_operators_notice, accused)) or _at_several_networks(e, accused[-1]):
        return None
    if _site_answers_any_host(e, accused[-1]):
        return None
    offered = [
        s
        for s in e.all(Http, role=Role.NEUTRAL)
        if _name(s) == _name(accused[-1]) and s.address != accused[-1].address
        if s.status is not None or s.malformed
    ]
    if any(same_answer(s, accused[-1]) and not _for_harmless_too(e, s) for s in offered):
        return None
    if offered:
        return "An unrelated server, offered the same name, does not show this page."
    return "No unrelated server was seen to show this page: it may be the site's own."


def _at_several_networks(e: Evidence, page: Http) -> bool:
    same = page_sign(page) == e.line.portal_sign
    return same and e.line.portal_hosts >= _SEVERAL_NETWORKS and not is_stock(page)


def _site_answers_any_host(e: Evidence, page: Http) -> bool:
    """For a harmless host the server shows the site's own page: it has no other for this host."""
    here = [s for s in e.harmless(Http, hop=page.hop) if s.address == page.address]
    proven = [s for s in e.all(Http, hop=page.hop) if s.proven and _name(s) == _name(page)]
    own = [s for s in (*proven, *good_control(e, page.hop)) if not is_stock(s)]
    good = [s for s in own if s.failure is None and (s.status or 599) < _REDIRECTS_FROM]
    return any(similar_pages(s, q) for s in here for q in good)


def _for_harmless_too(e: Evidence, page: Http) -> bool:
    there = [s for s in e.harmless(Http) if s.address == page.address]
    return any(same_answer(s, page) for s in there)


def _name(page: Http) -> str:
    """The host that was asked for, without a port: an unrelated server listens at its own."""
    return page.host.partition(":")[0]


def _plain_sign(page: Http) -> str | None:
    known = kind_and_sign(page)
    return known[1] if known is not None and known[0][0] == "http" else None
