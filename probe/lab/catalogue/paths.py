"""Several routers lead to the site: the network on the way stops it, or the site itself does."""

from probe.lab.catalogue.entry import entry
from probe.lab.scenario import (
    Interference,
    LabSite,
    LineSpec,
    PathShape,
    RouterMiddlebox,
    Scenario,
    SiteFirewall,
)
from probe.model import Mechanism, Outcome

_LINE = LineSpec("near", delay=0.008)


def _on(
    shape: PathShape, name: str, what: Interference, why: str, *mechanisms: Mechanism
) -> Scenario:
    """Blocked if mechanisms are given, else the site's own doing."""
    outcome = Outcome.BLOCKED if mechanisms else Outcome.INCONCLUSIVE
    site = LabSite(getattr(what, "name", ""))
    return entry(name, site, [shape, what], outcome, why, mechanisms=mechanisms, line=_LINE)


_CHAIN, _WAYS = PathShape("chain"), PathShape("unequal_ways")

SCENARIOS = (
    _on(
        _CHAIN,
        "path.name_on_the_way",
        RouterMiddlebox("lost-in-the-backbone.org", "backbone", "hello", "drop"),
        "A router of the backbone drops its ClientHellos, far from its servers.",
        Mechanism.TLS_TIMEOUT,
    ),
    _on(
        _CHAIN,
        "path.address_on_the_way",
        RouterMiddlebox("no-way-through.org", "border", "connections", "drop"),
        "A router at the border drops its SYNs, and lets datagrams to it pass.",
        Mechanism.TCP_TIMEOUT,
    ),
    _on(
        _CHAIN,
        "path.refused_on_the_way",
        RouterMiddlebox("refused-by-a-router.org", "backbone", "connections", "reset"),
        "A router of the backbone refuses its connections, from nearer than its server is.",
        Mechanism.TCP_REFUSED,
    ),
    _on(
        _CHAIN,
        "path.name_at_the_server",
        SiteFirewall("ignores-this-country.org", "hello"),
        "Its own servers drop the ClientHellos of this client, and let the control in.",
    ),
    _on(
        _CHAIN,
        "path.address_at_the_server",
        SiteFirewall("silent-to-this-country.org", "address"),
        "Its own servers are silent to this client, and let the control in.",
    ),
    _on(
        _CHAIN,
        "path.refused_at_the_edge",
        RouterMiddlebox("refused-at-its-edge.org", "edge", "connections", "reset"),
        "The last router before its servers refuses this client: probably its own network.",
    ),
    _on(
        _WAYS,
        "path.name_before_two_ways",
        RouterMiddlebox("cut-at-the-provider.org", "provider", "hello", "reset"),
        "A router of the provider resets its name, before ways of different length.",
        Mechanism.TLS_RESET,
    ),
    _on(
        _WAYS,
        "path.name_behind_two_ways",
        SiteFirewall("resets-this-country.org", "hello", "reset"),
        "Its own servers reset this client, behind ways of different length.",
    ),
    _on(
        _WAYS,
        "path.address_behind_two_ways",
        SiteFirewall("drops-this-country.org", "connections"),
        "Its own servers drop this client's SYNs, behind ways of different length.",
    ),
)
