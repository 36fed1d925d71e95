"""Rules on HTTP pages that came over a channel the network can write into.

A page over proven TLS is the server's own. Other pages are compared with the control's, and with
the page of the same address for another host. A similar length or header clears nothing, and a
difference alone proves nothing: sites show every country another page.
"""

from msgspec.structs import replace

from probe.analysis.blockpage_text import reads_like_blockpage, text
from probe.analysis.evidence import Evidence, by_address, steadily
from probe.analysis.slowness import cut_short
from probe.compare import (
    host_of,
    is_address,
    page_sign,
    same_brand,
    same_failure,
    same_site,
    similar_pages,
)
from probe.failure import Failure
from probe.model import Http, Mechanism, Outcome, Role
from probe.reference_data import BlockPage, blockpages
from probe.rule import WEB, Finding, Tier, rule

EXPERIMENTS = WEB

MECHANISMS = {
    Failure.RESET: Mechanism.HTTP_RESET,
    Failure.ABORTED: Mechanism.HTTP_RESET,
    Failure.TIMEOUT: Mechanism.HTTP_TIMEOUT,
    Failure.EOF: Mechanism.HTTP_EOF,
}
_MAYBE_THE_SERVER = {401, 403, 429, 451, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526}


def _failing(e: Evidence) -> list[tuple[Http, list[Http]]]:
    """For each address whose attempts all failed alike: the last of them, and all of them."""
    pages = e.pages(e.end)
    given = e.system_addresses(e.end)
    if any(p.failure is None for p in pages if p.address in given):
        return []
    groups = [(steadily(attempts), attempts) for _, attempts in by_address(pages)]
    return [
        (last, attempts)
        for last, attempts in groups
        if last is not None and last.failure in MECHANISMS and not attempts[-1].malformed
    ]


def _mechanism(page: Http) -> tuple[Mechanism, ...]:
    return (MECHANISMS[page.failure],) if page.failure is not None else ()


@rule("http.fails_for_this_host", Tier.ACCUSED, Outcome.BLOCKED)
def fails_for_this_host(e: Evidence) -> Finding | None:
    """Requests for this host fail, and a harmless host is answered at the same address."""
    for last, attempts in _failing(e):
        if any(p.received_bytes or p.status is not None or cut_short(p) for p in attempts[-1:]):
            continue
        other = [
            s
            for s in e.harmless(Http)
            if s.address == last.address and s.port == last.port and s.bytes_in > 0
        ]
        before = [s for s in other if s.at <= attempts[-1].at]
        after = [s for s in other if s.at > attempts[-1].at]
        proof = _not_the_server(e, last, attempts)
        if after and (before or len(after) > 1) and proof is not None:
            confidence, steps = proof
            steps = (*attempts, *before[-1:], *after[-1:], *steps)
            return Finding(steps, confidence, mechanisms=_mechanism(last))
    return None


def _not_the_server(
    e: Evidence, last: Http, attempts: list[Http]
) -> tuple[float, tuple[Http, ...]] | None:
    """The confidence that the server itself is not broken for this host; see `tls.py`."""
    if any(p.failure is None for p in e.control_pages(e.end)):
        return 0.96, ()
    there, steps = at_unrelated_server(e, last)
    if there:
        return 0.94, steps
    acknowledged = {s.acknowledged for s in attempts if s.failure is Failure.TIMEOUT}
    if acknowledged == {False}:
        return 0.92, ()
    return None if True in acknowledged or there is False else (0.88, ())


def at_unrelated_server(e: Evidence, mine: Http) -> tuple[bool | None, tuple[Http, ...]]:
    """Whether this host fails alike at an unrelated server that answers a harmless one around it.

    None: not tried, the server failed for the harmless host too, or it is not unrelated.
    """
    for step in e.all(Http, role=Role.NEUTRAL, hop=mine.hop):
        if _name(step) != _name(mine) or step.address == mine.address or _same_operator(e, step):
            continue
        here = [s for s in e.harmless(Http) if s.address == step.address and s.bytes_in]
        before, after = [s for s in here if s.at < step.at], [s for s in here if s.at > step.at]
        if step.bytes_in and before:
            return False, (step,)
        if before and after and same_failure(step.failure, mine.failure):
            return True, (before[-1], step, after[0])
    return None, ()


def _same_operator(e: Evidence, other: Http) -> bool:
    """The supposedly unrelated server shows a harmless host the page that the target's shows."""
    harmless = [s for s in e.harmless(Http, hop=other.hop) if s.url == other.url]
    there = [s for s in harmless if s.address == other.address]
    here = [s for s in harmless if s.address != other.address]
    return any(similar_pages(one, other) for one in there for other in here)


def _name(page: Http) -> str:
    return page.host.partition(":")[0]


