"""Rules on measurements of another project, which looked once and had one control of its own.

The other rules want a failure seen twice, and servers that answer before and after it. An archived
measurement has neither; what it has instead is a test helper that looked at the same addresses at
the same time, and that was itself reached over the line. So these rules accuse with less
confidence, only where the helper saw the very thing work that failed here, and never where it was
not recorded. They hold for no record of our own probes.
"""

from collections.abc import Sequence

from probe.analysis.blockpage_text import reads_like_an_order, text
from probe.analysis.dns_answers import real
from probe.analysis.evidence import Evidence
from probe.analysis.once import once
from probe.compare import (
    host_of,
    is_bogon,
    is_stock,
    same_failure,
    same_site,
    similar_pages,
)
from probe.failure import Failure
from probe.model import Dns, Http, Mechanism, Outcome, Ping, Tcp, Tls, TrustReason
from probe.rule import Finding, InnocentExplanation, Tier, rule
from probe.rules import http, tcp, tls
from probe.rules.http_pages import one_operators_notice
from probe.rules.ok import is_refusal

EXPERIMENTS = ("web",)

_ORIGIN = "ooni"
_ONE_LOOK = "one look; the confidence says so"
_REACHED = "the test helper was reached over this line"
_ANDROID = "android_dns_cache_no_data"
# Of the law, in notices: beginnings of words in English, Russian and Kazakh.
_LAW = (
    *("court", "decree", "unlawful", "illegal", "ministry", "legislation"),
    *("по решению", "решением суда", "законодательств", "реестр", "министерств", "роскомнадзор"),
    *("соттың", "заңнама", "министрліг"),
)
# A notice is short beside the page whose place it takes.
_SHORTER = 3
_ERRORS = 400
_NOBODYS = frozenset({TrustReason.UNKNOWN_AUTHORITY, TrustReason.SELF_SIGNED})
_CUT = frozenset({Failure.RESET, Failure.ABORTED, Failure.EOF, Failure.TIMEOUT})


def is_archived(e: Evidence) -> bool:
    """The record was made from a measurement of another project."""
    return e.record.origin == _ORIGIN


@once
def good_ends(e: Evidence) -> list[Http]:
    """The helper's page, if it got one that is no error."""
    return [p for p in e.control_ends if (p.status or 599) < _ERRORS]


@once
def networks(e: Evidence) -> dict[str, int]:
    """The autonomous system of each address, as far as it was recorded."""
    told = (s for s in e.control(Ping) if s.address is not None and s.asn is not None)
    return {s.address or "": s.asn or 0 for s in told}


@once
def _agreed(e: Evidence, hop: int) -> set[str]:
    """Addresses of the machine's resolver that another resolver or the helper gave as well."""
    elsewhere = {a for s in e.others(hop) for a in s.addresses} | e.control_addresses(hop)
    return e.system_addresses(hop) & elsewhere


# --- names ------------------------------------------------------------------------------------


def _denial(step: Dns) -> Mechanism | None:
    """How a name was denied; failures of the resolver itself are no denial."""
    if step.failure is Failure.DNS_NXDOMAIN:
        return Mechanism.DNS_NXDOMAIN
    android = step.failure is Failure.UNKNOWN and step.detail == _ANDROID
    return Mechanism.DNS_NODATA if android or step.failure is Failure.DNS_NO_ANSWER else None


@rule(
    "archive.name_denied_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: _REACHED,
        InnocentExplanation.RESOLVER: "it answers, and gives no address",
        InnocentExplanation.MEANS: "the resolver's answer was received and read",
        InnocentExplanation.SERVER: "the helper, or an encrypted resolver, has an address",
        InnocentExplanation.CHANCE: "a denial is an answer, and no lost packet",
    },
)
def name_denied_here(e: Evidence) -> Finding | None:
    """The machine's resolver denied the name in this one look, and others have an address."""
    for hop in range(e.end + 1) if is_archived(e) else ():
        asked = e.system(hop)
        how = _denial(asked[-1]) if asked else None
        if how is None or any(s.addresses or _denial(s) is None for s in asked):
            continue
        others = real(e, hop)
        if how is Mechanism.DNS_NODATA:
            families = {s.type == "AAAA" for s in asked}
            others = {a for a in others if (":" in a) in families}
        encrypted = [s for s in e.encrypted(hop) if s.addresses]
        if others and e.control_ends and (encrypted or (hop == 0 and e.control_works)):
            return Finding((*asked, *encrypted[-1:]), 0.8, (how,))
    return None


