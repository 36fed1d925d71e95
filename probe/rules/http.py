"""What pages say that came over a channel anybody could write into.

A page over proven TLS is the server's own word. Anything else is compared with what the control was
given, and with what the same address says to another name. A likeness in length or in headers
acquits nobody, and a difference alone accuses nobody: sites greet every country differently.
"""

from msgspec.structs import replace

from probe.analysis.blockpage_text import reads_like_one, text
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
from probe.reference_data import BlockPage
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
    """Attempts at one address, all of which failed in one way, and the one that says in which."""
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
        shown = _not_the_server(e, last, attempts)
        if after and (before or len(after) > 1) and shown is not None:
            sure, steps = shown
            proof = (*attempts, *before[-1:], *after[-1:], *steps)
            return Finding(proof, sure, mechanisms=_mechanism(last))
    return None


def _not_the_server(
    e: Evidence, last: Http, attempts: list[Http]
) -> tuple[float, tuple[Http, ...]] | None:
    """How sure it is that not the server itself is broken for this host: as with names in TLS."""
    if any(p.failure is None for p in e.control_pages(e.end)):
        return 0.96, ()
    there, steps = at_a_stranger(e, last)
    if there:
        return 0.94, steps
    heard = {s.acknowledged for s in attempts if s.failure is Failure.TIMEOUT}
    if heard == {False}:
        return 0.92, ()
    return None if True in heard or there is False else (0.88, ())


def at_a_stranger(e: Evidence, mine: Http) -> tuple[bool | None, tuple[Http, ...]]:
    """Whether this host fails alike at an unrelated server that answers a harmless one around it.

    None: nobody asked, it was not well itself, or it is not unrelated.
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


def _same_operator(e: Evidence, stranger: Http) -> bool:
    """The supposedly unrelated server says to a harmless host what the target's says to it."""
    harmless = [s for s in e.harmless(Http, hop=stranger.hop) if s.url == stranger.url]
    there = [s for s in harmless if s.address == stranger.address]
    here = [s for s in harmless if s.address != stranger.address]
    return any(similar_pages(one, other) for one in there for other in here)


def _name(page: Http) -> str:
    return page.host.partition(":")[0]


@rule("http.same_notice_elsewhere", Tier.ACCUSED, Outcome.BLOCKED)
def same_notice_elsewhere(e: Evidence) -> Finding | None:
    """An unrelated server gives this host, and no other one, the notice that the site's gives."""
    for step in e.all(Http, role=Role.NEUTRAL):
        mine = plain_pages(e, step.hop)
        if len(mine) < 2 or _name(step) != _name(mine[-1]) or _same_operator(e, step):
            continue
        there = [s for s in e.harmless(Http) if s.address == step.address and s.failure is None]
        others = [s for s in e.harmless(Http, hop=step.hop) if s.host != step.host]
        if len(there) < 2 or any(_same_notice(s, step) for s in others):
            continue
        if all(_same_notice(p, step) for p in mine):
            proof = (*mine[-2:], there[0], step, there[-1])
            return Finding(proof, 0.93, mechanisms=(_kind_of_notice(step),))
    return None


def _same_notice(one: Http, other: Http) -> bool:
    if one.malformed or other.malformed:
        return one.malformed and other.malformed
    if leaves_the_site(other):
        return host_of(one.location or "") == host_of(other.location or "")
    return similar_pages(one, other) and reads_like_one(one)


def _kind_of_notice(page: Http) -> Mechanism:
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
            sure = 0.88 * e.control_weight
            return Finding(tuple(attempts), sure, mechanisms=_mechanism(last))
    return None


def open_pages(e: Evidence, hop: int) -> list[Http]:
    """Pages for the URL of one hop over no proven channel, from the system's addresses."""
    pages = [p for p in e.pages(hop) if p.status is not None or p.malformed]
    given = e.system_addresses(hop)
    mine = [p for p in pages if p.address in given] or pages
    return [p for p in mine if not p.proven]


def plain_pages(e: Evidence, hop: int) -> list[Http]:
    """Those of them that came over no TLS at all."""
    return [p for p in open_pages(e, hop) if p.url.startswith("http:")]


def _only_the_address_is_wrong(e: Evidence, hop: int, pages: list[Http]) -> bool:
    """At the address that others give, the site is as it should be: this is for the DNS rules."""
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
    """Nobody gets a whole page out of this site: the control's attempts end in the same way."""
    pages = e.pages(e.end)
    mine = [p for p in pages if p.failure is not None]
    there = [p for p in e.control(Http, latest=True) if p.url == e.end_url]
    if len(mine) < 2 or len(mine) < len(pages) or not there:
        return None
    if at_a_stranger(e, mine[-1])[0]:
        return None  # it is the host that fails, at whatever server: the control is no better off
    failed = all(p.failure is not None for p in there)
    alike = failed and any(same_failure(p.failure, q.failure) for q in mine for p in there)
    return Finding(tuple(mine), 0.92 * e.control_weight) if alike else None


@rule("http.page_without_a_status", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_INJECTED)
def page_without_a_status(e: Evidence) -> Finding | None:
    """Text came that is no HTTP answer, where the control is answered properly."""
    for hop in range(e.end + 1):
        pages = open_pages(e, hop)
        odd = [p for p in pages if p.malformed]
        if len(odd) < 2 or len(odd) < len(pages) or not _good_control(e, hop):
            continue
        return Finding(tuple(odd), 0.92 * e.control_weight)
    return None


