"""Give a list of scenarios addresses, certificates and names: the country as data.

Built once, before any process of the country is forked, so that every one of them has the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from probe.lab import addresses as plan
from probe.lab.pki import Pki, Served
from probe.lab.scenario import Interference, Lie, LineSpec, Nation, Page, Scenario, Site

WRONG_CLOCK = timedelta(days=-400)  # from our clock to the true time, where ours is wrong


@dataclass(frozen=True, slots=True)
class Placed:
    """A site and the addresses it was given."""

    site: Site
    v4: tuple[str, ...]
    v6: tuple[str, ...] = ()

    @property
    def alive(self) -> tuple[str, ...]:
        """The IPv4 addresses at which somebody answers."""
        return self.v4[: len(self.v4) - self.site.dead_addresses]


@dataclass(frozen=True)
class Topology:
    """Everything the processes of a country need to know.

    Attributes:
        places: Sites by name.
        at: Names of the sites at an address, first the one whose certificate is the default.
        served: Certificate and key by (name, address).
        mirrors: Another address at which the real site answers, by name.
    """

    places: dict[str, Placed]
    at: dict[str, tuple[str, ...]]
    served: dict[tuple[str, str], Served]
    acts: tuple[Interference, ...]
    mirrors: dict[str, str]
    line: LineSpec
    pki: Pki

    def addresses_of(self, name: str) -> tuple[str, ...]:
        """All addresses of a site, of both families."""
        place = self.places[name]
        return place.v4 + place.v6

    def nation(self, how: str) -> bool:
        """Whether something is done to the whole country."""
        return any(isinstance(act, Nation) and act.how == how for act in self.acts)

    def site_for(self, name: str | None, address: str) -> Site | None:
        """Who answers at an address when this name is offered; None: nobody of that name."""
        names = self.at.get(address, ())
        return self.places[name].site if name is not None and name in names else None

    def default_at(self, address: str) -> Site | None:
        """Who answers at an address when no name, or a strange one, is offered."""
        names = self.at.get(address, ())
        return self.places[names[0]].site if names else None


def build(scenarios: Sequence[Scenario], line: LineSpec, extra: Iterable[Site] = ()) -> Topology:
    """Place all sites of all scenarios, and those every country has, in one world."""
    sites = _unique([*standing(), *extra, *(site for each in scenarios for site in each.sites)])
    places = _place(sites)
    at: dict[str, tuple[str, ...]] = {}
    for place in places.values():
        for address in place.v4 + place.v6:
            at[address] = (*at.get(address, ()), place.site.name)
    acts = tuple(act for each in scenarios for act in each.censor)
    mirrors = {name: plan.mirror(places[name].v4[0]) for name in _mirrored(acts)}
    at.update({address: (name,) for name, address in mirrors.items()})
    clock = Nation("wrong_clock") in acts
    pki = Pki(datetime.now(UTC).replace(microsecond=0) + (WRONG_CLOCK if clock else timedelta(0)))
    served = {
        (name, address): _certify(pki, places[name], address)
        for address, names in at.items()
        for name in names
    }
    return Topology(places, at, served, acts, mirrors, line, pki)


def _mirrored(acts: Sequence[Interference]) -> list[str]:
    return [act.name for act in acts if isinstance(act, Lie) and act.how == "mirror"]


def _unique(sites: Iterable[Site]) -> list[Site]:
    """Later entries replace earlier ones of the same name: a scenario may redefine an anchor."""
    return list({site.name: site for site in sites}.values())


def _place(sites: Sequence[Site]) -> dict[str, Placed]:
    allocator = plan.Allocator()
    places: dict[str, Placed] = {}
    for site in sites:
        if site.shares:
            continue
        v4 = (
            site.fixed
            or _FIXED.get(site.name)
            or tuple(
                allocator.take(domestic=site.domestic, essential=site.essential)
                for _ in range(site.addresses)
            )
        )
        v6 = (allocator.take6(),) if site.ipv6 else ()
        places[site.name] = Placed(site, v4, v6)
    for site in sites:
        if site.shares:
            host = places[site.shares]
            places[site.name] = Placed(site, host.v4, host.v6)
    return places


_FIXED = {
    plan.BLOCK_PAGE_NAME: (plan.BLOCK_PAGE,),
    plan.PORTAL_NAME: (plan.PORTAL,),
    "parked-names-lab.com": (plan.AD_PAGE,),
}


def _certify(pki: Pki, place: Placed, address: str) -> Served:
    site = place.site
    kind = site.certificate
    if site.leaves and address in place.v4 and place.v4.index(address) % 2:
        kind = "second_authority"
    return pki.serve(kind, (site.name, f"www.{site.name}"))


def standing() -> list[Site]:
    """What every country has: sites that must work, names nobody minds, the censor's own pages."""
    sites = [
        Site(plan.BLOCK_PAGE_NAME, page=Page("legal", 200), plain="same", domestic=True),
        Site(plan.PORTAL_NAME, plain="same", domestic=True),
        Site("parked-names-lab.com", page=Page("small"), plain="same", domestic=True),
    ]
    return [*sites, *_listed()]


def _listed() -> list[Site]:
    """The anchors and harmless names that a probe brings with it."""
    from probe import reference_data

    sites: dict[str, Site] = {}
    for name in reference_data.harmless_names():
        sites[name] = Site(name, page=Page("small"), ipv6=True)
    for name in reference_data.quic_references():
        sites[name] = Site(name, page=Page("small"), quic="up")
    for anchor in reference_data.anchors():
        url = urlsplit(anchor.url)
        name = url.hostname or ""
        sites[name] = Site(
            name,
            domestic=not anchor.foreign,
            essential=anchor.essential and not anchor.foreign,
            ipv6=anchor.foreign,
        )
    return list(sites.values())
