"""Rules on what a page over a channel says that the network can write into.

Pages are compared with the control's page and with the site's own page over proven TLS. A
difference alone proves nothing: sites show every country another page.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from probe.analysis.blockpage_text import reads_like_blockpage, text
from probe.analysis.evidence import Evidence
from probe.compare import (
    host_of,
    is_address,
    is_stock,
    page_sign,
    same_brand,
    same_site,
    similar_pages,
)
from probe.model import Http, Mechanism, Outcome
from probe.reference_data import BlockPage, blockpages
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule
from probe.rules.http import (
    failing_pages,
    good_control,
    leaves_the_site,
    open_pages,
    plain_pages,
)

EXPERIMENTS = WEB

# With fewer unrelated sites, one redirect for all of them may be their owner's.
_SEVERAL = 3
_MAYBE_THE_SERVER = {401, 403, 429, 451, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526}


def _only_the_address_is_wrong(e: Evidence, hop: int, pages: list[Http]) -> bool:
    """Another page comes from the address that others give: the DNS rules judge this case."""
    given, others = e.system_addresses(hop), e.other_addresses(hop)
    if given & others or not others:
        return False
    there = [p for p in e.pages(hop) if p.address in others and p.failure is None]
    return any(not similar_pages(p, q) for p in there for q in pages[-1:])


@rule(
    "http.page_without_a_status",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.HTTP_INJECTED,
    excludes={
        InnocentExplanation.SERVER: "a control gets a valid response",
        InnocentExplanation.MEANS: "the bytes are kept as they came",
        InnocentExplanation.CHANCE: "at least two replies, every one malformed",
    },
)
def page_without_a_status(e: Evidence) -> Finding | None:
    """The reply is not valid HTTP, and the control gets a valid response."""
    for hop in range(e.end + 1):
        pages = open_pages(e, hop)
        odd = [p for p in pages if p.malformed]
        if len(odd) < 2 or len(odd) < len(pages) or not good_control(e, hop):
            continue
        return Finding(tuple(odd), 0.92 * e.control_weight)
    return None


def _leaves_the_brand(page: Http) -> bool:
    """The page redirects to a name that is not the same brand under another country's domain."""
    here, there = host_of(page.url), host_of(page.location or "")
    return leaves_the_site(page) and (is_address(there) or not same_brand(here, there))


@rule(
    "http.redirected_away",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.HTTP_REDIRECTED,
    excludes={
        InnocentExplanation.SERVER: "its own proven page, or several unrelated sites, show it",
        InnocentExplanation.MEANS: "a redirect is read as browsers read it",
        InnocentExplanation.CHANCE: "at least two replies, every one redirected",
    },
)
def redirected_away(e: Evidence) -> Finding | None:
    """Over plain http the site redirects to another site, and the site itself does not."""
    for hop in range(e.end + 1):
        # Over an untrusted certificate a redirect is the interceptor's, or a login page's.
        pages = plain_pages(e, hop)
        away = [p for p in pages if _leaves_the_brand(p)]
        if len(away) < 2 or len(away) < len(pages):
            continue
        there = [*good_control(e, hop), *_proven_pages(e, hop)]
        same = {host_of(p.location or "") for p in there}
        ends = {host_of(p.url) for p in e.control_ends}
        target = host_of(away[-1].location or "")
        if any(same_site(target, host) for host in same | ends if host):
            continue
        proof = _not_redirected_by_the_site(e, hop, away[-1])
        if proof is not None:
            return Finding((*away[-2:], *proof), 0.95 * (e.control_weight or 0.95))
    return None


def _not_redirected_by_the_site(e: Evidence, hop: int, away: Http) -> tuple[Http, ...] | None:
    """What shows that the redirect is not the site's: its proven page, or unrelated sites.

    A control that is not redirected does not show it: a site may redirect some countries only. A
    control that was redirected elsewhere even shows the contrary: the site redirects, at random.
    """
    control = good_control(e, hop)
    if any(_leaves_the_brand(p) for p in control):
        return None
    stays = [p for p in _good_proven(e, hop) if not leaves_the_site(p)]
    if stays:
        return tuple(stays)
    shared = e.line.portal_hosts >= _SEVERAL and page_sign(away) == e.line.portal_sign
    return () if known_page(away) or (shared and control) else None


def _proven_pages(e: Evidence, hop: int) -> list[Http]:
    """The same host's pages over proven TLS, from here."""
    host = host_of(e.hop_urls.get(hop, ""))
    return [
        p
        for p in e.all(Http, hop=hop)
        if p.proven and p.failure is None and host_of(p.url) == host and p.status is not None
    ]


