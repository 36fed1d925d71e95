"""The truth about names in the lab, and how resolvers say it.

`Zone.answer` is the honest answer of one resolver; `lie` turns a query into a false one. Neither
touches the network.
"""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.exception import DNSException

from probe import reference_data
from probe.lab import addresses as plan
from probe.lab.scenario import LieKind, NameKind
from probe.lab.topology import Placed, Topology

_TTL = 300
_RCODES: dict[NameKind, dns.rcode.Rcode] = {
    "nxdomain": dns.rcode.NXDOMAIN,
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
}
_LIE_RCODES: dict[LieKind, dns.rcode.Rcode] = {
    "nxdomain": dns.rcode.NXDOMAIN,
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
}
_LIE_ADDRESSES: dict[LieKind, str] = {
    "bogon": plan.BOGON,
    "nowhere": plan.NOWHERE,
    "block_page": plan.BLOCK_PAGE,
    "inject_first": plan.BLOCK_PAGE,
    "inject_second": plan.BLOCK_PAGE,
}


def asked(query: dns.message.Message) -> tuple[str, str]:
    """The name, lower case and without its final dot, and the type of a query."""
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    return name, dns.rdatatype.to_text(question.rdtype)


def respond(
    query: dns.message.Message,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    addresses: tuple[str, ...] = (),
    cname: str | None = None,
    service: str | None = None,
) -> dns.message.Message:
    """A reply to a query with these addresses (of the type that was asked) in it."""
    reply = dns.message.make_response(query, recursion_available=True)
    reply.set_rcode(rcode)
    owner = query.question[0].name.to_text()
    if cname is not None:
        reply.answer.append(dns.rrset.from_text(owner, _TTL, "IN", "CNAME", f"{cname}."))
        owner = f"{cname}."
    if service is not None:
        reply.answer.append(dns.rrset.from_text(owner, _TTL, "IN", "HTTPS", service))
    if addresses:
        kind = asked(query)[1]
        reply.answer.append(dns.rrset.from_text(owner, _TTL, "IN", kind, *addresses))
    return reply


class Zone:
    """What is true of every name, as each resolver tells it."""

    def __init__(self, world: Topology) -> None:
        self._world = world
        self._resolvers = _resolver_names()

    def answer(self, query: dns.message.Message, resolver: str) -> dns.message.Message | None:
        """The honest answer, or None for silence."""
        name, kind = asked(query)
        place = self._find(name)
        if place is None:
            return self._infrastructure(query, name, kind, resolver)
        resolves = place.site.resolves
        if resolves == "silent":
            return None
        if resolves in _RCODES:
            return respond(query, _RCODES[resolves])
        if kind == "HTTPS" and place.site.quic != "no":
            return respond(query, service='1 . alpn="h3,h2"')
        if resolves == "cname_nowhere":
            return respond(query, cname=f"gone.{name}")
        return respond(query, addresses=_told(place, kind, resolver))

    def _find(self, name: str) -> Placed | None:
        places = self._world.places
        return places.get(name) or places.get(name.removeprefix("www."))

    def _infrastructure(
        self, query: dns.message.Message, name: str, kind: str, resolver: str
    ) -> dns.message.Message:
        addresses = self._resolvers.get(name)
        if addresses is None and name in reference_data.whoami_names():
            addresses = [resolver]
        if addresses is None:
            return respond(query, dns.rcode.NXDOMAIN)
        return respond(query, addresses=tuple(addresses) if kind == "A" else ())


def _resolver_names() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for address, name in plan.PUBLIC_RESOLVERS.items():
        names.setdefault(name, []).append(address)
    return names


def _told(place: Placed, kind: str, resolver: str) -> tuple[str, ...]:
    if kind not in {"A", "AAAA"} or place.site.resolves == "nodata":
        return ()
    if place.site.resolves == "loopback":
        return ("127.0.0.1",) if kind == "A" else ()
    if kind == "AAAA":
        return place.v6
    if not place.site.spread:
        return place.v4
    at = sum(resolver.encode()) % len(place.v4)
    return (place.v4[at],)


def lie(query: dns.message.Message, how: LieKind, mirror: str) -> dns.message.Message | None:
    """A false answer, or None for silence. `mirror`: the address for answers that lead somewhere.

    Lies are told about IPv4; whoever asks for IPv6 is told that there is none.
    """
    if how == "silence":
        return None
    if how in _LIE_RCODES:
        return respond(query, _LIE_RCODES[how])
    if how == "nodata" or asked(query)[1] != "A":
        return respond(query)
    return respond(query, addresses=(_LIE_ADDRESSES.get(how, mirror),))


def parse(data: bytes) -> dns.message.Message | None:
    """A query out of bytes, or None when they are none."""
    try:
        query = dns.message.from_wire(data)
    except (DNSException, ValueError):
        return None
    return query if query.question and not query.flags & dns.flags.QR else None
