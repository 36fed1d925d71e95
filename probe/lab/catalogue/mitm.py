"""Forged certificates from beyond the home network."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import ControlState, Hello, Lie, Page, Site
from probe.model import Mechanism, Outcome

SCENARIOS = (
    entry(
        "mitm.2019",
        Site("opened-letters.com"),
        [Hello("opened-letters.com", "mitm_2019")],
        Outcome.INTERCEPTED,
        "A copy of its certificate, signed by an authority that imitates the one of 2019.",
        mechanisms=[Mechanism.TLS_MITM],
        street=True,
    ),
    entry(
        "mitm.2021",
        Site("read-by-others.ru"),
        [Hello("read-by-others.ru", "mitm_2021")],
        Outcome.INTERCEPTED,
        "A copy of its certificate under a name of the known family and a key nobody knows yet.",
        mechanisms=[Mechanism.TLS_MITM],
        street=True,
    ),
    entry(
        "mitm.anonymous",
        Site("steamed-envelope.org"),
        [Hello("steamed-envelope.org", "mitm_anonymous")],
        Outcome.INTERCEPTED,
        "An unknown authority signs for this name only; the control sees a trusted certificate.",
        mechanisms=[Mechanism.TLS_MITM],
        street=True,
    ),
    entry(
        "mitm.of_expired",
        Site("lapsed-but-read.org", certificate="expired"),
        [Hello("lapsed-but-read.org", "mitm_2021")],
        Outcome.INTERCEPTED,
        "The site's own certificate has expired for everybody, and yet another one is served here.",
        mechanisms=[Mechanism.TLS_MITM],
    ),
    entry(
        "mitm.of_self_signed",
        Site("homemade-but-read.org", certificate="self_signed"),
        [Hello("homemade-but-read.org", "mitm_anonymous")],
        Outcome.INTERCEPTED,
        "The site signs its own certificate, and a different one is served here.",
        mechanisms=[Mechanism.TLS_MITM],
    ),
    entry(
        "mitm.tls12",
        Site("old-cipher-read.org", server="tls12"),
        [Hello("old-cipher-read.org", "mitm_2019")],
        Outcome.INTERCEPTED,
        "Interception of a server that speaks TLS 1.2 only.",
        mechanisms=[Mechanism.TLS_MITM],
    ),
    entry(
        "mitm.and_dns",
        Site("watched-twice.org"),
        [Lie("watched-twice.org", "nxdomain"), Hello("watched-twice.org", "mitm_2021")],
        Outcome.INTERCEPTED,
        "The name is denied, and at its true address a forged certificate is served.",
        mechanisms=[Mechanism.TLS_MITM],
        also=[Mechanism.DNS_NXDOMAIN],
    ),
    entry(
        "mitm.behind_redirect",
        Site("hallway.site", page=Page("redirect", 302, "https://reading-room.site/")),
        [Hello("reading-room.site", "mitm_2021")],
        Outcome.INTERCEPTED,
        "The first site is genuine; the one it redirects to is intercepted.",
        mechanisms=[Mechanism.TLS_MITM],
        others=[Site("reading-room.site")],
    ),
    entry(
        "mitm.no_control",
        Site("unwitnessed.org"),
        [Hello("unwitnessed.org", "mitm_2021")],
        Outcome.INTERCEPTED,
        "Only this name gets the forged certificate: the same address is genuine for others.",
        mechanisms=[Mechanism.TLS_MITM],
        control=ControlState.NONE,
    ),
)