@rule("http.same_notice_elsewhere", Tier.ACCUSED, Outcome.BLOCKED)
def same_notice_elsewhere(e: Evidence) -> Finding | None:
    """An unrelated server shows the same notice as the site's server, for this host only."""
    for step in e.all(Http, role=Role.NEUTRAL):
        mine = plain_pages(e, step.hop)
        if len(mine) < 2 or _name(step) != _name(mine[-1]) or _same_operator(e, step):
            continue
        there = [s for s in e.harmless(Http) if s.address == step.address and s.failure is None]
        others = [s for s in e.harmless(Http, hop=step.hop) if s.host != step.host]
        if len(there) < 2 or any(_same_notice(s, step) for s in others):
            continue
        if all(_same_notice(p, step) for p in mine):
            steps = (*mine[-2:], there[0], step, there[-1])
            return Finding(steps, 0.93, mechanisms=(_notice_mechanism(step),))
    return None


def _same_notice(one: Http, other: Http) -> bool:
    if one.malformed or other.malformed:
        return one.malformed and other.malformed
    if leaves_the_site(other):
        return host_of(one.location or "") == host_of(other.location or "")
    return similar_pages(one, other) and reads_like_blockpage(one)


def _notice_mechanism(page: Http) -> Mechanism:
    if page.malformed:
        return Mechanism.HTTP_INJECTED
    return Mechanism.HTTP_REDIRECTED if leaves_the_site(page) else Mechanism.HTTP_BLOCKPAGE


@rule("http.fails_here_only", Tier.ACCUSED, Outcome.BLOCKED)
def fails_here_only(e: Evidence) -> Finding | None:
    """Requests to this address fail here every time, and work for the control."""
    there = {p.address for p in e.control_pages(e.end) if p.failure is None}
    for last, attempts in _failing(e):
        if cut_short(attempts[-1]):
            continue  # slow, or frozen: not for this rule
        if last.address in there and e.alive_around(last):
            confidence = 0.88 * e.control_weight
            return Finding(tuple(attempts), confidence, mechanisms=_mechanism(last))
    return None


def open_pages(e: Evidence, hop: int) -> list[Http]:
    """Unproven pages for the URL of one hop, from the system resolver's addresses if any."""
    pages = [p for p in e.pages(hop) if p.status is not None or p.malformed]
    given = e.system_addresses(hop)
    mine = [p for p in pages if p.address in given] or pages
    return [p for p in mine if not p.proven]


def plain_pages(e: Evidence, hop: int) -> list[Http]:
    """Those of the open pages that came over plain http."""
    return [p for p in open_pages(e, hop) if p.url.startswith("http:")]


def _only_the_address_is_wrong(e: Evidence, hop: int, pages: list[Http]) -> bool:
    """Another page comes from the address that others give: the DNS rules judge this case."""
    given, others = e.system_addresses(hop), e.other_addresses(hop)
    if given & others or not others:
        return False
    there = [p for p in e.pages(hop) if p.address in others and p.failure is None]
    return any(not similar_pages(p, q) for p in there for q in pages[-1:])


def _good_control(e: Evidence, hop: int) -> list[Http]:
    pages = e.control_pages(hop)
    return [p for p in pages if p.failure is None and not p.malformed and p.status is not None]


@rule("http.broken_everywhere", Tier.CLEARED, Outcome.DOWN)
def broken_everywhere(e: Evidence) -> Finding | None:
    """The site sends no complete page: requests fail here and for the control in the same way."""
    pages = e.pages(e.end)
    mine = [p for p in pages if p.failure is not None]
    there = [p for p in e.control(Http, latest=True) if p.url == e.end_url]
    if len(mine) < 2 or len(mine) < len(pages) or not there:
        return None
    if at_unrelated_server(e, mine[-1])[0]:
        return None  # the host fails at every server, so the control may be filtered too
    failed = all(p.failure is not None for p in there)
    alike = failed and any(same_failure(p.failure, q.failure) for q in mine for p in there)
    return Finding(tuple(mine), 0.92 * e.control_weight) if alike else None


@rule("http.page_without_a_status", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_INJECTED)
def page_without_a_status(e: Evidence) -> Finding | None:
    """The reply is not valid HTTP, and the control gets a valid response."""
    for hop in range(e.end + 1):
        pages = open_pages(e, hop)
        odd = [p for p in pages if p.malformed]
        if len(odd) < 2 or len(odd) < len(pages) or not _good_control(e, hop):
            continue
        return Finding(tuple(odd), 0.92 * e.control_weight)
    return None


def leaves_the_site(page: Http) -> bool:
    """The page redirects to another registered name."""
    if page.location is None or not 300 <= (page.status or 0) < 400:
        return False
    return not same_site(host_of(page.url), host_of(page.location))


def _leaves_the_brand(page: Http) -> bool:
    """The page redirects to a name that is not the same brand under another country's domain."""
    here, there = host_of(page.url), host_of(page.location or "")
    return leaves_the_site(page) and (is_address(there) or not same_brand(here, there))


@rule("http.redirected_away", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_REDIRECTED)
def redirected_away(e: Evidence) -> Finding | None:
    """The site redirects to another site over plain http here, and not for the control."""
    for hop in range(e.end + 1):
        pages = open_pages(e, hop)
        away = [p for p in pages if _leaves_the_brand(p)]
        if len(away) < 2 or len(away) < len(pages):
            continue
        proven = _proven_pages(e, hop)
        there = [*_good_control(e, hop), *proven]
        same = {host_of(p.location or "") for p in there}
        ends = {host_of(p.url) for p in e.control_ends}
        target = host_of(away[-1].location or "")
        if there and not any(same_site(target, host) for host in same | ends if host):
            return Finding((*away[-2:], *proven), 0.95 * (e.control_weight or 0.95))
    return None