def leaves_the_site(page: Http) -> bool:
    """This redirect leads to another registered name."""
    if page.location is None or not 300 <= (page.status or 0) < 400:
        return False
    return not same_site(host_of(page.url), host_of(page.location))


def _leaves_the_brand(page: Http) -> bool:
    """It leads to a name that is not even called the same in another country."""
    here, there = host_of(page.url), host_of(page.location or "")
    return leaves_the_site(page) and (is_address(there) or not same_brand(here, there))


@rule("http.redirected_away", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_REDIRECTED)
def redirected_away(e: Evidence) -> Finding | None:
    """Here the site redirects to another site over plain http; elsewhere it does not."""
    for hop in range(e.end + 1):
        pages = open_pages(e, hop)
        away = [p for p in pages if _leaves_the_brand(p)]
        if len(away) < 2 or len(away) < len(pages):
            continue
        there = [*_good_control(e, hop), *_own_word(e, hop)]
        same = {host_of(p.location or "") for p in there}
        ends = {host_of(p.url) for p in e.control_ends}
        target = host_of(away[-1].location or "")
        if there and not any(same_site(target, host) for host in same | ends if host):
            return Finding((*away[-2:], *_own_word(e, hop)), 0.95 * (e.control_weight or 0.95))
    return None


def _own_word(e: Evidence, hop: int) -> list[Http]:
    """What the same host says over proven TLS, from here."""
    host = host_of(e.hop_urls.get(hop, ""))
    return [
        p
        for p in e.all(Http, hop=hop)
        if p.proven and p.failure is None and host_of(p.url) == host and p.status is not None
    ]


@rule("http.another_page_here", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_BLOCKPAGE)
def another_page_here(e: Evidence) -> Finding | None:
    """Over plain http this host shows a page that is not the site's and does not belong to it."""
    for hop in range(e.end + 1):
        pages = [p for p in plain_pages(e, hop) if not p.malformed and not leaves_the_site(p)]
        if len(pages) < 2 or _only_the_address_is_wrong(e, hop, pages):
            continue
        there = [*_good_control(e, hop), *e.control_ends, *_own_word(e, hop)]
        good = [p for p in there if (p.status or 599) < 400]
        strange = [p for p in pages if not any(similar_pages(p, q) for q in there)]
        if not good or len(strange) < len(pages) or any(map(_may_be_its_own, strange)):
            continue
        if any(_shares_links(p, q) for p in strange for q in good):
            continue
        steady = similar_pages(strange[0], strange[-1])
        many = e.line.portal_hosts > 1 and page_sign(strange[-1]) == e.line.portal_sign
        if not (many or all(map(reads_like_one, strange)) or _same_by_https(e, hop)):
            continue  # a site may greet every country differently
        sure = (0.95 if many else 0.9) if steady else 0.0
        if sure:
            return Finding((*strange[-2:], *_own_word(e, hop)), sure * (e.control_weight or 0.95))
    return None


def _same_by_https(e: Evidence, hop: int) -> bool:
    """Over proven TLS the site shows here what it shows elsewhere: it does not differ by place."""
    there = [p for p in _good_control(e, hop) + e.control_ends if (p.status or 599) < 300]
    return any(similar_pages(p, q) for p in _own_word(e, hop) for q in there)


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
    """The id of the known block page that this is, or None."""
    found = _known(page)
    return found.id if found else None


def _known(page: Http) -> BlockPage | None:
    from probe.targets import blockpages

    body = text(page).lower()
    for known in blockpages():
        place = {"title": page.title, "location": page.location, "body": body}.get(known.where)
        if place and known.pattern.lower() in place.lower():
            return known
    return None


def _anybodys(page: Http) -> bool:
    """Words that a server may say of itself: in a refusal, or where another title stands above."""
    known = _known(page)
    if known is None or known.scope != "generic":
        return False
    quoted = known.where == "body" and bool(page.title) and not reads_like_one(_titled(page))
    return quoted or page.status in _MAYBE_THE_SERVER


def _titled(page: Http) -> Http:
    return replace(page, body=None)


@rule("http.known_block_page", Tier.ACCUSED, Outcome.BLOCKED, Mechanism.HTTP_BLOCKPAGE)
def known_block_page(e: Evidence) -> Finding | None:
    """A known block page came over a channel that anybody could write into."""
    for hop in range(e.end + 1):
        pages = plain_pages(e, hop)
        known = [p for p in pages if known_page(p)]
        there = e.control_pages(hop)
        if same_site(host_of(e.hop_urls.get(hop, "")), e.host):
            there = [*there, *_own_word(e, hop)]  # a site may itself speak of blocking
        if len(known) < 2 or len(known) < len(pages):
            continue
        if _only_the_address_is_wrong(e, hop, known):
            continue
        if any(known_page(p) or similar_pages(p, known[-1]) for p in there):
            continue
        if not there and any(map(_anybodys, known)):
            continue
        return Finding(tuple(known[-2:]), 0.93 if there else 0.85)
    return None


@rule("http.one_page_of_the_site", Tier.NOTE, None)
def one_page_of_the_site(e: Evidence) -> Finding | None:
    """Another page of the same host is answered: it is this page that is stopped, not the site."""
    failing = [p for _, group in _failing(e) for p in group]
    strange = failing or [p for p in open_pages(e, e.end) if known_page(p) or p.malformed]
    other = [
        p
        for p in e.harmless(Http, e.end)
        if p.failure is None and p.host == e.end_host and p.url != e.end_url
    ]
    return Finding((*strange[-1:], *other[-1:]), 0.0) if strange and other else None
