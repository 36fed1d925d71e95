"""What a line does to every site alike, and its twins: many sites that are really blocked."""

from dataclasses import replace

from probe.lab.scenario import (
    AddressBlock,
    ControlState,
    Expect,
    Interference,
    LabSite,
    Scenario,
    ServerKind,
    SniFilter,
    WholeLine,
)
from probe.model import Mechanism, Outcome

_MANY = 6


def _both(scenario: Scenario) -> tuple[Scenario, ...]:
    """The scenario with a fresh control, and with other names without one."""
    alone = replace(
        scenario,
        name=f"{scenario.name}_alone",
        sites=tuple(replace(site, name=f"alone-{site.name}") for site in scenario.sites),
        expect=tuple(
            replace(one, url=one.url.replace("//", "//alone-")) for one in scenario.expect
        ),
        censor=tuple(map(_renamed, scenario.censor)),
        control=ControlState.NONE,
    )
    return scenario, alone


def _renamed(one: Interference) -> Interference:
    if isinstance(one, SniFilter | AddressBlock):
        return replace(one, name=f"alone-{one.name}")
    return one


def _accuses_none(name: str, line: WholeLine, host: str, why: str) -> tuple[Scenario, ...]:
    """Several unrelated sites over https and plain http, on a line that does this to all."""
    sites = tuple(LabSite(f"{host}-{n}.org", plain="same", ipv6=n < 3) for n in range(1, _MANY + 1))
    urls = [f"https://{site.name}/" for site in sites]
    urls += [f"http://{site.name}/" for site in sites[:3]]
    expect = tuple(
        Expect(
            url,
            Outcome.INCONCLUSIVE,
            why,
            also_acceptable=(
                Outcome.OK,
                Mechanism.ACCESS_CAPTIVE_PORTAL,
                Mechanism.ACCESS_OFFLINE,
                Mechanism.ACCESS_FOREIGN_CUT,
            ),
        )
        for url in urls
    )
    return _both(Scenario(name, sites, expect, censor=(line,)))


def _narrow(name: str, host: str, server: ServerKind) -> tuple[Scenario, ...]:
    """Sites whose large packets are lost on the way, one over TLS and one over plain http."""
    one = LabSite(f"{host}-one.org", server=server)
    two = LabSite(f"{host}-two.org", server=server, plain="same")
    why = "Large packets of this address are lost, and small ones are answered."
    expect = tuple(
        Expect(url, Outcome.INCONCLUSIVE, why)
        for url in (f"https://{one.name}/", f"https://{two.name}/", f"http://{two.name}/")
    )
    blocks = tuple(AddressBlock(site.name, "large") for site in (one, two))
    return _both(Scenario(name, (one, two), expect, censor=blocks))


def _list(name: str, host: str, blocked: int, fine: int) -> tuple[Scenario, ...]:
    """Sites of which some are blocked by name, on a line whose reference sites work."""
    bad = tuple(LabSite(f"{host}-lost-{n}.org") for n in range(blocked))
    good = tuple(LabSite(f"{host}-kept-{n}.org") for n in range(fine))
    filters: tuple[Interference, ...] = tuple(SniFilter(site.name, "drop") for site in bad)
    why = "Its name is dropped, though this happens to most of the list."
    expect = (
        *(
            Expect(f"https://{s.name}/", Outcome.BLOCKED, why, mechanisms=(Mechanism.TLS_TIMEOUT,))
            for s in bad
        ),
        *(Expect(f"https://{s.name}/", Outcome.OK, "It works.") for s in good),
    )
    return _both(Scenario(name, (*bad, *good), expect, censor=filters))


def _plain_closed() -> tuple[Scenario, ...]:
    """A site whose port 80 is closed for every client, and which works over https."""
    site = LabSite("secure-only.org", plain="closed")
    why = "Port 80 is closed for every client; the site itself works."
    expect = (
        Expect(
            "http://secure-only.org/", Outcome.DOWN, why, also_acceptable=(Outcome.INCONCLUSIVE,)
        ),
        Expect("https://secure-only.org/", Outcome.OK, why),
    )
    return _both(Scenario("line.site_without_port_80", (site,), expect))


SCENARIOS = (
    *_plain_closed(),
    *_accuses_none(
        "line.pages_answered",
        WholeLine("pages_answered"),
        "lobby-form",
        "The line answers every plain page itself and refuses port 443 for every site.",
    ),
    *_accuses_none(
        "line.port_443_refused",
        WholeLine("port_443_refused"),
        "no-secure-port",
        "Port 443 is refused for every site.",
    ),
    *_accuses_none(
        "line.port_443_reset",
        WholeLine("port_443_reset"),
        "torn-secure-port",
        "Every connection to port 443 is reset.",
    ),
    *_accuses_none(
        "line.port_443_silent",
        WholeLine("port_443_silent"),
        "mute-secure-port",
        "Every connection to port 443 is dropped.",
    ),
    *_accuses_none(
        "line.port_80_refused",
        WholeLine("port_80_refused"),
        "no-plain-port",
        "Port 80 is refused for every site.",
    ),
    *_accuses_none(
        "line.session_ends",
        WholeLine("session_ends"),
        "checkout-time",
        "From a moment on, every connection to port 443 is refused.",
    ),
    *_accuses_none(
        "line.large_packets_lost",
        WholeLine("large_packets_lost"),
        "narrow-tunnel",
        "Large packets are lost without a word, whichever the site.",
    ),
    *_accuses_none(
        "line.no_ipv4",
        WholeLine("no_ipv4"),
        "only-six",
        "This line has no IPv4.",
    ),
    *_narrow("line.narrow_path", "past-the-tunnel", "up"),
    *_narrow("line.narrow_path_strict", "strict-tunnel", "rejects_name"),
    *_list("line.most_of_the_list", "long-list", 20, 10),
    *_list("line.all_of_three", "short-list", 3, 0),
)
