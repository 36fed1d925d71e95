"""Innocent explanations of what another project's measurement shows, which looked once.

Our own runs ask for names of advertising and of reference sites, and so know filters at home,
products that re-sign, and sites that turn a country away. An archived measurement has none of it.
So the explanation stays open, unless what was recorded excludes it.
"""

from probe.analysis.dns_answers import forged_too
from probe.analysis.evidence import Evidence
from probe.compare import is_bogon
from probe.failure import Failure
from probe.model import Dns, Http, Tls
from probe.rule import Match
from probe.rules.archive import is_archived, networks
from probe.rules.http_pages import authoritys_notice


def resolver_may_be_the_users(e: Evidence, match: Match) -> str | None:
    """An archived answer is shown to be the provider's, or public resolvers seem to give it too."""
    asked = [s for s in match.on_target(e) if isinstance(s, Dns) and s.resolver == "system"]
    given = {address for s in asked for address in s.addresses}
    # A router at home may answer all queries itself, also those to public resolvers.
    routers = bool(given) and all(address.startswith("192.168.") for address in given)
    if not is_archived(e) or not asked or (_public_ones_alike(e, asked) and not routers):
        return None
    if given and all(map(is_bogon, given)):
        return (
            "The machine's resolver alone gives an address that is never public: a filter at home,"
            " a tunnel or a company's resolver may do this."
        )
    notices = [s for s in match.on_target(e) if isinstance(s, Http)]
    led_inside = bool(given) and _are_inside(e, given)
    shown = led_inside or _is_the_providers_resolver(e) or any(map(authoritys_notice, notices))
    return None if shown else CHOSEN


# The reason where nothing shows whose resolver answered.
CHOSEN = (
    "The machine's resolver is not shown to be the provider's: one that the user or a company"
    " chose may filter."
)


def _public_ones_alike(e: Evidence, asked: list[Dns]) -> bool:
    """A public resolver, asked in the clear, seems to answer in the same way, and not otherwise."""
    failures = {s.failure for s in asked} - {None}
    plain = [s for s in e.others(asked[-1].hop) if s.transport == "udp" and s.replies]
    honest = {s.resolver for s in plain if s.addresses and not forged_too(s, asked)}
    return any(
        s.failure in failures if s.failure else forged_too(s, asked)
        for s in plain
        if s.resolver not in honest
    )


def _is_the_providers_resolver(e: Evidence) -> bool:
    """The resolver is in the network that the measurement was made from."""
    known = e.record.resolver_asn
    return known is not None and known == e.record.vantage.asn


def _are_inside(e: Evidence, addresses: set[str]) -> bool:
    """These addresses are in the network that the measurement was made from."""
    known, own = networks(e), e.record.vantage.asn
    return own is not None and all(known.get(address) == own for address in addresses)


def sites_own_notice(e: Evidence, match: Match) -> str | None:
    """An archived notice is known as an authority's or a provider's, or is not at the site."""
    if match.rule.id != "archive.notice_here":
        return None
    site = e.control_addresses(0) | {a for s in e.others(0) for a in s.addresses}
    for page in (s for s in match.on_target(e) if isinstance(s, Http)):
        away = page.hop > 0 or _is_the_providers_resolver(e)
        led_away = page.address not in site and away and _are_inside(e, {page.address})
        if not led_away and not authoritys_notice(page):
            return (
                "The notice is not known as a provider's: the site itself, or a filter that the"
                " user or a company chose, may show it."
            )
    return None


def silent_over_ipv6(e: Evidence, match: Match) -> str | None:
    """Where only IPv6 is silent in an archived record, it is answered elsewhere over this line."""
    steps = match.on_target(e) if is_archived(e) else ()
    silent = [s for s in steps if isinstance(s, Tls | Http) and s.failure is Failure.TIMEOUT]
    if not silent or not all(":" in s.address for s in silent):
        return None
    answered = [s for s in e.steps if isinstance(s, Tls) and ":" in s.address and s.answered]
    return None if answered else "No server was heard over IPv6 beyond its connection."
