"""What happens to the whole line: outages, portals, products, whitelists, blocked helpers."""

from probe.lab.scenario import (
    ControlState,
    Expect,
    Hello,
    Interference,
    Lie,
    Nation,
    Scenario,
    Site,
)
from probe.model import Mechanism, Outcome


def _everything(
    name: str,
    act: Nation,
    host: str,
    mechanism: Mechanism | None,
    why: str,
    *also: Outcome | Mechanism,
) -> Scenario:
    """Nothing can be said of any site: a foreign and a domestic one."""
    sites = (Site(f"{host}.org"), Site(f"{host}.kz", domestic=True))
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
    return Scenario(name, sites, expect, censor=(act,))


def _helpers_stopped(name: str, act: Nation, host: str, lie: str) -> Scenario:
    """Resolvers that would help are stopped: fine sites stay fine, and proofs still hold."""
    sites = (Site(f"{host}-fine.org"), Site(f"{host}-silent.org"), Site(f"{host}-denied.org"))
    acts: tuple[Interference, ...] = (
        act,
        Hello(f"{host}-silent.org", "drop"),
        Lie(f"{host}-denied.org", "nxdomain", whom="system"),
    )
    expect = (
        Expect(f"https://{host}-fine.org/", Outcome.OK, "The provider's resolver is enough."),
        Expect(
            f"https://{host}-silent.org/",
            Outcome.BLOCKED,
            "The proof by a harmless name needs no other resolver.",
            mechanisms=(Mechanism.TLS_TIMEOUT,),
        ),
        Expect(
            f"https://{host}-denied.org/",
            Outcome.BLOCKED,
            lie,
            mechanisms=(Mechanism.DNS_NXDOMAIN,),
        ),
    )
    return Scenario(name, sites, expect, censor=acts)


SCENARIOS = (
    _everything(
        "nation.outage",
        Nation("outage"),
        "dark-evening",
        Mechanism.ACCESS_OFFLINE,
        "The line is dead: that is no site's block.",
    ),
    _everything(
        "nation.captive_portal",
        Nation("captive_portal"),
        "lobby-guest",
        Mechanism.ACCESS_CAPTIVE_PORTAL,
        "A portal answers for everything.",
    ),
    _everything(
        "nation.hotel_dns",
        Nation("hotel_dns"),
        "room-service",
        Mechanism.ACCESS_CAPTIVE_PORTAL,
        "The resolver answers every name with the portal's address.",
        Mechanism.DNS_WRONG_ADDRESS,
        Mechanism.ACCESS_OFFLINE,
    ),
    _everything(
        "nation.everything_resigned",
        Nation("everything_resigned"),
        "office-desk",
        Mechanism.ACCESS_LOCAL_INTERCEPTOR,
        "One authority signs for every name: a product at home or at work.",
    ),
    _everything(
        "nation.no_dns",
        Nation("no_dns"),
        "nameless-town",
        None,
        "No name can be resolved at all: nothing is said of any one site.",
        Mechanism.DNS_TIMEOUT,
        Mechanism.ACCESS_OFFLINE,
    ),
    Scenario(
        "nation.foreign_cut",
        (Site("beyond-the-border.org"), Site("inside-the-border.kz", domestic=True)),
        (
            Expect(
                "https://beyond-the-border.org/",
                Outcome.BLOCKED,
                "Everything foreign is cut off, and everything domestic works.",
                mechanisms=(Mechanism.ACCESS_FOREIGN_CUT,),
                also_acceptable=(Outcome.INCONCLUSIVE, Mechanism.TCP_TIMEOUT),
            ),
            Expect("https://inside-the-border.kz/", Outcome.OK, "Domestic sites work."),
        ),
        censor=(Nation("foreign_cut"),),
    ),
    Scenario(
        "nation.whitelist",
        (
            Site("not-on-the-list.org"),
            Site("not-on-the-list.kz", domestic=True),
            Site("bank-on-the-list.kz", domestic=True, essential=True),
        ),
        (
            Expect(
                "https://not-on-the-list.org/",
                Outcome.BLOCKED,
                "Only a few domestic services are let through.",
                mechanisms=(Mechanism.ACCESS_WHITELIST,),
                also_acceptable=(Outcome.INCONCLUSIVE, Mechanism.TCP_TIMEOUT),
            ),
            Expect(
                "https://not-on-the-list.kz/",
                Outcome.BLOCKED,
                "Ordinary domestic sites are shut out as well.",
                mechanisms=(Mechanism.ACCESS_WHITELIST,),
                also_acceptable=(Outcome.INCONCLUSIVE, Mechanism.TCP_TIMEOUT),
            ),
            Expect("https://bank-on-the-list.kz/", Outcome.OK, "It is on the list."),
        ),
        censor=(Nation("whitelist"),),
    ),
    _helpers_stopped(
        "nation.no_public_dns",
        Nation("no_public_dns"),
        "without-helpers",
        "The control knows its address, and the site proves its name there.",
    ),
    _helpers_stopped(
        "nation.no_doh",
        Nation("no_doh"),
        "without-doh",
        "Other resolvers and the control know its address, and the site proves its name there.",
    ),
    Scenario(
        "nation.no_ipv6",
        (Site("six-is-broken.org", ipv6=True), Site("six-and-silent.org", ipv6=True)),
        (
            Expect("https://six-is-broken.org/", Outcome.OK, "IPv6 is broken here; IPv4 works."),
            Expect(
                "https://six-and-silent.org/",
                Outcome.BLOCKED,
                "Over IPv4 its name is dropped; IPv6 is broken for everything.",
                mechanisms=(Mechanism.TLS_TIMEOUT,),
            ),
        ),
        censor=(Nation("no_ipv6"), Hello("six-and-silent.org", "drop")),
    ),
    Scenario(
        "nation.resigned_and_blocked",
        (Site("shielded-fine.org"), Site("shielded-silent.org")),
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
                "Its name alone is silent, through the product as well.",
                any_of=(Mechanism.TLS_TIMEOUT, Mechanism.ACCESS_LOCAL_INTERCEPTOR),
                also_acceptable=(Outcome.INCONCLUSIVE,),
            ),
        ),
        censor=(Nation("everything_resigned"), Hello("shielded-silent.org", "drop")),
    ),
    Scenario(
        "nation.wrong_clock",
        (Site("time-traveller.org"), Site("time-traveller-silent.org")),
        (
            Expect(
                "https://time-traveller.org/",
                Outcome.INCONCLUSIVE,
                "Every certificate looks out of date: our clock is wrong.",
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
        censor=(Nation("wrong_clock"), Hello("time-traveller-silent.org", "drop")),
        control=ControlState.NONE,
    ),
)
