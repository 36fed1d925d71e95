"""What servers themselves do over plain http that looks like a censor's work, and its twins."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import ControlState, HttpFilter, LabSite, Page
from probe.model import Mechanism, Outcome

SCENARIOS = (
    entry(
        "innocent.server_resets_host",
        LabSite("rude-to-one.org", plain="same", server="resets_host"),
        [],
        Outcome.INCONCLUSIVE,
        "The server resets this one of its hosts; an unrelated server answers the same Host.",
        url="http://rude-to-one.org/",
        also=[Outcome.DOWN],
        control=ControlState.NONE,
    ),
    entry(
        "innocent.server_resets_host_for_all",
        LabSite("rude-to-one-again.org", plain="same", server="resets_host"),
        [],
        Outcome.DOWN,
        "The server resets this one of its hosts, for the control too.",
        url="http://rude-to-one-again.org/",
    ),
    entry(
        "innocent.redirects_by_country",
        LabSite(
            "partner-abroad.org",
            plain="same",
            page=Page("redirect", 302, "http://partner-at-home.kz/", audience="home"),
        ),
        [],
        Outcome.INCONCLUSIVE,
        "The site redirects this country's visitors to a partner, over https as well.",
        url="http://partner-abroad.org/",
        others=[LabSite("partner-at-home.kz", plain="same", domestic=True)],
        also=[Outcome.OK],
    ),
    entry(
        "innocent.speaks_by_country",
        LabSite("not-for-you.org", plain="same", page=Page("abroad_only", audience="home")),
        [],
        Outcome.INCONCLUSIVE,
        "The site tells this country's visitors that it is not available, over https as well.",
        url="http://not-for-you.org/",
        also=[Outcome.OK, Outcome.REFUSED],
    ),
    entry(
        "innocent.broken_redirect_plain",
        LabSite("bad-plain-signpost.org", plain="same", page=Page("broken_redirect")),
        [],
        Outcome.DOWN,
        "Over plain http its redirect has an invalid target, for every client.",
        url="http://bad-plain-signpost.org/",
    ),
    entry(
        "innocent.loop_plain",
        LabSite(
            "round-in-plain.org",
            plain="same",
            page=Page("redirect", 302, "http://round-in-plain.org/"),
        ),
        [],
        Outcome.DOWN,
        "Over plain http it redirects to itself endlessly, for every client.",
        url="http://round-in-plain.org/",
    ),
    entry(
        "innocent.refuses_robots",
        LabSite("no-robots-here.org", page=Page("robots")),
        [],
        Outcome.REFUSED,
        "It answers 999 to clients that it holds for robots.",
    ),
    entry(
        "http.to_cyrillic",
        LabSite("sent-in-cyrillic.org", plain="same"),
        [HttpFilter("sent-in-cyrillic.org", "to_cyrillic")],
        Outcome.BLOCKED,
        "The censor's redirect has raw UTF-8 and a space in its target.",
        any_of=[Mechanism.HTTP_REDIRECTED, Mechanism.HTTP_BLOCKPAGE],
        url="http://sent-in-cyrillic.org/",
    ),
)
