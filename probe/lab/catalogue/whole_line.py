"""Interference with the whole line, and its faults: outages, portals, products, whitelists."""

from probe.lab.scenario import (
    ControlState,
    DnsTampering,
    Expect,
    Interference,
    LabSite,
    Scenario,
    SniFilter,
    WholeLine,
)
from probe.model import Mechanism, Outcome


def _all_sites(
    name: str,
    interference: WholeLine,
    host: str,
    mechanism: Mechanism | None,
    why: str,
    *also: Outcome | Mechanism,
) -> Scenario:
    """A foreign and a domestic site, both without a conclusive verdict."""
    sites = (LabSite(f"{host}.org"), LabSite(f"{host}.kz", domestic=True))
    expect = tuple(
        Expect(
            f"https://{site.name}/",
            Outcome.INCONCLUSIVE,
            why,
            mechanisms=(mechanism,) if mechanism else (),
            also_acceptable=also,
        )
        for site in sites
    )
    return Scenario(name, sites, expect, censor=(interference,))


def _resolvers_blocked(name: str, interference: WholeLine, host: str, denied: str) -> Scenario:
    """Some resolvers are blocked; verdicts stay right."""
    sites = (
        LabSite(f"{host}-fine.org"),
        LabSite(f"{host}-silent.org"),
        LabSite(f"{host}-denied.org"),
    )
    interferences: tuple[Interference, ...] = (
        interference,
        SniFilter(f"{host}-silent.org", "drop"),
        DnsTampering(f"{host}-denied.org", "nxdomain", resolvers="system"),
    )
    expect = (
        Expect(f"https://{host}-fine.org/", Outcome.OK, "The provider's resolver is enough."),
        Expect(
            f"https://{host}-silent.org/",
            Outcome.BLOCKED,
            "Comparison with a harmless name needs no other resolver.",
            mechanisms=(Mechanism.TLS_TIMEOUT,),
        ),
        Expect(
            f"https://{host}-denied.org/",
            Outcome.BLOCKED,
            denied,
            mechanisms=(Mechanism.DNS_NXDOMAIN,),
        ),
    )
    return Scenario(name, sites, expect, censor=interferences)