@rule(
    "archive.wrong_address_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.DNS_WRONG_ADDRESS,
    excludes={
        InnocentExplanation.RESOLVER: "a notice is there, or it is the provider's own address",
        InnocentExplanation.SERVER: "the helper proves no name there, and does so elsewhere",
        InnocentExplanation.CHANCE: "an answer is no accident",
    },
)
def wrong_address_here(e: Evidence) -> Finding | None:
    """The machine's resolver gave an address with a notice, or of the provider, not the site's."""
    given, others = e.system_addresses(0), e.control_addresses(0)
    if not is_archived(e) or not given or not others or given & others or not e.control_works:
        return None
    if given & (e.proven_addresses(0) | e.control_reached(0)) or all(map(is_bogon, given)):
        return None
    notices = [p for p in e.pages(0) if p.address in given and _is_notice(e, p)]
    if notices:
        return Finding((*e.system(0), *notices[-1:]), 0.8)
    # What has no certificate, or another site's, may be a node or a former server of the site.
    shaken = [s for s in e.handshakes(0) if s.address in given and s.trust is not None]
    unproven = [s for s in shaken if s.trust is not None and s.trust.reason in _NOBODYS]
    known = networks(e)
    own = {known.get(a) for a in given} == {e.record.vantage.asn}
    abroad = e.record.vantage.asn not in {known.get(a) for a in others}
    elsewhere = any(set(s.addresses) & others for s in e.others(0))
    if unproven and own and abroad and elsewhere and e.record.vantage.asn is not None:
        return Finding((*e.system(0), *unproven[-1:]), 0.7)
    return None


# --- connections and handshakes -----------------------------------------------------------------


def _all_alike(steps: Sequence[Tcp | Tls]) -> bool:
    """All failed, and in the same way."""
    return bool(steps) and all(same_failure(s.failure, steps[0].failure) for s in steps)


@once
def public_attempts(e: Evidence, hop: int) -> list[Tcp]:
    """Attempts to connect, without those to what is no public address or has no route."""
    return [
        s
        for s in e.connections(hop)
        if not is_bogon(s.address)
        if s.failure is None or not (s.failure.is_unreachable and ":" in s.address)
    ]


def _led_on(e: Evidence, steps: Sequence[Tcp | Tls]) -> bool:
    """The helper, which tells nothing of redirects, got to their end; and the names agree here.

    A site leads each country to another host: only where it stays on its own is the end the same.
    """
    there = {s.address for s in steps}
    stays = _without_www(e.end_host) == _without_www(e.host)
    looked: list[Tcp | Tls] = [*e.control(Tcp), *e.control(Tls)]
    tried_too = (s for s in looked if s.address in there and s.port == e.port(e.end))
    fails_too = any(s.failure is not None for s in tried_too)
    return stays and bool(good_ends(e)) and there <= _agreed(e, e.end) and not fails_too


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def _is_untried(e: Evidence, dialled: Sequence[Tcp]) -> bool:
    """The machine's resolver gave IPv4 addresses that were never tried."""
    given = {a for a in e.system_addresses(e.end) if ":" not in a}
    return not given <= {s.address for s in dialled}


@rule(
    "archive.connection_fails_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: _REACHED,
        InnocentExplanation.SERVER: "the helper connects to it, or gets to the end of redirects",
        InnocentExplanation.MEANS: "attempts without a route to their family are left out",
        InnocentExplanation.CHANCE: _ONE_LOOK,
    },
)
def connection_fails_here_only(e: Evidence) -> Finding | None:
    """Every connection failed in this one look, and the helper connects to the same address."""
    dialled = public_attempts(e, e.end)
    if not is_archived(e) or not _all_alike(dialled) or _is_untried(e, dialled):
        return None
    failure = dialled[0].failure
    if failure is None or failure not in tcp.MECHANISMS:
        return None
    how = (tcp.MECHANISMS[failure],)
    if e.end > 0:
        return Finding(tuple(dialled), 0.6, how) if _led_on(e, dialled) else None
    mine = {(s.address, s.port) for s in dialled}
    there = [s for s in e.control(Tcp) if (s.address, s.port) in mine]
    works = bool(there) and all(s.failure is None for s in there)
    return Finding(tuple(dialled), 0.7, how) if works else None


