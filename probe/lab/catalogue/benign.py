"""Sites that are unusual, broken, misbehaving or dead, without any interference."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import (
    CertificateKind,
    Expect,
    LabSite,
    NameKind,
    Page,
    Scenario,
    ServerKind,
)
from probe.model import Outcome


def _certificate(kind: CertificateKind, host: str, why: str, *also: Outcome) -> Scenario:
    site = LabSite(host, certificate=kind)
    return entry(f"innocent.{kind}", site, [], Outcome.DOWN, why, also=also, loopback=True)


def _name(kind: NameKind, host: str, why: str) -> Scenario:
    return entry(
        f"innocent.name_{kind}", LabSite(host, resolves=kind), [], Outcome.DOWN, why, loopback=True
    )


def _server(kind: ServerKind, host: str, outcome: Outcome, why: str, *also: Outcome) -> Scenario:
    return entry(f"innocent.server_{kind}", LabSite(host, server=kind), [], outcome, why, also=also)


def _redirect(status: int, host: str) -> Scenario:
    return entry(
        f"innocent.redirect_{status}",
        LabSite(host, page=Page("redirect", status, f"https://new.{host}/")),
        [],
        Outcome.OK,
        f"A {status} redirect to a site that works.",
        others=[LabSite(f"new.{host}")],
    )


SCENARIOS = (
    entry(
        "innocent.fine",
        LabSite("ordinary-day.org"),
        [],
        Outcome.OK,
        "It simply works.",
        loopback=True,
    ),
    entry(
        "innocent.fine_http",
        LabSite("plain-ordinary.org", plain="same"),
        [],
        Outcome.OK,
        "It simply works over plain http.",
        url="http://plain-ordinary.org/",
        loopback=True,
    ),
    entry(
        "innocent.domestic",
        LabSite("kotelnaya.kz", domestic=True),
        [],
        Outcome.OK,
        "It simply works.",
    ),
    entry(
        "innocent.ipv6", LabSite("six-lanes.org", ipv6=True), [], Outcome.OK, "It works over both."
    ),
    entry(
        "innocent.port",
        LabSite("odd-port.org", ports=(8443,)),
        [],
        Outcome.OK,
        "It works at a port of its own.",
        url="https://odd-port.org:8443/",
    ),
    entry(
        "innocent.idn",
        LabSite("xn--80aa1aefbdg.xn--p1ai"),
        [],
        Outcome.OK,
        "Its name is not ASCII, and it works.",
    ),
    _certificate("expired", "forgot-to-renew.org", "Its certificate has expired."),
    _certificate("self_signed", "homemade-paper.org", "It signs its own certificate."),
    _certificate("wrong_name", "wrong-door.org", "Its certificate is another name's."),
    _certificate("not_yet_valid", "from-the-future.org", "Its certificate is not valid yet."),
    _certificate("incomplete", "missing-link.org", "It forgets its intermediate.", Outcome.OK),
    _certificate(
        "national",
        "ministry-of-forms.ru",
        "Its root is a national one that browsers do not trust.",
        Outcome.OK,
    ),
    _name("nxdomain", "never-registered.org", "The name does not exist, or was suspended."),
    _name("nodata", "no-address-at-all.org", "The name exists and has no address."),
    _name("servfail", "lame-delegation.org", "Its name servers fail for every client."),
    _name("refused", "closed-zone.org", "Its name servers refuse every client."),
    _name("silent", "mute-nameserver.org", "Its name servers never answer."),
    _name("loopback", "points-at-you.org", "It resolves to loopback everywhere."),
    _name("cname_nowhere", "dangling-alias.org", "It is an alias of a name without address."),
    _server("refuses", "closed-shop.org", Outcome.DOWN, "The server refuses every connection."),
    _server("silent", "dead-server.org", Outcome.DOWN, "The server never answers."),
    _server(
        "unreachable", "unplugged.org", Outcome.DOWN, "The server is unreachable from everywhere."
    ),
    _server("no_tls", "not-a-tls-port.org", Outcome.DOWN, "Port 443 speaks plain http."),
    _server("resets", "rude-server.org", Outcome.DOWN, "The server resets every connection."),
    _server("closes_hello", "curt-server.org", Outcome.DOWN, "The server closes every connection."),
    _server(
        "overloaded",
        "under-attack.org",
        Outcome.DOWN,
        "Under DDoS: it accepts connections and does not answer in time.",
    ),
    _server(
        "hangs_after_tls",
        "stuck-backend.org",
        Outcome.DOWN,
        "It completes the handshake and does not respond.",
    ),
    _server(
        "dies_midway", "broken-pipe.org", Outcome.DOWN, "It breaks off every response.", Outcome.OK
    ),
    _server("slow", "slow-cooker.org", Outcome.OK, "It takes two seconds for every client."),
    _server("tls12", "legacy-bank.org", Outcome.OK, "It speaks TLS 1.2 only."),
    _server(
        "rejects_name", "strict-names.org", Outcome.OK, "It rejects other names with an alert."
    ),
    _server(
        "dies_after_control",
        "just-died.org",
        Outcome.DOWN,
        "It died between the control's measurement and the probe's.",
        Outcome.INCONCLUSIVE,
    ),
    entry(
        "innocent.large",
        LabSite("whole-archive.org", page=Page("large")),
        [],
        Outcome.OK,
        "A page of three megabytes, more than a probe reads.",
    ),
    entry(
        "innocent.untitled",
        LabSite("nameless-page.org", page=Page("untitled")),
        [],
        Outcome.OK,
        "A page without a title.",
        loopback=True,
    ),
    entry(
        "innocent.forbidden_all",
        LabSite("members-only.org", page=Page("forbidden")),
        [],
        Outcome.REFUSED,
        "403 for every client over verified TLS: the server refuses.",
        also=[Outcome.OK],
        loopback=True,
    ),
    entry(
        "innocent.forbidden_here",
        LabSite("not-in-your-country.com", page=Page("forbidden", audience="home")),
        [],
        Outcome.REFUSED,
        "403 for this country only, over verified TLS: the server refuses, not the network.",
    ),
    entry(
        "innocent.legal_here",
        LabSite("streaming-rights.com", page=Page("legal", 451, audience="home")),
        [],
        Outcome.REFUSED,
        "451 over verified TLS: the server refuses.",
        loopback=True,
    ),
    entry(
        "innocent.challenge_here",
        LabSite("behind-a-shield.com", page=Page("challenge", audience="home")),
        [],
        Outcome.REFUSED,
        "A challenge page for the probe only, over verified TLS.",
        loopback=True,
    ),
    entry(
        "innocent.challenge_all",
        LabSite("shield-for-all.com", page=Page("challenge")),
        [],
        Outcome.REFUSED,
        "A challenge page for every client, over verified TLS.",
        also=[Outcome.OK],
        loopback=True,
    ),
    entry(
        "innocent.unavailable",
        LabSite("maintenance-night.org", page=Page("unavailable")),
        [],
        Outcome.DOWN,
        "503 for every client.",
        also=[Outcome.REFUSED, Outcome.OK],
        loopback=True,
    ),
    entry(
        "innocent.unavailable_here",
        LabSite("tired-of-you.org", page=Page("unavailable", audience="home")),
        [],
        Outcome.REFUSED,
        "503 for this country only, over verified TLS.",
    ),
    entry(
        "innocent.forbidden_plain",
        LabSite("no-plain-guests.org", page=Page("forbidden"), plain="same"),
        [],
        Outcome.REFUSED,
        "403 for every client over plain http.",
        url="http://no-plain-guests.org/",
        also=[Outcome.OK],
    ),
    entry(
        "innocent.loop",
        LabSite("round-and-round.org", page=Page("loop")),
        [],
        Outcome.DOWN,
        "It redirects to itself endlessly, for every client.",
        loopback=True,
    ),
    entry(
        "innocent.broken_redirect",
        LabSite("bad-signpost.org", page=Page("broken_redirect")),
        [],
        Outcome.DOWN,
        "Its redirect has an invalid target, for every client.",
        also=[Outcome.OK],
    ),
    _redirect(301, "moved-house.org"),
    _redirect(302, "found-elsewhere.org"),
    _redirect(303, "see-other-shelf.org"),
    _redirect(307, "for-now-there.org"),
    _redirect(308, "for-good-there.org"),
    entry(
        "innocent.cdn_by_resolver",
        LabSite("many-edges.org", addresses=6, spread=True),
        [],
        Outcome.OK,
        "Every resolver returns another edge of the same content network.",
    ),
    entry(
        "innocent.cdn_two_leaves",
        LabSite("two-leaves.org", addresses=4, leaves=True),
        [],
        Outcome.OK,
        "Its edges have different certificates from two trusted authorities.",
    ),
    entry(
        "innocent.cdn_dead_node",
        LabSite("one-lamp-out.org", addresses=3, dead_addresses=1),
        [],
        Outcome.OK,
        "One of its nodes is down; the others work.",
    ),
    entry(
        "innocent.cdn_dead_first",
        LabSite("two-lamps-out.org", addresses=3, dead_addresses=2),
        [],
        Outcome.OK,
        "Two of its three nodes are down.",
    ),
    entry(
        "innocent.plain_closed",
        LabSite("tls-or-nothing.org", plain="closed"),
        [],
        Outcome.OK,
        "Port 80 is closed; https works.",
    ),
    Scenario(
        "innocent.http_only_dead_tls",
        (LabSite("paper-only.org", plain="same", server="no_tls"),),
        (
            Expect("http://paper-only.org/", Outcome.OK, "Plain http works for every client."),
            Expect("https://paper-only.org/", Outcome.DOWN, "The server speaks no TLS."),
        ),
        loopback=True,
    ),
)
