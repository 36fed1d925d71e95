"""Rules on HTTP pages that came over a channel the network can write into.

A page over proven TLS is the server's own. Other pages are compared with the control's, and with
the page of the same address for another host. A similar length or header clears nothing, and a
difference alone proves nothing: sites show every country another page.
"""

from probe.analysis.attempts import by_address, steadily
from probe.analysis.blockpage_text import reads_like_blockpage
from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.analysis.slowness import SHORT, cut_short
from probe.compare import (
    host_of,
    is_broken_redirect,
    is_stock,
    is_unanswered,
    same_failure,
    same_site,
    similar_pages,
)
from probe.failure import Failure
from probe.model import Http, Mechanism, Outcome, Role
from probe.rule import WEB, Finding, InnocentExplanation, Tier, rule

EXPERIMENTS = WEB
# Exchanges with unrelated servers that are compared; a probe makes a few.
SERVERS = 32

MECHANISMS = {
    Failure.RESET: Mechanism.HTTP_RESET,
    Failure.ABORTED: Mechanism.HTTP_RESET,
    Failure.TIMEOUT: Mechanism.HTTP_TIMEOUT,
    Failure.EOF: Mechanism.HTTP_EOF,
}


@once
def failing_pages(e: Evidence) -> list[tuple[Http, list[Http]]]:
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


@rule(
    "http.fails_for_this_host",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "a harmless host is answered there before and after",
        InnocentExplanation.SERVER: "an unrelated server fails for it, or else a control works",
        InnocentExplanation.MEANS: "the harmless request has the same form",
        InnocentExplanation.CHANCE: "at least two attempts between answered harmless ones",
    },
)
def fails_for_this_host(e: Evidence) -> Finding | None:
    """Requests for this host fail, and a harmless host is answered at the same address."""
    for last, attempts in failing_pages(e):
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


@rule(
    "http.fails_within_tls",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "an unrelated server answers a harmless host before and after",
        InnocentExplanation.SERVER: "an unrelated server fails for the host as well",
        InnocentExplanation.MEANS: "the harmless request has the same form",
        InnocentExplanation.CHANCE: "at least two attempts and one elsewhere, which fail alike",
    },
)
def fails_within_tls(e: Evidence) -> Finding | None:
    """TLS proves the site, requests within it fail, and so they do at an unrelated server.

    A middlebox that stops a connection some packets after the ClientHello does this (TSPU's
    "SNI-II": Xue et al., "TSPU: Russia's Decentralized Censorship System", IMC 2022).
    """
    for last, attempts in failing_pages(e):
        if len(attempts) > 1 and all(p.proven and is_unanswered(p) for p in attempts):
            there, steps = at_unrelated_server(e, last)
            if there:
                control = any(p.failure is None for p in e.control_pages(e.end))
                confidence = 0.96 if control else 0.94
                return Finding((*attempts, *steps), confidence, mechanisms=_mechanism(last))
    return None


def _not_the_server(
    e: Evidence, last: Http, attempts: list[Http]
) -> tuple[float, tuple[Http, ...]] | None:
    """The confidence that the server itself is not broken for this host, and the steps behind it.

    A server may reset or close one of its own hosts, for every client or for this one alone. An
    unrelated server that was offered the host shows it. Where none could be, a control that gets
    the page excludes the former, or a request that TCP never acknowledged.
    """
    control = any(p.failure is None for p in e.control_pages(e.end))
    there, steps = at_unrelated_server(e, last)
    if there is not None:
        return (0.96 if control else 0.94, steps) if there else None
    acknowledged = {s.acknowledged for s in attempts if s.failure is Failure.TIMEOUT}
    return (0.92, ()) if control or acknowledged == {False} else None


def at_unrelated_server(e: Evidence, mine: Http) -> tuple[bool | None, tuple[Http, ...]]:
    """Whether this host fails alike at an unrelated server that answers a harmless one around it.

    None: not tried, or the server failed for the harmless host too. A server of the same operator
    shows nothing by a failure; by an answer it does.
    """
    for step in e.all(Http, role=Role.NEUTRAL, hop=mine.hop)[:SERVERS]:
        if _name(step) != _name(mine) or step.address == mine.address:
            continue
        here = [s for s in e.harmless(Http) if s.address == step.address and s.bytes_in]
        before, after = [s for s in here if s.at < step.at], [s for s in here if s.at > step.at]
        if step.bytes_in and before:
            return False, (step,)
        failed = same_failure(step.failure, mine.failure)
        if before and after and failed and not _same_operator(e, step):
            return True, (before[-1], step, after[0])
    return None, ()


