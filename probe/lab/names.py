"""DNS answers of the lab's resolvers, true and forged.

`Zone.answer` gives the true answer of one resolver, `forge_answer` a forged one. Neither touches
the network.
"""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.exception import DNSException

from probe import reference_data
from probe.lab import addresses as plan
from probe.lab.scenario import DnsTamperingKind, NameKind
from probe.lab.topology import PlacedSite, Topology

_TTL = 300
_RCODES: dict[NameKind, dns.rcode.Rcode] = {
    "nxdomain": dns.rcode.NXDOMAIN,
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "dnssec_bogus": dns.rcode.SERVFAIL,
}
_FORGED_RCODES: dict[DnsTamperingKind, dns.rcode.Rcode] = {
    "nxdomain": dns.rcode.NXDOMAIN,
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
}
_EXPLAINED: dict[DnsTamperingKind, tuple[dns.edns.EDECode, str]] = {
    "censored": (dns.edns.EDECode.CENSORED, "by order of the ministry"),
    "filtered": (dns.edns.EDECode.FILTERED, "family protection"),
}
_FORGED_ADDRESSES: dict[DnsTamperingKind, str] = {
    "bogon": plan.BOGON,
    "nowhere": plan.NOWHERE,
    "block_page": plan.BLOCK_PAGE,
    "inject_first": plan.BLOCK_PAGE,
    "inject_second": plan.BLOCK_PAGE,
}


def question_of(query: dns.message.Message) -> tuple[str, str]:
    """The name (lower case, no final dot) and the type of a query."""
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
    """A reply to a query with these addresses, of the queried type."""
    reply = dns.message.make_response(query, recursion_available=True)
    reply.set_rcode(rcode)
    owner = query.question[0].name.to_text()
    if cname is not None:
        reply.answer.append(dns.rrset.from_text(owner, _TTL, "IN", "CNAME", f"{cname}."))
        owner = f"{cname}."
    if service is not None:
        reply.answer.append(dns.rrset.from_text(owner, _TTL, "IN", "HTTPS", service))
    if addresses:
        kind = question_of(query)[1]
        reply.answer.append(dns.rrset.from_text(owner, _TTL, "IN", kind, *addresses))
    return reply


def explained(
    reply: dns.message.Message, code: dns.edns.EDECode, text: str | None = None
) -> dns.message.Message:
    """The reply with an Extended DNS Error (RFC 8914), where the query has an OPT record."""
    if reply.edns >= 0:
        reply.use_edns(0, options=[dns.edns.EDEOption(code, text)])
    return reply


class Zone:
    """The true DNS data of every site, as each resolver returns it."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._resolvers = _resolver_names()

    def answer(self, query: dns.message.Message, resolver: str) -> dns.message.Message | None:
        """The true answer, or None for silence."""
        name, kind = question_of(query)
        placed = self._find(name)
        if placed is None:
            return self._infrastructure(query, name, kind, resolver)
        resolves = placed.site.resolves
        if resolves == "silent":
            return None
        if resolves in _RCODES:
            failed = respond(query, _RCODES[resolves])
            bogus = resolves == "dnssec_bogus"
            return explained(failed, dns.edns.EDECode.DNSSEC_BOGUS) if bogus else failed
        if kind == "HTTPS" and placed.site.quic != "no":
            return respond(query, service='1 . alpn="h3,h2"')
        if resolves == "cname_nowhere":
            return respond(query, cname=f"gone.{name}")
        return respond(query, addresses=_addresses_for(placed, kind, resolver))

    def _find(self, name: str) -> PlacedSite | None:
        sites = self._topology.sites
        return sites.get(name) or sites.get(name.removeprefix("www."))

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


def _addresses_for(placed: PlacedSite, kind: str, resolver: str) -> tuple[str, ...]:
    if kind not in {"A", "AAAA"} or placed.site.resolves == "nodata":
        return ()
    if kind == "A" and placed.site.resolves == "ipv6_only":
        return ()
    if placed.site.resolves == "loopback":
        return ("127.0.0.1",) if kind == "A" else ()
    if kind == "AAAA":
        return placed.v6
    if not placed.site.spread:
        return placed.v4
    at = sum(resolver.encode()) % len(placed.v4)
    return (placed.v4[at],)


def forge_answer(
    query: dns.message.Message, kind: DnsTamperingKind, mirror: str
) -> dns.message.Message | None:
    """A forged answer, or None for silence. `mirror`: the address that kind `mirror` returns.

    Only A records are forged; the answer to an AAAA query is empty.
    """
    if kind == "silence":
        return None
    if kind in _FORGED_RCODES:
        return respond(query, _FORGED_RCODES[kind])
    if kind in _EXPLAINED:
        return explained(respond(query, dns.rcode.NXDOMAIN), *_EXPLAINED[kind])
    if kind == "strips_opt":
        reply = respond(query, dns.rcode.NXDOMAIN)
        reply.use_edns(edns=False)
        return reply
    if kind == "nodata" or question_of(query)[1] != "A":
        return respond(query)
    return respond(query, addresses=(_FORGED_ADDRESSES.get(kind, mirror),))


def parse(data: bytes) -> dns.message.Message | None:
    """The query in these bytes, or None if they are not one."""
    try:
        query = dns.message.from_wire(data)
    except (DNSException, ValueError):
        return None
    return query if query.question and not query.flags & dns.flags.QR else None