def _proven_pages(e: Evidence, hop: int) -> list[Http]:
    """The same host's pages over proven TLS, from here."""
    host = host_of(e.hop_urls.get(hop, ""))
    return [
        p
        for p in e.all(Http, hop=hop)
        if p.proven and p.failure is None and host_of(p.url) == host and p.status is not None
    ]


@rule("http.another_page_here", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_BLOCKPAGE)
def another_page_here(e: Evidence) -> Finding | None:
    """Over plain http the host shows a page that is not the site's and does not belong to it."""
    for hop in range(e.end + 1):
        pages = [p for p in plain_pages(e, hop) if not p.malformed and not leaves_the_site(p)]
        if len(pages) < 2 or _only_the_address_is_wrong(e, hop, pages):
            continue
        proven = _proven_pages(e, hop)
        there = [*_good_control(e, hop), *e.control_ends, *proven]
        good = [p for p in there if (p.status or 599) < 400]
        strange = [p for p in pages if not any(similar_pages(p, q) for q in there)]
        if not good or len(strange) < len(pages) or any(map(_may_be_its_own, strange)):
            continue
        if any(_shares_links(p, q) for p in strange for q in good):
            continue
        steady = similar_pages(strange[0], strange[-1])
        many = e.line.portal_hosts > 1 and page_sign(strange[-1]) == e.line.portal_sign
        if not (many or all(map(reads_like_blockpage, strange)) or _same_by_https(e, hop)):
            continue  # a site may show every country another page
        if steady:
            confidence = (0.95 if many else 0.9) * (e.control_weight or 0.95)
            return Finding((*strange[-2:], *proven), confidence)
    return None


def _same_by_https(e: Evidence, hop: int) -> bool:
    """Over proven TLS the page is the control's: the site does not differ by country."""
    there = [p for p in _good_control(e, hop) + e.control_ends if (p.status or 599) < 300]
    return any(similar_pages(p, q) for p in _proven_pages(e, hop) for q in there)


def _may_be_its_own(page: Http) -> bool:
    """A refusal or an error that the server itself may have sent, or a redirect within the site."""
    if page.status is not None and 300 <= page.status < 400:
        return True
    return page.status in _MAYBE_THE_SERVER and not known_page(page)


def _shares_links(page: Http, good: Http) -> bool:
    """The page belongs to the site: it links to it, or to what the site links to."""
    own = any(same_site(link, host_of(page.url)) for link in page.links)
    return own or len(set(page.links) & set(good.links)) >= 2


def known_page(page: Http) -> str | None:
    """The id of the known block page that matches, or None."""
    found = _known(page)
    return found.id if found else None


def _known(page: Http) -> BlockPage | None:
    texts = {"title": page.title, "location": page.location, "body": text(page)}
    for known in blockpages():
        found = texts.get(known.where)
        if found and known.pattern.lower() in found.lower():
            return known
    return None


def _may_be_a_servers(page: Http) -> bool:
    """The known text is generic: a server may use it in a refusal, or under an unrelated title."""
    known = _known(page)
    if known is None or known.scope != "generic":
        return False
    title_alone = replace(page, body=None)
    quoted = known.where == "body" and bool(page.title) and not reads_like_blockpage(title_alone)
    return quoted or page.status in _MAYBE_THE_SERVER


@rule("http.known_block_page", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_BLOCKPAGE)
def known_block_page(e: Evidence) -> Finding | None:
    """A known block page came over plain http."""
    for hop in range(e.end + 1):
        pages = plain_pages(e, hop)
        known = [p for p in pages if known_page(p)]
        there = e.control_pages(hop)
        if same_site(host_of(e.hop_urls.get(hop, "")), e.host):
            there = [*there, *_proven_pages(e, hop)]  # a site may itself write about blocking
        if len(known) < 2 or len(known) < len(pages):
            continue
        if _only_the_address_is_wrong(e, hop, known):
            continue
        if any(known_page(p) or similar_pages(p, known[-1]) for p in there):
            continue
        if not there and any(map(_may_be_a_servers, known)):
            continue
        return Finding(tuple(known[-2:]), 0.93 if there else 0.85)
    return None


@rule("http.one_page_of_the_site", Tier.NOTE, None)
def one_page_of_the_site(e: Evidence) -> Finding | None:
    """Another page of the same host is answered: this page is blocked, not the whole site."""
    failing = [p for _, group in _failing(e) for p in group]
    strange = failing or [p for p in open_pages(e, e.end) if known_page(p) or p.malformed]
    other = [
        p
        for p in e.harmless(Http, e.end)
        if p.failure is None and p.host == e.end_host and p.url != e.end_url
    ]
    return Finding((*strange[-1:], *other[-1:]), 0.0) if strange and other else None
