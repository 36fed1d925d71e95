"""Assign addresses, certificates and names to the sites of scenarios.

A topology is built once, before the testbed's processes are forked, so that all share it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from probe.lab import addresses as plan
from probe.lab.pki import Pki, ServerCertificate
from probe.lab.scenario import (
    DnsTampering,
    Interference,
    LabSite,
    LineSpec,
    Page,
    Scenario,
    WholeLine,
)

WRONG_CLOCK = timedelta(days=-400)  # true time minus local time, where the local clock is wrong


@dataclass(frozen=True, slots=True)
class PlacedSite:
    """A site and the addresses it was given."""

    site: LabSite
    v4: tuple[str, ...]
    v6: tuple[str, ...] = ()

    @property
    def alive(self) -> tuple[str, ...]:
        """The IPv4 addresses that answer."""
        return self.v4[: len(self.v4) - self.site.dead_addresses]


@dataclass(frozen=True)
class Topology:
    """Everything the processes of a testbed share.

    Attributes:
        sites: Sites by name.
        names_at: Names of the sites at an address; the first one's certificate is the default.
        certificates: Certificate and key by (name, address).
        mirrors: Another address at which the real site answers, by name.
    """

    sites: dict[str, PlacedSite]
    names_at: dict[str, tuple[str, ...]]
    certificates: dict[tuple[str, str], ServerCertificate]
    interferences: tuple[Interference, ...]
    mirrors: dict[str, str]
    line: LineSpec
    pki: Pki

    def addresses_of(self, name: str) -> tuple[str, ...]:
        """All addresses of a site, of both families."""
        placed = self.sites[name]
        return placed.v4 + placed.v6

    def has_whole_line(self, how: str) -> bool:
        """Whether this whole-line interference is active."""
        return any(
            isinstance(interference, WholeLine) and interference.how == how
            for interference in self.interferences
        )

    def site_for(self, name: str | None, address: str) -> LabSite | None:
        """The site with this name at an address, or None."""
        names = self.names_at.get(address, ())
        return self.sites[name].site if name is not None and name in names else None

    def default_at(self, address: str) -> LabSite | None:
        """The site that answers at an address when no known name is offered."""
        names = self.names_at.get(address, ())
        return self.sites[names[0]].site if names else None


def build(scenarios: Sequence[Scenario], line: LineSpec, extra: Iterable[LabSite] = ()) -> Topology:
    """The topology of all sites of the scenarios and of the sites that every testbed has.

    A later site replaces an earlier one of the same name: a scenario may redefine an anchor.
    """
    own = [site for each in scenarios for site in each.sites]
    unique = {site.name: site for site in [*permanent_sites(), *extra, *own]}
    sites = _assign_addresses(list(unique.values()))
    names_at: dict[str, tuple[str, ...]] = {}
    for placed in sites.values():
        for address in placed.v4 + placed.v6:
            names_at[address] = (*names_at.get(address, ()), placed.site.name)
    interferences = tuple(interference for each in scenarios for interference in each.censor)
    mirrors = {
        each.name: plan.mirror(sites[each.name].v4[0])
        for each in interferences
        if isinstance(each, DnsTampering) and each.how == "mirror"
    }
    names_at.update({address: (name,) for name, address in mirrors.items()})
    offset = WRONG_CLOCK if WholeLine("wrong_clock") in interferences else timedelta(0)
    pki = Pki(datetime.now(UTC).replace(microsecond=0) + offset)
    certificates = {
        (name, address): _certify(pki, sites[name], address)
        for address, names in names_at.items()
        for name in names
    }
    return Topology(sites, names_at, certificates, interferences, mirrors, line, pki)


def _assign_addresses(sites: Sequence[LabSite]) -> dict[str, PlacedSite]:
    allocator = plan.Allocator()
    placed: dict[str, PlacedSite] = {}
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
        placed[site.name] = PlacedSite(site, v4, v6)
    for site in sites:
        if site.shares:
            host = placed[site.shares]
            placed[site.name] = PlacedSite(site, host.v4, host.v6)
    return placed


_FIXED = {
    plan.BLOCK_PAGE_NAME: (plan.BLOCK_PAGE,),
    plan.PORTAL_NAME: (plan.PORTAL,),
    "parked-names-lab.com": (plan.AD_PAGE,),
}


def _certify(pki: Pki, placed: PlacedSite, address: str) -> ServerCertificate:
    site = placed.site
    kind = site.certificate
    if site.leaves and address in placed.v4 and placed.v4.index(address) % 2:
        kind = "second_authority"
    return pki.serve(kind, (site.name, f"www.{site.name}"))


def permanent_sites() -> list[LabSite]:
    """Sites that every testbed has: anchors, harmless names, and the censor's own pages."""
    sites = [
        LabSite(plan.BLOCK_PAGE_NAME, page=Page("legal", 200), plain="same", domestic=True),
        LabSite(plan.PORTAL_NAME, plain="same", domestic=True),
        LabSite("parked-names-lab.com", page=Page("small"), plain="same", domestic=True),
    ]
    return [*sites, *_reference_sites()]


def _reference_sites() -> list[LabSite]:
    """The anchors and harmless names in the probe's reference data."""
    from probe import reference_data

    sites: dict[str, LabSite] = {}
    for name in reference_data.harmless_names():
        sites[name] = LabSite(name, page=Page("small"), ipv6=True)
    for name in reference_data.quic_references():
        sites[name] = LabSite(name, page=Page("small"), quic="up")
    for anchor in reference_data.anchors():
        url = urlsplit(anchor.url)
        name = url.hostname or ""
        sites[name] = LabSite(
            name,
            domestic=not anchor.foreign,
            essential=anchor.essential and not anchor.foreign,
            ipv6=bool(anchor.foreign),
        )
    return list(sites.values())