SCENARIOS = (
    _all_sites(
        "nation.outage",
        WholeLine("outage"),
        "dark-evening",
        Mechanism.ACCESS_OFFLINE,
        "The line is dead, so no site is blocked.",
    ),
    _all_sites(
        "nation.captive_portal",
        WholeLine("captive_portal"),
        "lobby-guest",
        Mechanism.ACCESS_CAPTIVE_PORTAL,
        "A portal answers for every site.",
    ),
    _all_sites(
        "nation.hotel_dns",
        WholeLine("hotel_dns"),
        "room-service",
        Mechanism.ACCESS_CAPTIVE_PORTAL,
        "The resolver answers every name with the portal's address.",
        Mechanism.DNS_WRONG_ADDRESS,
        Mechanism.ACCESS_OFFLINE,
    ),
    _all_sites(
        "nation.everything_resigned",
        WholeLine("everything_resigned"),
        "office-desk",
        Mechanism.ACCESS_LOCAL_INTERCEPTOR,
        "One authority signs for every name, as a product at home or at work does.",
    ),
    _all_sites(
        "nation.no_dns",
        WholeLine("no_dns"),
        "nameless-town",
        None,
        "No name can be resolved, so there is no verdict on any site.",
        Mechanism.DNS_TIMEOUT,
        Mechanism.ACCESS_OFFLINE,
    ),
    Scenario(
        "nation.foreign_cut",
        (LabSite("beyond-the-border.org"), LabSite("inside-the-border.kz", domestic=True)),
        (
            Expect(
                "https://beyond-the-border.org/",
                Outcome.BLOCKED,
                "All foreign sites are unreachable, and all domestic ones work.",
                mechanisms=(Mechanism.ACCESS_FOREIGN_CUT,),
                also_acceptable=(Outcome.INCONCLUSIVE, Mechanism.TCP_TIMEOUT),
            ),
            Expect("https://inside-the-border.kz/", Outcome.OK, "Domestic sites work."),
        ),
        censor=(WholeLine("foreign_cut"),),
    ),
    Scenario(
        "nation.whitelist",
        (
            LabSite("not-on-the-list.org"),
            LabSite("not-on-the-list.kz", domestic=True),
            LabSite("bank-on-the-list.kz", domestic=True, essential=True),
        ),
        (
            Expect(
                "https://not-on-the-list.org/",
                Outcome.BLOCKED,
                "Only a few domestic services are reachable.",
                mechanisms=(Mechanism.ACCESS_WHITELIST,),
                also_acceptable=(Outcome.INCONCLUSIVE, Mechanism.TCP_TIMEOUT),
            ),
            Expect(
                "https://not-on-the-list.kz/",
                Outcome.BLOCKED,
                "Ordinary domestic sites are blocked as well.",
                mechanisms=(Mechanism.ACCESS_WHITELIST,),
                also_acceptable=(Outcome.INCONCLUSIVE, Mechanism.TCP_TIMEOUT),
            ),
            Expect("https://bank-on-the-list.kz/", Outcome.OK, "It is on the list."),
        ),
        censor=(WholeLine("whitelist"),),
    ),
    _resolvers_blocked(
        "nation.no_public_dns",
        WholeLine("no_public_dns"),
        "without-helpers",
        "The control resolves it, and the site proves its name at that address.",
    ),
    _resolvers_blocked(
        "nation.no_doh",
        WholeLine("no_doh"),
        "without-doh",
        "Other resolvers and the control resolve it, and the site proves its name there.",
    ),
    Scenario(
        "nation.no_ipv6",
        (LabSite("six-is-broken.org", ipv6=True), LabSite("six-and-silent.org", ipv6=True)),
        (
            Expect("https://six-is-broken.org/", Outcome.OK, "IPv6 is broken here; IPv4 works."),
            Expect(
                "https://six-and-silent.org/",
                Outcome.BLOCKED,
                "Over IPv4 its name is dropped; IPv6 is broken for everything.",
                mechanisms=(Mechanism.TLS_TIMEOUT,),
            ),
        ),
        censor=(WholeLine("no_ipv6"), SniFilter("six-and-silent.org", "drop")),
    ),
    Scenario(
        "nation.resigned_and_blocked",
        (LabSite("shielded-fine.org"), LabSite("shielded-silent.org")),
        (
            Expect(
                "https://shielded-fine.org/",
                Outcome.INCONCLUSIVE,
                "A product at home re-signs everything.",
                mechanisms=(Mechanism.ACCESS_LOCAL_INTERCEPTOR,),
            ),
            Expect(
                "https://shielded-silent.org/",
                Outcome.BLOCKED,
                "Only its name is silent, through the product as well.",
                any_of=(Mechanism.TLS_TIMEOUT, Mechanism.ACCESS_LOCAL_INTERCEPTOR),
                also_acceptable=(Outcome.INCONCLUSIVE,),
            ),
        ),
        censor=(WholeLine("everything_resigned"), SniFilter("shielded-silent.org", "drop")),
    ),
    Scenario(
        "nation.wrong_clock",
        (LabSite("time-traveller.org"), LabSite("time-traveller-silent.org")),
        (
            Expect(
                "https://time-traveller.org/",
                Outcome.INCONCLUSIVE,
                "Every certificate looks out of date because the local clock is wrong.",
                also_acceptable=(Outcome.OK,),
            ),
            Expect(
                "https://time-traveller-silent.org/",
                Outcome.BLOCKED,
                "A dropped ClientHello does not depend on the clock.",
                mechanisms=(Mechanism.TLS_TIMEOUT,),
                also_acceptable=(Outcome.INCONCLUSIVE,),
            ),
        ),
        censor=(WholeLine("wrong_clock"), SniFilter("time-traveller-silent.org", "drop")),
        control=ControlState.NONE,
    ),
)