@rule(
    "archive.handshake_fails_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: _REACHED,
        InnocentExplanation.SERVER: "the helper's handshake with this address and name works",
        InnocentExplanation.MEANS: "the connection before it worked",
        InnocentExplanation.CHANCE: _ONE_LOOK,
    },
)
def handshake_fails_here_only(e: Evidence) -> Finding | None:
    """TLS failed at every address in this one look; for the helper it works there."""
    shaken = tried(e)
    failure = shaken[0].failure if shaken else None
    if not is_archived(e) or not _all_alike(shaken) or failure is None or failure not in _CUT:
        return None
    how = (tls.MECHANISMS[failure],)
    if e.end > 0:
        return Finding(tuple(shaken), 0.6, how) if _led_on(e, shaken) else None
    mine = {(s.address, s.port, s.sni) for s in shaken}
    there = [s for s in e.control(Tls) if (s.address, s.port, s.sni) in mine]
    if there and all(s.failure is None for s in there):
        return Finding(tuple(shaken), 0.75, how)
    if e.control(Tls):
        return None
    # Helpers before 2022 made no handshake of its own: the page they got is what they tell.
    connected = {(s.address, s.port) for s in e.control(Tcp) if s.failure is None}
    told = bool(good_ends(e)) and all((s.address, s.port) in connected for s in shaken)
    return Finding(tuple(shaken), 0.65, how) if told else None


@once
def tried(e: Evidence) -> list[Tls]:
    """Handshakes for the name at the URL's own port."""
    own = (s for s in e.handshakes(e.end) if s.port == e.port(e.end))
    return [s for s in own if not is_bogon(s.address)]


# --- pages ------------------------------------------------------------------------------------


@rule(
    "archive.request_fails_here_only",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    excludes={
        InnocentExplanation.LINE: _REACHED,
        InnocentExplanation.SERVER: "the helper gets a page from it",
        InnocentExplanation.MEANS: "the connection itself worked",
        InnocentExplanation.CHANCE: _ONE_LOOK,
    },
)
def request_fails_here_only(e: Evidence) -> Finding | None:
    """The request failed in this one look, on a connection that worked; the helper gets a page."""
    pages = e.pages(e.end)
    if not is_archived(e) or not pages or not good_ends(e):
        return None
    last = pages[-1]
    if any(p.failure not in _CUT or p.status is not None for p in pages):
        return None
    connected = {s.address for s in e.connections(e.end) if s.failure is None}
    if last.address not in connected or e.handshake_before(last) is not None:
        return None  # what fails after a handshake may be the server's own, or be slow
    refused = [s for s in e.control(Tcp) if s.address == last.address and s.port == last.port]
    if any(s.failure is not None for s in refused):
        return None
    known = http.MECHANISMS if last.url.startswith("http:") else tls.MECHANISMS
    how = (known[last.failure],) if last.failure is not None else ()
    return Finding(tuple(pages), 0.65, how)


def _is_notice(e: Evidence, page: Http) -> bool:
    """A page over plain http about an order, which the helper did not get and the site is not."""
    if not page.url.startswith("http:") or page.failure is not None or is_refusal(page):
        return False
    if (page.status or 599) >= _ERRORS or is_stock(page):
        return False
    ends = good_ends(e)
    if not ends or any(similar_pages(page, p) or _same_title(page, p) for p in ends):
        return False
    if one_operators_notice(page):
        return True
    if any(same_site(link, host_of(page.url)) for link in page.links):
        return False
    short = page.received_bytes * _SHORTER < max(p.received_bytes for p in ends)
    return short and reads_like_an_order(page) and _cites_law(page)


def _cites_law(page: Http) -> bool:
    """It names a law, a court or a register: a site that turns a country away itself does not."""
    words = f"{page.title or ''} {text(page)}".casefold()
    return any(word in words for word in _LAW)


def _same_title(page: Http, other: Http) -> bool:
    return bool(page.title) and page.title == other.title


@rule(
    "archive.notice_here",
    Tier.ACCUSED,
    Outcome.BLOCKED,
    Mechanism.HTTP_BLOCKPAGE,
    excludes={
        InnocentExplanation.LINE: "the helper was reached, so no portal answers for all",
        InnocentExplanation.SERVER: "it is no refusal of a server, and the helper got the site",
        InnocentExplanation.MEANS: "the words of a notice are in the page",
        InnocentExplanation.CHANCE: "a page is no accident",
    },
)
def notice_here(e: Evidence) -> Finding | None:
    """A notice came over plain http, and the helper got the site."""
    for hop in range(e.end + 1) if is_archived(e) else ():
        notices = [p for p in e.pages(hop) if _is_notice(e, p)]
        if notices:
            return Finding(tuple(notices[-1:]), 0.75)
    return None
