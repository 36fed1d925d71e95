"""Which connections the censor's rules redirect to its proxy, for what the kernel cannot do."""

from collections.abc import Iterator

from probe.lab import addresses as plan
from probe.lab.line_rules import HOME, FilterRule
from probe.lab.scenario import HttpFilter, SniFilter
from probe.lab.topology import Topology

_PROXY_PORTS = {443: plan.REDIRECTED_TLS_PORT, 80: plan.REDIRECTED_WEB_PORT}


def redirect(name: str, topology: Topology, port: int, *, v6: bool) -> Iterator[FilterRule]:
    """Redirect connections to one site at a port."""
    for address in addresses(topology, name, v6=v6):
        found = f"-i {HOME} -d {address} -p tcp --dport {port}"
        action = f"-j REDIRECT --to-ports {_PROXY_PORTS[port]}"
        yield FilterRule("nat", "PREROUTING", f"{found} {action}")


def bystanders(topology: Topology, *, v6: bool) -> Iterator[FilterRule]:
    """Redirect connections to unrelated servers, where the proxy cuts a name at every server.

    The kernel's filters look for a name at every server, too.
    """
    specs = topology.interferences
    cut = set()
    if any(isinstance(s, SniFilter) and s.how in {"fin", "alert"} for s in specs):
        cut.add(443)
    if any(isinstance(s, HttpFilter) and s.how in {"fin", "truncate"} for s in specs):
        cut.add(80)
    names = {str(getattr(spec, "name", "")) for spec in specs} & topology.sites.keys()
    filtered = {address for name in names for address in topology.addresses_of(name)}
    for name, placed in topology.sites.items():
        site = placed.site
        if site.server != "up" or site.page.audience != "all":
            continue
        if not filtered.isdisjoint(topology.addresses_of(name)):
            continue
        for port in sorted(cut):
            yield from redirect(name, topology, port, v6=v6)


def addresses(topology: Topology, name: str, *, v6: bool) -> tuple[str, ...]:
    """The addresses of one family of a site."""
    placed = topology.sites[name]
    return placed.v6 if v6 else placed.v4
