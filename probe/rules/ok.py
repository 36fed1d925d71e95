"""Rules that clear the network: proven TLS, or the same page or refusal as for the control."""

from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.analysis.pace import LEAST_BYTES, LEAST_SECONDS, drags_here, kbit
from probe.analysis.slowness import came_whole
from probe.compare import host_of, is_broken_redirect, same_leaf, same_site, similar_pages
from probe.model import Http, Outcome, Tls, TrustReason
from probe.rule import WEB, Finding, Tier, rule
from probe.rules.http import shown_in_part

EXPERIMENTS = WEB

# Besides the standard ones, firewalls before sites answer to clients that they hold for robots:
# nothing else is wrong with a browser's GET.
_REFUSALS = {401, 403, 405, 406, 407, 418, 421, 429, 430, 444, 451, 456, 460, 463, 464, 493, 498}
_LAST_STANDARD = 599
_CHALLENGE_TITLES = ("just a moment", "attention required", "ddos-guard", "checking your browser")
_MANY_HOPS = 9
# It is the server's own answer, but perhaps not its answer to all clients.
_SEEN_HERE_ALONE = 0.75


def is_refusal(page: Http) -> bool:
    """The server itself refuses: an error status, or a challenge instead of the page."""
    odd = page.status is not None and page.status > _LAST_STANDARD
    return odd or page.status in _REFUSALS or is_challenge(page)


def is_challenge(page: Http) -> bool:
    """A page that tests whether the visitor is human."""
    if page.status not in {403, 429, 503}:
        return False
    title = (page.title or "").lower()
    return "cf-mitigated" in page.headers or any(word in title for word in _CHALLENGE_TITLES)


@once
def _final(e: Evidence) -> list[Http]:
    """Pages at the end of the redirects, reached as a browser here would do it, newest first."""
    given = e.system_addresses(e.end)
    pages = [
        p
        for p in e.pages(e.end)
        if p.failure is None and p.status is not None and p.address in given
    ]
    return [p for p in reversed(pages) if not _redirects(p)]


def _redirects(page: Http) -> bool:
    """A redirect, or an empty one to nowhere; browsers show what else comes with such a status."""
    if not 300 <= (page.status or 0) < 400:
        return False
    return page.location is not None or "location" in page.headers or not page.received_bytes


@once
def _whole(e: Evidence) -> list[Http]:
    """Those of them that came whole, and as fast as other sites' pages.

    What froze midway was not seen, and what dragged may be slowed.
    """
    return [page for page in _final(e) if came_whole(page) and not drags_here(e, page)]


@once
def custody(e: Evidence) -> bool:
    """Every redirect came over proven TLS, stayed on the site, or was also seen by a control."""
    for hop in range(e.end):
        redirects = [p for p in e.pages(hop) if p.location is not None and p.failure is None]
        if not redirects:
            return False
        last = redirects[-1]
        if last.proven or same_site(host_of(last.url), host_of(last.location or "")):
            continue
        there = {host_of(p.location or "") for p in e.control_pages(hop)}
        ends = {host_of(p.url) for p in e.control_ends}
        if not any(same_site(host_of(last.location or ""), h) for h in there | ends if h):
            return False
    return True


@rule("ok.proven", Tier.PROVEN, Outcome.OK)
def proven_page(e: Evidence) -> Finding | None:
    """The site answered over TLS with a certificate that proves its name."""
    for page in _whole(e):
        if page.proven and (page.status or 599) < 500 and not is_refusal(page) and custody(e):
            return Finding((page,), 0.99, reason=_proven(page))
    return None


def _proven(page: Http) -> str:
    """What was shown, and which limits could not have been seen."""
    if page.bytes_in < LEAST_BYTES or page.arriving is None:
        unseen = "so little came that no limit of its speed could have been seen"
    else:
        limit, size = page.bytes_in / LEAST_SECONDS, round(page.bytes_in / 1000)
        unseen = (
            f"a limit above {kbit(limit)} kbit/s could not have been seen, nor one that begins "
            f"after {size} kB"
        )
    return f"The site answered over TLS with a certificate that proves its name; {unseen}."


@rule("refused.by_the_server", Tier.PROVEN, Outcome.REFUSED)
def refused_by_the_server(e: Evidence) -> Finding | None:
    """The server itself, over proven TLS, refused the request."""
    for page in _final(e):
        if page.proven and is_refusal(page) and custody(e):
            return Finding((page,), 0.97)
    return None


@rule("down.server_error", Tier.PROVEN, Outcome.DOWN)
def server_error(e: Evidence) -> Finding | None:
    """The server answers with a server error, here and for the control."""
    for page in _final(e):
        if (page.status or 0) < 500 or is_refusal(page) or not custody(e):
            continue
        there = [p for p in e.control_ends if p.status is not None]
        if there and all((p.status or 0) >= 500 for p in there):
            return Finding((page,), 0.93 * e.control_weight)
    return None


@rule("refused.server_error_here", Tier.PROVEN, Outcome.REFUSED)
def server_error_here(e: Evidence) -> Finding | None:
    """The server itself, over proven TLS, answers with a server error that no control confirms."""
    if server_error.holds(e) is not None:
        return None
    for page in _final(e):
        if page.proven and (page.status or 0) >= 500 and not is_refusal(page) and custody(e):
            return Finding((page,), 0.8 if e.control_works else 0.6)
    return None


