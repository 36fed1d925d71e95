"""What a censor of the lab may do to a name, to addresses, or to everybody: as data.

How it is done is in `middlebox`, `proxy`, `liar` and their like.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

LieKind: TypeAlias = Literal[
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
]


@dataclass(frozen=True, slots=True)
class Lie:
    """DNS over UDP answers falsely for a name.

    Attributes:
        whom: Whose answers: every resolver's, only the provider's own, or only third parties'.
    """

    name: str
    how: LieKind
    whom: Literal["all", "system", "public"] = "all"


@dataclass(frozen=True, slots=True)
class Cut:
    """Packets to a site's addresses are stopped, whatever name is offered.

    Attributes:
        port: Only this port, or None for all of them.
        first_only: Only the first of the addresses.
    """

    name: str
    how: Literal["drop", "refuse", "host_unreachable", "net_unreachable", "reset"]
    port: int | None = None
    first_only: bool = False


@dataclass(frozen=True, slots=True)
class Hello:
    """A TLS ClientHello that offers a name is acted upon.

    Attributes:
        residual: For so many seconds afterwards the client can not reach that address and port.
        spares: Hellos that an interceptor leaves alone: those without ALPN, or of TLS 1.3 alone.
    """

    name: str
    how: Literal[
        "drop", "drop_after", "reset", "fin", "alert", "mitm_2019", "mitm_2021", "mitm_anonymous"
    ]
    residual: int = 0
    spares: tuple[Literal["noalpn", "tls13"], ...] = ()


@dataclass(frozen=True, slots=True)
class Web:
    """A plain-http request for a Host (and, if given, a path) is acted upon."""

    name: str
    how: Literal[
        "drop",
        "reset",
        "fin",
        "page_200",
        "page_403",
        "to_http_page",
        "to_https_page",
        "raw_page",
        "truncate",
    ]
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A ClientHello with an ECH extension, to a site's addresses, is dropped, whatever the name."""

    name: str


@dataclass(frozen=True, slots=True)
class Quic:
    """QUIC to a site is stopped: by the name in its Initials, or by address and UDP port 443."""

    name: str
    how: Literal["drop_name", "drop", "refuse"]


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """A UDP flow whose first packet begins like a protocol's goes silent; later ones are not read.

    Attributes:
        begins: The first bytes of the payload, in hex. size: its whole length, bytes.
    """

    name: str
    begins: str
    size: int


@dataclass(frozen=True, slots=True)
class Slow:
    """Connections whose ClientHello offers the name are slowed.

    Attributes:
        rate: Bytes a second for `police` and `shape`; bytes until silence for `freeze`.
    """

    name: str
    how: Literal["police", "shape", "freeze"]
    rate: int


@dataclass(frozen=True, slots=True)
class Nation:
    """Something that is done to everybody's whole line, not to a name."""

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
    ]


RouterName: TypeAlias = Literal["home", "provider", "backbone", "border", "transit", "edge"]


@dataclass(frozen=True, slots=True)
class Box:
    """A middlebox at a chosen router of a long way; where there is one, the way is long.

    Attributes:
        what: It acts upon a name in a ClientHello, in a plain request, or in a DNS question.
        how: `drop` and `reset` for the first two, `answer` for a question.
        stands: `in` the path it takes packets out; `on` it, it only sees them and speaks first.
        residual: In the path: for so many seconds afterwards the client can not reach that address
            and port.
        ttl: The IP time to live its own packets begin with, on the path.
        delay: Seconds before it speaks, on the path.
    """

    name: str
    at: RouterName = "border"
    what: Literal["hello", "host", "query"] = "hello"
    how: Literal["drop", "reset", "answer"] = "reset"
    stands: Literal["in", "on"] = "in"
    residual: int = 0
    ttl: int = 128
    delay: float = 0.0


Interference: TypeAlias = Lie | Cut | Hello | Web | Shape | Quic | FirstPacket | Slow | Nation | Box
