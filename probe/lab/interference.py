"""The interference that the lab's censor can do to a name, to addresses or to the whole line.

`middlebox`, `proxy`, `dns_injector`, `quic_censor` and `on_path_injector` carry it out.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

DnsTamperingKind: TypeAlias = Literal[
    "nxdomain",
    "nodata",
    "servfail",
    "refused",
    "silence",
    "bogon",
    "nowhere",
    "block_page",
    "mirror",
    "inject_first",
    "inject_second",
    "censored",
    "filtered",
    "strips_opt",
]


@dataclass(frozen=True, slots=True)
class DnsTampering:
    """Forged or missing answers to DNS queries over UDP for a name.

    `censored` and `filtered` say in an Extended DNS Error why they deny the name; `strips_opt` says
    that the name does not exist where the query has an OPT record, and nothing else.

    Attributes:
        resolvers: Queries to all resolvers, to the provider's (`system`), or to all others.
    """

    name: str
    how: DnsTamperingKind
    resolvers: Literal["all", "system", "public"] = "all"


@dataclass(frozen=True, slots=True)
class AddressBlock:
    """Packets to a site's addresses are stopped, regardless of the name in them.

    Attributes:
        how: `large`: large packets in both directions are lost without an ICMP message.
        port: Only this port, or None for all of them.
        first_only: Only the first of the addresses.
    """

    name: str
    how: Literal["drop", "refuse", "host_unreachable", "net_unreachable", "reset", "large"]
    port: int | None = None
    first_only: bool = False


@dataclass(frozen=True, slots=True)
class SniFilter:
    """Interference with TLS ClientHellos that offer a name.

    Attributes:
        how: `drop_after`: the connection's packets from the ClientHello on are lost; `drop_later`:
            those after the server's side of the handshake.
        residual: Seconds after a match during which the client cannot reach that address and port.
        spares: ClientHellos the interceptor ignores: those without ALPN, or with TLS 1.3 only.
    """

    name: str
    how: Literal[
        "drop",
        "drop_after",
        "drop_later",
        "reset",
        "fin",
        "alert",
        "mitm_2019",
        "mitm_2021",
        "mitm_anonymous",
    ]
    residual: int = 0
    spares: tuple[Literal["noalpn", "tls13"], ...] = ()


@dataclass(frozen=True, slots=True)
class HttpFilter:
    """Interference with plain HTTP requests for a Host and, if given, a path.

    Attributes:
        reads: How `drop` and `reset` find the Host: `any_case`, in every segment; `exact`: the line
            as browsers write it; `first_segment`: in the first one of a connection.
    """

    name: str
    how: Literal[
        "drop",
        "reset",
        "fin",
        "page_200",
        "page_403",
        "to_http_page",
        "to_https_page",
        "to_cyrillic",
        "raw_page",
        "truncate",
        "freeze",
    ]
    path: str | None = None
    reads: Literal["any_case", "exact", "first_segment"] = "any_case"


@dataclass(frozen=True, slots=True)
class EchFilter:
    """Drops ClientHellos with an ECH extension to a site's addresses, regardless of the name."""

    name: str


@dataclass(frozen=True, slots=True)
class QuicFilter:
    """Stops QUIC to a site: by the name in its Initials, or by address and UDP port 443."""

    name: str
    how: Literal["drop_name", "drop", "refuse"]


@dataclass(frozen=True, slots=True)
class FirstPacketFilter:
    """Drops UDP flows whose first packet looks like a protocol's; later packets are not inspected.

    Attributes:
        begins: The first bytes of the payload, in hex. size: its length, bytes.
    """

    name: str
    begins: str
    size: int


@dataclass(frozen=True, slots=True)
class Throttle:
    """Slows connections whose ClientHello offers the name.

    Attributes:
        rate: Bytes a second for `police` and `shape`; bytes until silence for `freeze`.
    """

    name: str
    how: Literal["police", "shape", "freeze"]
    rate: int


@dataclass(frozen=True, slots=True)
class WholeLine:
    """Interference with, or a fault of, the client's whole line."""

    how: Literal[
        "outage",
        "foreign_cut",
        "whitelist",
        "captive_portal",
        "hotel_dns",
        "everything_resigned",
        "router_page",
        "watched_everywhere",
        "nxdomain_sold",
        "no_public_dns",
        "no_doh",
        "no_dns",
        "no_collector",
        "no_ipv6",
        "no_quic",
        "no_dot",
        "dns_hijack",
        "wrong_clock",
        "pages_answered",
        "port_443_refused",
        "port_443_reset",
        "port_443_silent",
        "port_80_refused",
        "session_ends",
        "large_packets_lost",
        "no_ipv4",
    ]


RouterName: TypeAlias = Literal[
    "home", "provider", "backbone", "border", "transit", "edge", "detour"
]


@dataclass(frozen=True, slots=True)
class RouterMiddlebox:
    """A middlebox at one router of the multihop path; a testbed with one has such a path.

    Attributes:
        what: Where it looks for the name: a ClientHello, a plain HTTP request, a DNS question; or
            `address` and `connections` for all packets and all TCP to the site's addresses.
        how: `answer` for a question, `drop` and `reset` for the others.
        stands: `in` the path it removes packets; `on` the path it sees copies and injects.
        residual: Seconds after a match during which the client cannot reach that address and
            port (in-path only).
        ttl: The initial IP TTL of injected packets (on-path only).
        delay: Seconds before it injects (on-path only).
    """

    name: str
    at: RouterName = "border"
    what: Literal["hello", "host", "query", "address", "connections"] = "hello"
    how: Literal["drop", "reset", "answer"] = "reset"
    stands: Literal["in", "on"] = "in"
    residual: int = 0
    ttl: int = 128
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class SiteFirewall:
    """A site's own servers turn this client away and no other: not the network's doing.

    Attributes:
        what: `hello`: ClientHellos that offer the name; `host`: plain requests for it; `address`:
            all packets to its addresses; `connections`: all TCP.
    """

    name: str
    what: Literal["hello", "host", "address", "connections"] = "connections"
    how: Literal["drop", "reset"] = "drop"


@dataclass(frozen=True, slots=True)
class PathShape:
    """A multihop path, and what is odd about it without being interference.

    Attributes:
        how: `chain`; `equal_ways`, `unequal_ways` (by one router) and `far_ways` (by two): packets
            go by one of two ways, by flow, from the backbone to the border; `ttl_rewritten`: a
            router sets the TTL of TCP to 64; `quiet_router` and `rare_router`: a router reports no
            expired packet, or two a second.
        at: Which router rewrites, or is quiet.
    """

    how: Literal[
        "chain",
        "equal_ways",
        "unequal_ways",
        "far_ways",
        "ttl_rewritten",
        "quiet_router",
        "rare_router",
    ] = "chain"
    at: RouterName = "backbone"


Interference: TypeAlias = (
    DnsTampering
    | AddressBlock
    | SniFilter
    | HttpFilter
    | EchFilter
    | QuicFilter
    | FirstPacketFilter
    | Throttle
    | WholeLine
    | RouterMiddlebox
    | SiteFirewall
    | PathShape
)