@rule("down.endless_redirects", Tier.CLEARED, Outcome.DOWN)
def endless_redirects(e: Evidence) -> Finding | None:
    """The site redirects without end, for the control too or, without one, over proven TLS."""
    pages = [p for p in e.pages(e.end) if p.location is not None and p.failure is None]
    urls = [e.hop_urls[hop] for hop in sorted(e.hop_urls) if hop <= e.end]
    circling = e.end >= _MANY_HOPS or len(set(urls)) < len(urls)
    if not pages or not (circling or any(p.location in urls for p in pages)):
        return None
    if e.control_ends:
        there = [c for c in e.control_ends if c.location is not None]
        same = there and all(same_site(host_of(c.url), e.end_host) for c in there)
        return Finding(tuple(pages[-1:]), 0.9 * e.control_weight) if same else None
    proven = all(p.proven for hop in range(e.end + 1) for p in e.pages(hop)[-1:])
    return Finding(tuple(pages[-1:]), _SEEN_HERE_ALONE) if proven else None


@rule("down.broken_redirect", Tier.CLEARED, Outcome.DOWN)
def broken_redirect(e: Evidence) -> Finding | None:
    """The site redirects to where no browser can go, for the control too or over proven TLS."""
    pages = [p for p in e.pages(e.end) if p.failure is None and p.status is not None]
    if len(pages) < 2 or not all(map(is_broken_redirect, pages)) or not custody(e):
        return None
    there = e.control_ends
    if there:
        alike = all(is_broken_redirect(c) and same_site(host_of(c.url), e.end_host) for c in there)
        return Finding(tuple(pages[-1:]), 0.9 * e.control_weight) if alike else None
    return Finding(tuple(pages[-1:]), _SEEN_HERE_ALONE) if all(p.proven for p in pages) else None


@rule("ok.shown_in_part", Tier.LIKELY, Outcome.OK)
def in_part(e: Evidence) -> Finding | None:
    """The page ends early here and for the control; browsers show what came."""
    pages = e.pages(e.end)
    cut = [p for p in pages if shown_in_part(p)]
    there = [p for p in e.control(Http, latest=True) if p.url == e.end_url]
    if len(cut) < 2 or len(cut) < len(pages) or not there or not custody(e):
        return None
    alike = all(shown_in_part(p) and similar_pages(p, cut[-1]) for p in there)
    return Finding(tuple(cut[-2:]), 0.85 * e.control_weight) if alike else None


@rule("ok.same_server_key_as_the_control", Tier.LIKELY, Outcome.OK)
def same_server_key(e: Evidence) -> Finding | None:
    """The server has the same key here as for the control, so TLS is not intercepted."""
    for page in _whole(e):
        shaken = e.handshake_before(page)
        if shaken is None or shaken.trust is None or (page.status or 599) >= 500:
            continue
        lenient = shaken.trust.reason is TrustReason.INCOMPLETE or (
            shaken.trust.authority is not None and shaken.trust.authority.kind == "national"
        )
        if lenient and any(same_leaf(shaken, there) for there in e.control_handshakes(e.end)):
            return Finding((shaken, page), 0.9 * e.control_weight)
    return None


@rule("ok.as_the_control_sees_it", Tier.LIKELY, Outcome.OK)
def as_the_control_sees_it(e: Evidence) -> Finding | None:
    """The page is the same as the control's page."""
    for page in _whole(e):
        if page.proven or is_refusal(page) or (page.status or 599) >= 500 or not custody(e):
            continue
        if page.url.startswith("https:") or e.handshake_before(page) is not None:
            continue  # a page over TLS that did not prove the name shows nothing
        there = [p for p in e.control_pages(e.end) or e.control_ends if p.failure is None]
        if any(similar_pages(page, other) for other in there):
            return Finding((page,), 0.92 * e.control_weight)
    return None


@rule("ok.as_its_own_https_page", Tier.LIKELY, Outcome.OK)
def as_its_own_https_page(e: Evidence) -> Finding | None:
    """The page over plain http is the same as the host's page over proven TLS."""
    for page in _whole(e):
        if page.proven or e.handshake_before(page) is not None or not custody(e):
            continue
        host = host_of(page.url)
        own = [p for p in e.all(Http, hop=e.end) if p.proven and host_of(p.url) == host]
        for other in own:
            if other.failure is None and similar_pages(page, other) and not is_refusal(page):
                return Finding((page, other), 0.88)
    return None


@rule("refused.as_the_control_is", Tier.LIKELY, Outcome.REFUSED)
def refused_as_the_control_is(e: Evidence) -> Finding | None:
    """The server refuses over plain http; its https page or the control's page refuses too."""
    for page in _final(e):
        if page.proven or not is_refusal(page) or not custody(e):
            continue
        host = host_of(page.url)
        own = [p for p in e.all(Http, hop=e.end) if p.proven and host_of(p.url) == host]
        if any(is_refusal(p) for p in (*own, *e.control_ends)):
            return Finding((page, *own[-1:]), 0.85)
    return None


@rule("ok.this_name_is_answered", Tier.LIKELY, Outcome.OK, experiments=("sni",))
def this_name_is_answered(e: Evidence) -> Finding | None:
    """TLS with this name works every time, and the certificate proves the name."""
    own = [s for s in e.all(Tls) if s.sni == e.host]
    if any(s.failure is not None for s in own):
        return None
    proven = any(s.trust is not None and s.trust.valid for s in own)
    return Finding(tuple(own), 0.9) if proven else None


@rule("ok.own_certificate_every_way", Tier.LIKELY, Outcome.OK, experiments=("mitm",))
def own_certificate_every_way(e: Evidence) -> Finding | None:
    """The site's address shows a trusted certificate for the name, with every kind of hello."""
    own = [s for s in e.all(Tls) if s.sni == e.host]
    proven = [s for s in own if s.trust is not None and s.trust.valid]
    if not proven or any(s.trust is not None and not s.trust.valid for s in own):
        return None
    return Finding(tuple(proven), 0.95)
