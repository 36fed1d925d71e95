"""The field's names, addresses and pages, all from one seed.

Pages are HTML whose sizes as sent are log-normal: the median is what the HTTP Archive found for the
HTML of home pages in 2024 (Web Almanac, "Page Weight": 18 KB), and a tenth is above 65 KB.
"""

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

CLIENT = "95.57.64.10"
GATEWAY = "95.57.64.1"
SYSTEM_RESOLVER = "92.46.190.53"
PUBLIC_RESOLVERS = {
    "8.8.8.8": "dns.google",
    "1.1.1.1": "cloudflare-dns.com",
    "9.9.9.9": "dns.quad9.net",
    "77.88.8.8": "dns.yandex.ru",
}
SITES = "45.130.0.0/16"
_FIRST = int(IPv4Address("45.130.1.1"))
# The part of a name that the censor filters in a ClientHello.
MARK = "-shut"
ANCHORS = tuple(f"www.anchor{number}.example" for number in range(15))
# What a misbehaving site does; its name contains the word, after a hyphen.
Behaviour = Literal[
    "shut", "reset", "dead", "denied", "hang", "mute", "refuse", "byte", "header", "endless", "loop"
]
# How many sites do what, of seventy.
MISBEHAVING: tuple[tuple[Behaviour, int], ...] = (
    ("shut", 15),
    ("reset", 10),
    ("dead", 10),
    ("denied", 5),
    ("hang", 5),
)
EVERY_KIND: tuple[tuple[Behaviour, int], ...] = (
    ("shut", 6),
    ("denied", 3),
    *((kind, 4) for kind in ("reset", "dead", "hang", "mute", "refuse")),
    *((kind, 4) for kind in ("byte", "header", "endless", "loop")),
)
# Nothing answers a SYN here; everything large is dropped, whatever name it has; ports are closed.
DEAD, MUTE, REFUSE = "45.130.128.0/24", "45.130.129.0/24", "45.130.130.0/24"
_SPECIAL: dict[Behaviour, int] = {"dead": 0x7F00, "mute": 0x8000, "refuse": 0x8100}
_ONLY_HTTP1 = frozenset({"byte", "header", "endless"})
ANCHOR_ADDRESSES = "45.130.235.0/24"
_SITES_A_SHARED_ADDRESS = 40
_PAGES = 64
_TOPS = ("com", "org", "net", "kz", "info")


@dataclass(frozen=True, slots=True)
class Spec:
    """One field.

    Attributes:
        sites: Number. plain: share over http. redirecting: share that redirect to `www.`.
        shared: Share on a few shared addresses. blocked: share whose ClientHello is dropped.
        round_trip: Seconds. rate: bits a second each way. loss: share of packets.
        page: Median bytes of a page as sent.
        misbehaving: How many of the first sites do what: `shut`: the ClientHello is dropped;
            `reset`: it is answered by a RST; `dead`: so are SYNs; `denied`: the system's resolver
            says NXDOMAIN; `hang`: the request is never answered; `mute`: connections are accepted,
            and nothing more; `refuse`: the port is closed; `byte`: a byte of the page a second;
            `header`: a byte of the header a second; `endless`: the page does not end; `loop`:
            redirects to ever new URLs.
        misbehaving_addresses: How many addresses they share.
        anchors: `silent`: their SYNs are dropped; `missing`: their names do not exist.
        anchor_sites: How many there are.
        resolvers: The encrypted ones: `silent`: SYNs are dropped; `closing`: HTTP/1.1, and each
            connection is closed after one answer; `mute`: connections are accepted, and nothing
            more; `refusing`: their port is closed; `slow`: an answer takes two seconds; `one`: of
            all public resolvers, those in the clear as well, one is not silent.
        resigned: Every certificate is signed by an unknown authority.
    """

    sites: int = 2300
    plain: float = 0.06
    redirecting: float = 0.15
    shared: float = 0.25
    blocked: float = 0.0
    round_trip: float = 0.1
    rate: float = 20e6
    loss: float = 0.0
    page: int = 18_000
    seed: int = 1
    misbehaving: tuple[tuple[Behaviour, int], ...] = ()
    misbehaving_addresses: int = 100
    anchors: Literal["working", "silent", "missing"] = "working"
    anchor_sites: int = 6
    resolvers: Literal["working", "silent", "closing", "mute", "refusing", "slow", "one"] = (
        "working"
    )
    resigned: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """One site."""

    name: str
    address: str
    secure: bool = True
    redirecting: bool = False
    h2: bool = True
    compressed: bool = True
    page: int = 0
    behaviour: Behaviour | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.name}/"

    @property
    def blocked(self) -> bool:
        return MARK in self.name or self.behaviour in {"reset", "denied"}


