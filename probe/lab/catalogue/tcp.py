"""Packets to an address are blocked, regardless of their content."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import AddressBlock, Expect, LabSite, Page, Scenario, SniFilter
from probe.model import Mechanism, Outcome

SCENARIOS = (
    entry(
        "tcp.drop",
        LabSite("blackhole-times.org"),
        [AddressBlock("blackhole-times.org", "drop")],
        Outcome.BLOCKED,
        "Its address is silent here, and the control reaches it at the same time.",
        mechanisms=[Mechanism.TCP_TIMEOUT],
    ),
    entry(
        "tcp.refuse",
        LabSite("slammed-door.net"),
        [AddressBlock("slammed-door.net", "refuse")],
        Outcome.BLOCKED,
        "The connection is refused here and accepted for the control.",
        mechanisms=[Mechanism.TCP_REFUSED],
    ),
    entry(
        "tcp.host_unreachable",
        LabSite("no-road-there.org"),
        [AddressBlock("no-road-there.org", "host_unreachable")],
        Outcome.BLOCKED,
        "A router says that the host is unreachable; the control reaches it.",
        mechanisms=[Mechanism.TCP_UNREACHABLE],
    ),
    entry(
        "tcp.net_unreachable",
        LabSite("lost-network.org"),
        [AddressBlock("lost-network.org", "net_unreachable")],
        Outcome.BLOCKED,
        "A router says that the network is unreachable; the control reaches it.",
        mechanisms=[Mechanism.TCP_UNREACHABLE],
    ),
    entry(
        "tcp.reset",
        LabSite("cut-short.org"),
        [AddressBlock("cut-short.org", "reset")],
        Outcome.BLOCKED,
        "Every connection to its address is reset once established, for any name.",
        any_of=[Mechanism.TCP_RESET, Mechanism.TLS_RESET],
    ),
    Scenario(
        "tcp.port_443",
        (LabSite("half-open.org", plain="same"),),
        (
            Expect(
                "https://half-open.org/",
                Outcome.BLOCKED,
                "Port 443 of its address is silent here, and answers the control.",
                mechanisms=(Mechanism.TCP_TIMEOUT,),
            ),
            Expect(
                "http://half-open.org/", Outcome.OK, "Port 80 of the same address is left alone."
            ),
        ),
        censor=(AddressBlock("half-open.org", "drop", port=443),),
    ),
    entry(
        "tcp.one_of_two",
        LabSite("two-houses.org", addresses=2),
        [AddressBlock("two-houses.org", "drop", first_only=True)],
        Outcome.OK,
        "One of its two addresses is silent here; the other serves the real site.",
        also=[Mechanism.TCP_TIMEOUT, Outcome.BLOCKED],
    ),
    entry(
        "tcp.all_of_three",
        LabSite("three-houses.org", addresses=3),
        [AddressBlock("three-houses.org", "drop")],
        Outcome.BLOCKED,
        "All three of its addresses are silent here and answer the control.",
        mechanisms=[Mechanism.TCP_TIMEOUT],
    ),
    entry(
        "tcp.bystander",
        LabSite("guest-of-condemned.org", shares="condemned-host.org"),
        [AddressBlock("condemned-host.org", "refuse")],
        Outcome.BLOCKED,
        "It shares the address of a blocked site and is blocked with it.",
        mechanisms=[Mechanism.TCP_REFUSED],
        others=[LabSite("condemned-host.org")],
    ),
    entry(
        "tcp.and_sni",
        LabSite("walled-twice.org", addresses=2),
        [
            AddressBlock("walled-twice.org", "drop", first_only=True),
            SniFilter("walled-twice.org", "reset"),
        ],
        Outcome.BLOCKED,
        "One address is silent for everything, the other resets this name.",
        mechanisms=[Mechanism.TLS_RESET],
        also=[Mechanism.TCP_TIMEOUT],
    ),
    entry(
        "tcp.behind_redirect",
        LabSite("old-address.info", page=Page("redirect", 301, "https://moved-away.info/")),
        [AddressBlock("moved-away.info", "drop")],
        Outcome.BLOCKED,
        "The first site redirects to one whose address is silent here only.",
        mechanisms=[Mechanism.TCP_TIMEOUT],
        others=[LabSite("moved-away.info")],
    ),
    entry(
        "tcp.http_drop",
        LabSite("plain-and-gone.org", plain="same"),
        [AddressBlock("plain-and-gone.org", "drop")],
        Outcome.BLOCKED,
        "Its address is silent here, over plain http as well.",
        mechanisms=[Mechanism.TCP_TIMEOUT],
        url="http://plain-and-gone.org/",
    ),
)