@rule(
    "http.another_page_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.HTTP_BLOCKPAGE,
    excludes={
        InnocentExplanation.SERVER: "its proven page is another, or unrelated sites show this one",
        InnocentExplanation.MEANS: "pages are compared by several features",
        InnocentExplanation.CHANCE: "at least two pages that are alike",
    },
)
def another_page_here(e: Evidence) -> Finding | None:
    """Over plain http the host shows a page that is not the site's and does not belong to it."""
    for hop in range(e.end + 1):
        pages = [p for p in plain_pages(e, hop) if not p.malformed and not leaves_the_site(p)]
        if len(pages) < 2 or _only_the_address_is_wrong(e, hop, pages):
            continue
        proven = _proven_pages(e, hop)
        there = [*good_control(e, hop), *e.control_ends, *proven]
        good = [p for p in there if (p.status or 599) < 400]
        strange = [p for p in pages if not any(similar_pages(p, q) for q in there)]
        if not good or len(strange) < len(pages) or any(map(_may_be_its_own, strange)):
            continue
        if any(_shares_links(p, q) for p in strange for q in good):
            continue
        steady = similar_pages(strange[0], strange[-1])
        many = _at_several_sites(e, strange[-1])
        notice = bool(_good_proven(e, hop)) and all(map(reads_like_blockpage, strange))
        if not (many or notice or _same_by_https(e, hop)):
            continue  # a site may show every country another page, and write about blocking itself
        if steady:
            confidence = (0.95 if many else 0.9) * (e.control_weight or 0.95)
            return Finding((*strange[-2:], *proven), confidence)
    return None


def _good_proven(e: Evidence, hop: int) -> list[Http]:
    """Those of its proven pages that have the site's content."""
    return [p for p in _proven_pages(e, hop) if (p.status or 599) < 400 and not is_stock(p)]


def _at_several_sites(e: Evidence, page: Http) -> bool:
    """Several unrelated sites show this page, and it is none that servers bring along."""
    many = e.line.portal_hosts > 1 and page_sign(page) == e.line.portal_sign
    return many and not is_stock(page)


def _same_by_https(e: Evidence, hop: int) -> bool:
    """Over proven TLS the page is the control's: the site does not differ by country."""
    there = [p for p in good_control(e, hop) + e.control_ends if (p.status or 599) < 300]
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


def one_operators_notice(page: Http) -> bool:
    """A known text that only one operator's notice has, not a phrase that any server may use."""
    found = _known(page)
    return found is not None and found.scope != "generic" and not _may_be_a_servers(page)


def authoritys_notice(page: Http) -> bool:
    """A known text of an authority's or of one provider's; products are an office's as well."""
    if page.status in _MAYBE_THE_SERVER:
        return False
    own = [known for known in _all_known(page) if known.scope in {"national", "operator"}]
    return any(not _is_quoted(known, page) for known in own)


def _known(page: Http) -> BlockPage | None:
    return next(_all_known(page), None)


def _all_known(page: Http) -> Iterator[BlockPage]:
    texts = {"title": page.title, "location": page.location, "body": text(page)}
    for known in blockpages():
        found = texts.get(known.where)
        if found and known.pattern.lower() in found.lower():
            yield known


def _is_quoted(known: BlockPage, page: Http) -> bool:
    """The known text is in a page of an unrelated title."""
    title_alone = replace(page, body=None)
    return known.where == "body" and bool(page.title) and not reads_like_blockpage(title_alone)


def _may_be_a_servers(page: Http) -> bool:
    """The known text is generic: a server may use it in a refusal, or under an unrelated title."""
    known = _known(page)
    if known is None:
        return False
    return _is_quoted(known, page) or page.status in _MAYBE_THE_SERVER


@rule(
    "http.known_block_page",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.HTTP_BLOCKPAGE,
    excludes={
        InnocentExplanation.SERVER: "its proven page is another, or only one operator writes it",
        InnocentExplanation.MEANS: "the text of a known notice is in the page",
        InnocentExplanation.CHANCE: "at least two pages, every one the notice",
    },
)
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
        if any(_may_be_its_own_words(e, hop, p) for p in known):
            continue
        return Finding(tuple(known[-2:]), 0.93 if there else 0.85)
    return None


def _may_be_its_own_words(e: Evidence, hop: int, page: Http) -> bool:
    """The site itself may have written the known text, for this country or about blocking.

    Neither where its proven page differs, nor where several unrelated sites show the page. Else
    only the text of one operator's page counts, not a phrase that any server may use.
    """
    if _good_proven(e, hop) or _at_several_sites(e, page):
        return False
    found = _known(page)
    general = found is None or found.scope == "generic"
    return (
        general
        or _may_be_a_servers(page)
        or any(same_site(link, host_of(page.url)) for link in page.links)
    )


@rule("http.one_page_of_the_site", Tier.NOTE, None)
def one_page_of_the_site(e: Evidence) -> Finding | None:
    """Another page of the same host is answered: this page is blocked, not the whole site."""
    failing = [p for _, group in failing_pages(e) for p in group]
    strange = failing or [p for p in open_pages(e, e.end) if known_page(p) or p.malformed]
    other = [
        p
        for p in e.harmless(Http, e.end)
        if p.failure is None and p.host == e.end_host and p.url != e.end_url
    ]
    return Finding((*strange[-1:], *other[-1:]), 0.0) if strange and other else None
