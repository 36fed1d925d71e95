"""The name in a ClientHello is acted upon; the same address answers for a harmless one."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import Expect, Hello, Page, Scenario, Site
from probe.model import Mechanism as M
from probe.model import Outcome as O

_SAME_ADDRESS = "and the same address answers for a harmless name"

SCENARIOS = (
    entry(
        "tls.drop_hello",
        Site("silent-hello.org"),
        [Hello("silent-hello.org", "drop")],
        O.BLOCKED,
        f"The ClientHello with its name is dropped, {_SAME_ADDRESS}.",
        mechanisms=[M.TLS_TIMEOUT],
        street=True,
    ),
    entry(
        "tls.drop_after",
        Site("silent-after.org"),
        [Hello("silent-after.org", "drop_after")],
        O.BLOCKED,
        f"From the ClientHello on, the whole connection is dropped, {_SAME_ADDRESS}.",
        mechanisms=[M.TLS_TIMEOUT],
    ),
    entry(
        "tls.reset",
        Site("torn-letter.org"),
        [Hello("torn-letter.org", "reset")],
        O.BLOCKED,
        f"The connection is reset at the ClientHello with its name, {_SAME_ADDRESS}.",
        mechanisms=[M.TLS_RESET],
        street=True,
    ),
    entry(
        "tls.fin",
        Site("polite-goodbye.org"),
        [Hello("polite-goodbye.org", "fin")],
        O.BLOCKED,
        f"The connection is closed politely at the ClientHello with its name, {_SAME_ADDRESS}.",
        mechanisms=[M.TLS_EOF],
        street=True,
    ),
    entry(
        "tls.alert",
        Site("formal-refusal.org"),
        [Hello("formal-refusal.org", "alert")],
        O.BLOCKED,
        f"A fatal alert answers the ClientHello here, not for the control, {_SAME_ADDRESS}.",
        mechanisms=[M.TLS_ALERT],
        street=True,
    ),
    entry(
        "tls.drop_hello_tls12",
        Site("old-cipher-news.org", server="tls12"),
        [Hello("old-cipher-news.org", "drop")],
        O.BLOCKED,
        "As above, at a server that speaks TLS 1.2 only.",
        mechanisms=[M.TLS_TIMEOUT],
    ),
    entry(
        "tls.reset_tls12",
        Site("old-cipher-torn.org", server="tls12"),
        [Hello("old-cipher-torn.org", "reset")],
        O.BLOCKED,
        "As above, at a server that speaks TLS 1.2 only.",
        mechanisms=[M.TLS_RESET],
    ),
    entry(
        "tls.fin_tls12",
        Site("old-cipher-goodbye.org", server="tls12"),
        [Hello("old-cipher-goodbye.org", "fin")],
        O.BLOCKED,
        "As above, at a server that speaks TLS 1.2 only.",
        mechanisms=[M.TLS_EOF],
    ),
    entry(
        "tls.residual_drop",
        Site("long-memory.org"),
        [Hello("long-memory.org", "drop", residual=20)],
        O.BLOCKED,
        "After the trigger the whole address is silent for a while: harmless names work before it.",
        mechanisms=[M.TLS_TIMEOUT],
        also=[M.TCP_TIMEOUT],
    ),
    entry(
        "tls.residual_reset",
        Site("grudge-bearer.org"),
        [Hello("grudge-bearer.org", "reset", residual=20)],
        O.BLOCKED,
        "Reset at the name, and silence for everything at that address for a while after.",
        mechanisms=[M.TLS_RESET],
        also=[M.TCP_TIMEOUT, M.TLS_TIMEOUT],
    ),
    entry(
        "tls.drop_on_cdn",
        Site("edge-of-town.org", addresses=4, spread=True),
        [Hello("edge-of-town.org", "drop")],
        O.BLOCKED,
        "Every edge of the content network goes silent for this name.",
        mechanisms=[M.TLS_TIMEOUT],
    ),
    entry(
        "tls.strict_server",
        Site("picky-vhost.org", server="rejects_name"),
        [Hello("picky-vhost.org", "drop")],
        O.BLOCKED,
        "The server answers harmless names with an alert: it answers, and so the silence is not its.",
        mechanisms=[M.TLS_TIMEOUT],
    ),
    entry(
        "tls.behind_http",
        Site("upgrade-me.org"),
        [Hello("upgrade-me.org", "drop")],
        O.BLOCKED,
        "Plain http redirects to https, where the ClientHello is dropped.",
        mechanisms=[M.TLS_TIMEOUT],
        url="http://upgrade-me.org/",
        street=True,
    ),
    entry(
        "tls.behind_redirect",
        Site("front-door.site", page=Page("redirect", 302, "https://back-room.site/")),
        [Hello("back-room.site", "reset")],
        O.BLOCKED,
        "The first site works and redirects to a name whose ClientHello is reset.",
        mechanisms=[M.TLS_RESET],
        others=[Site("back-room.site")],
    ),
    entry(
        "tls.domestic",
        Site("home-grown.kz", domestic=True),
        [Hello("home-grown.kz", "drop")],
        O.BLOCKED,
        "A domestic site is stopped by its name like a foreign one.",
        mechanisms=[M.TLS_TIMEOUT],
    ),
    entry(
        "tls.ipv6_too",
        Site("both-families.org", ipv6=True),
        [Hello("both-families.org", "drop")],
        O.BLOCKED,
        "The name is dropped over IPv4 and over IPv6.",
        mechanisms=[M.TLS_TIMEOUT],
    ),
    Scenario(
        "tls.neighbour_fine",
        (Site("tower-a.org"), Site("tower-b.org", shares="tower-a.org")),
        (
            Expect(
                "https://tower-a.org/",
                O.BLOCKED,
                "Its name is reset at an address that serves its neighbour.",
                mechanisms=(M.TLS_RESET,),
            ),
            Expect(
                "https://tower-b.org/", O.OK, "The neighbour at the same address is left alone."
            ),
        ),
        censor=(Hello("tower-a.org", "reset"),),
    ),
)