def _same_operator(e: Evidence, other: Http) -> bool:
    """The supposedly unrelated server answers a harmless host as the target's does."""
    above = e.handshake_before(other)
    if above is not None:
        return e.same_operator(above)
    return _shares_a_page(e, other.hop, other.url, other.address)


@once
def _shares_a_page(e: Evidence, hop: int, url: str, address: str) -> bool:
    harmless = [s for s in e.harmless(Http, hop=hop) if s.url == url]
    there = [s for s in harmless if s.address == address]
    here = [s for s in harmless if s.address != address]
    return any(similar_pages(one, other) for one in there for other in here if not is_stock(one))


def _name(page: Http) -> str:
    return page.host.partition(":")[0]


@rule(
    "http.same_notice_elsewhere",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "the harmless hosts get another page at both servers",
        InnocentExplanation.SERVER: "an unrelated server shows the notice for this host",
        InnocentExplanation.MEANS: "the pages of harmless hosts are read",
        InnocentExplanation.CHANCE: "at least two pages, each the same notice",
    },
)
def same_notice_elsewhere(e: Evidence) -> Finding | None:
    """An unrelated server shows the same notice as the site's server, for this host only."""
    for step in e.all(Http, role=Role.NEUTRAL)[:SERVERS]:
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


def same_answer(one: Http, other: Http) -> bool:
    """Both are one page, one redirect to another site, or both no page at all; not a stock page."""
    if one.malformed or other.malformed:
        return one.malformed and other.malformed
    if is_broken_redirect(other):
        same = one.headers.get("location") == other.headers.get("location")
        return is_broken_redirect(one) and same
    if leaves_the_site(other):
        return host_of(one.location or "") == host_of(other.location or "")
    return similar_pages(one, other) and not is_stock(one)


def _same_notice(one: Http, other: Http) -> bool:
    page = not (one.malformed or is_broken_redirect(other) or leaves_the_site(other))
    return same_answer(one, other) and (not page or reads_like_blockpage(one))


def _notice_mechanism(page: Http) -> Mechanism:
    if page.malformed:
        return Mechanism.HTTP_INJECTED
    redirected = leaves_the_site(page) or is_broken_redirect(page)
    return Mechanism.HTTP_REDIRECTED if redirected else Mechanism.HTTP_BLOCKPAGE


@rule(
    "http.fails_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: "other servers answer right before and after",
        InnocentExplanation.SERVER: "a control gets the page from the same address",
        InnocentExplanation.MEANS: "the connection itself works",
        InnocentExplanation.CHANCE: "at least two attempts that fail alike",
    },
)
def fails_here_only(e: Evidence) -> Finding | None:
    """Requests to this address fail here every time, and work for the control."""
    there = {p.address for p in e.control_pages(e.end) if p.failure is None}
    for last, attempts in failing_pages(e):
        if cut_short(attempts[-1]):
            continue  # slow, or frozen: not for this rule
        if last.proven and is_unanswered(last):
            continue  # its own server may hang, or turn this client away: `fails_within_tls`
        if shown_in_part(last) and any(map(_ended_early, e.control_pages(e.end))):
            continue  # the server ends it early for the control as well
        if last.proven and last.status is not None and last.failure is Failure.EOF:
            continue  # the head came: a backend that fails ends its page early, too
        if last.address in there and e.alive_around(last):
            confidence = 0.88 * e.control_weight
            return Finding(tuple(attempts), confidence, mechanisms=_mechanism(last))
    return None


def _ended_early(page: Http) -> bool:
    return shown_in_part(page) or (page.detail == SHORT and page.received_bytes > 0)


@once
def open_pages(e: Evidence, hop: int) -> list[Http]:
    """Unproven pages for the URL of one hop, from the system resolver's addresses if any."""
    pages = [p for p in e.pages(hop) if p.status is not None or p.malformed]
    given = e.system_addresses(hop)
    mine = [p for p in pages if p.address in given] or pages
    return [p for p in mine if not p.proven]


@once
def plain_pages(e: Evidence, hop: int) -> list[Http]:
    """Those of the open pages that came over plain http."""
    return [p for p in open_pages(e, hop) if p.url.startswith("http:")]


def leaves_the_site(page: Http) -> bool:
    """The page redirects to another registered name."""
    if page.location is None or not 300 <= (page.status or 0) < 400:
        return False
    return not same_site(host_of(page.url), host_of(page.location))


def good_control(e: Evidence, hop: int) -> list[Http]:
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
    if any(shown_in_part(p) for p in mine):
        return None  # a browser shows what came of it
    return Finding(tuple(mine), 0.92 * e.control_weight) if alike else None


def shown_in_part(page: Http) -> bool:
    """The peer ended the page early; a browser shows what came."""
    fine = page.status is not None and page.status < 400
    return page.failure is Failure.EOF and fine and page.received_bytes > 0