@dataclass(frozen=True, slots=True)
class Page:
    """One page, plain and compressed."""

    plain: bytes
    packed: bytes


@dataclass(frozen=True)
class Field:
    """The sites and pages of the field; certificates are files in a folder."""

    spec: Spec
    sites: tuple[Site, ...]
    pages: tuple[Page, ...]
    by_name: dict[str, Site] = field(default_factory=dict)


def make(spec: Spec) -> Field:
    """Draw the sites and the pages."""
    rng = random.Random(spec.seed)
    anchors = ANCHORS[: 0 if spec.anchors == "missing" else spec.anchor_sites]
    sites = [
        *_drawn(spec, rng),
        *(Site(name, _address(60_000 + number)) for number, name in enumerate(anchors)),
    ]
    by_name = {site.name: site for site in sites}
    by_name |= {f"www.{site.name}": site for site in sites}
    return Field(spec, tuple(sites), _pages(spec, rng), by_name)


def _drawn(spec: Spec, rng: random.Random) -> Iterator[Site]:
    kinds = [kind for kind, count in spec.misbehaving for _ in range(count)]
    for number, kind in enumerate(kinds):
        first = _SPECIAL.get(kind, 0)
        yield Site(
            name=f"site{number:04}-{kind}.{rng.choice(_TOPS)}",
            address=_address(first + number % spec.misbehaving_addresses),
            h2=rng.random() < 0.7 and kind not in _ONLY_HTTP1,
            compressed=kind != "endless",
            page=rng.randrange(_PAGES),
            behaviour=kind,
        )
    for number in range(len(kinds), spec.sites):
        secure = rng.random() >= spec.plain
        mark = MARK if secure and rng.random() < spec.blocked else ""
        shared = rng.random() < spec.shared
        number_ = 50_000 + number // _SITES_A_SHARED_ADDRESS if shared else number
        yield Site(
            name=f"site{number:04}{mark}.{rng.choice(_TOPS)}",
            address=_address(number_),
            secure=secure,
            redirecting=secure and rng.random() < spec.redirecting,
            h2=rng.random() < 0.7,
            compressed=rng.random() < 0.9,
            page=rng.randrange(_PAGES),
        )


def _address(number: int) -> str:
    return str(IPv4Address(_FIRST + number))


def _pages(spec: Spec, rng: random.Random) -> tuple[Page, ...]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 11))) for _ in range(6000)]
    made = []
    for number in range(_PAGES):
        wanted = min(rng.lognormvariate(0, 1.0) * spec.page, 400_000)
        html = [f"<html><head><title>Page {number}</title><style>p{{color:#222}}</style></head>"]
        size = 0
        while size < wanted * 2.4:  # the compression ratio of such a page
            text = " ".join(rng.choices(words, k=24))
            link = f"<a href='https://www.{rng.choice(words)}.com/x'>more</a>"
            html.append(f'<div class="story"><p class="text">{text}</p>{link}</div>\n')
            size += len(html[-1])
        plain = "".join([*html, "</html>"]).encode()
        made.append(Page(plain, gzip.compress(plain, 6)))
    return tuple(made)
