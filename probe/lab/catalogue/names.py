"""Names: dead ones, those with one family of addresses, and what resolvers say of them."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import DnsTampering, LabSite
from probe.model import Mechanism, Outcome

SCENARIOS = (
    entry(
        "names.dead_and_listed",
        LabSite("closed-long-ago.org", resolves="nxdomain"),
        [DnsTampering("closed-long-ago.org", "block_page", resolvers="system")],
        Outcome.BLOCKED,
        "The name exists nowhere; the provider's resolver, honest of other dead names, forges it.",
        mechanisms=[Mechanism.DNS_WRONG_ADDRESS],
        also=[Mechanism.HTTP_BLOCKPAGE],
    ),
    entry(
        "names.censored",
        LabSite("named-by-order.org"),
        [DnsTampering("named-by-order.org", "censored", resolvers="system")],
        Outcome.BLOCKED,
        "The provider's resolver denies the name and says that it was made to.",
        mechanisms=[Mechanism.DNS_NXDOMAIN],
    ),
    entry(
        "names.filtered",
        LabSite("not-for-children.org"),
        [DnsTampering("not-for-children.org", "filtered", resolvers="system")],
        Outcome.INCONCLUSIVE,
        "The resolver denies the name and says that its customer asked for that.",
    ),
    entry(
        "names.dnssec_bogus",
        LabSite("signed-badly.org", resolves="dnssec_bogus"),
        [],
        Outcome.DOWN,
        "Every resolver rejects the site's own DNSSEC signatures.",
    ),
    entry(
        "names.ipv6_only",
        LabSite("sixes-only.org", resolves="ipv6_only", ipv6=True),
        [],
        Outcome.OK,
        "The site has IPv6 addresses alone: no IPv4 address is no denial.",
        also=[Outcome.INCONCLUSIVE],
    ),
    entry(
        "names.crude_device",
        LabSite("plain-queries.org"),
        [DnsTampering("plain-queries.org", "strips_opt", resolvers="system")],
        Outcome.OK,
        "A device misreads queries with an OPT record; without one the name has its address.",
    ),
)
