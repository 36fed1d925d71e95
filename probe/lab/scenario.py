"""The words a scenario is written in: what is out there, what the censor does, what is right.

A scenario is one declarative value. It says nothing of how it is built: `world` gives its sites
addresses, `middlebox` and `proxy` carry out the censor's part, `origin` and `names` the internet's.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Literal, TypeAlias

from probe.lab.interference import (
    Box,
    Cut,
    FirstPacket,
    Hello,
    Interference,
    Lie,
    LieKind,
    Nation,
    Quic,
    RouterName,
    Shape,
    Slow,
    Web,
)
from probe.model import Mechanism, Outcome

CertificateKind: TypeAlias = Literal[
    "trusted",
    "second_authority",
    "expired",
    "not_yet_valid",
    "self_signed",
    "wrong_name",
    "incomplete",
    "national",
]
NameKind: TypeAlias = Literal[
    "normal", "nxdomain", "nodata", "servfail", "refused", "silent", "loopback", "cname_nowhere"
]
ServerKind: TypeAlias = Literal[
    "up",
    "refuses",
    "silent",
    "unreachable",
    "no_tls",
    "rejects_name",
    "resets",
    "hangs_after_tls",
    "dies_midway",
    "dies_after_control",
    "overloaded",
    "slow",
    "tls12",
    "closes_hello",
]
PageKind: TypeAlias = Literal[
    "news",
    "small",
    "untitled",
    "large",
    "redirect",
    "loop",
    "broken_redirect",
    "forbidden",
    "legal",
    "unavailable",
    "challenge",
]
Audience: TypeAlias = Literal["all", "home", "abroad"]


@dataclass(frozen=True, slots=True)
class Page:
    """What a site answers at one path.

    Attributes:
        to: Where a redirect points (absolute, or a path).
        audience: Who gets this page; the others get the site's news page.
    """

    kind: PageKind = "news"
    status: int = 200
    to: str | None = None
    audience: Audience = "all"


NEWS = Page()

# Services whose places everybody knows, so that a control looks at them too.
PUBLIC_SERVICES = ("telegram", "whatsapp", "signal", "messenger", "tor")


@dataclass(frozen=True, slots=True)
class Site:
    """One name and the servers behind it, as they really are.

    Attributes:
        addresses: How many IPv4 addresses it has; `world` assigns them.
        shares: Another site's name whose addresses this one uses.
        spread: Each resolver is told a different one of the addresses (a CDN).
        leaves: Each address has its own certificate, alternating between two trusted authorities.
        plain: What http:// does: the same pages, a redirect to https, nothing listens, or TLS.
        dead_addresses: How many of the addresses, counted from the last, are silent for everybody.
        fixed: These addresses, because programs have them built in, in place of the plan's.
        speaks: What its servers speak, at all of `ports`; the web at the usual ones by default.
        quic: Whether it offers HTTP/3 and answers; `advertised`: nobody listens; `mute`: silence.
    """

    name: str
    page: Page = NEWS
    paths: tuple[tuple[str, Page], ...] = ()
    certificate: CertificateKind = "trusted"
    server: ServerKind = "up"
    resolves: NameKind = "normal"
    plain: Literal["same", "to_https", "closed", "tls"] = "to_https"
    domestic: bool = False
    essential: bool = False
    addresses: int = 1
    shares: str | None = None
    spread: bool = False
    leaves: bool = False
    ipv6: bool = False
    ports: tuple[int, ...] = ()
    dead_addresses: int = 0
    quic: Literal["no", "up", "advertised", "mute"] = "no"
    fixed: tuple[str, ...] = ()
    speaks: Literal["web", "mtproto", "openvpn", "wireguard"] = "web"


@dataclass(frozen=True, slots=True)
class LineSpec:
    """The client's access line. Rates are bits a second in each direction, 0 means unlimited.

    Attributes:
        delay: One-way delay, seconds. jitter: at most so much more, evenly spread.
        loss: Share of packets lost in each direction.
        queue: Bytes that may wait in front of a limited rate before the tail is dropped.
        cross: Share of the rate that other people's bursts take while they last.
    """

    name: str
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    rate: int = 0
    queue: int = 65536
    cross: float = 0.0


WIRE = LineSpec("wire")


@unique
class ControlState(StrEnum):
    """What the uncensored vantage can say during a scenario."""

    FRESH = "fresh"
    NONE = "none"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Expect:
    """The right verdict for one URL.

    Attributes:
        mechanisms: All of these are named.
        any_of: At least one of these is named (where two words describe the same packets).
        also_acceptable: Outcomes that would be right too, and mechanisms that may be named besides.
        why: One sentence.
    """

    url: str
    outcome: Outcome
    why: str
    mechanisms: tuple[Mechanism, ...] = ()
    any_of: tuple[Mechanism, ...] = ()
    also_acceptable: tuple[Outcome | Mechanism, ...] = ()

    def accepts(self, outcome: str, mechanisms: tuple[str, ...]) -> bool:
        """Whether a verdict is right."""
        allowed = {*self.mechanisms, *self.any_of, *self.also_acceptable}
        if outcome != self.outcome and outcome not in self.also_acceptable:
            return False
        if outcome != self.outcome:
            return set(mechanisms) <= allowed
        named = set(self.mechanisms) <= set(mechanisms)
        one = not self.any_of or not set(self.any_of).isdisjoint(mechanisms)
        return named and one and set(mechanisms) <= allowed

    def accuses_falsely(self, outcome: str) -> bool:
        """Whether a verdict accuses the network of what it did not do to this target."""
        accusations = {Outcome.BLOCKED, Outcome.INTERCEPTED, Outcome.THROTTLED}
        right = {self.outcome, *self.also_acceptable}
        return outcome in accusations and right.isdisjoint(accusations)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the catalogue.

    Attributes:
        name: `layer.what_happens`, unique.
        experiments: Which experiments have to be run to see it.
        street: It can also be played on loopback.
        apart: Played in a country of that name: its input is a service, which every country has.
        settings: TOML for the volunteer's configuration.
    """

    name: str
    sites: tuple[Site, ...]
    expect: tuple[Expect, ...]
    censor: tuple[Interference, ...] = ()
    line: LineSpec = WIRE
    control: ControlState = ControlState.FRESH
    experiments: tuple[str, ...] = ("web",)
    street: bool = False
    apart: str = ""
    settings: str = ""

    @property
    def climate(self) -> "Environment":
        """What of the country as a whole it needs."""
        nations = {act.how for act in self.censor if isinstance(act, Nation)}
        long = any(isinstance(act, Box) for act in self.censor)
        looks = ("web", "quic") if "quic" in self.experiments else ("web",)
        return Environment(
            self.line,
            self.control,
            tuple(sorted(nations)),
            looks=("web", *PUBLIC_SERVICES) if self.apart else looks,
            long=long,
            apart=self.apart,
        )


@dataclass(frozen=True, slots=True)
class Environment:
    """A line, a control and what is done to everybody: scenarios that agree share one country.

    Attributes:
        looks: The experiments that the control does.
        apart: The name of a country that only scenarios of that name share.
    """

    line: LineSpec = WIRE
    control: ControlState = ControlState.FRESH
    nations: tuple[str, ...] = ()
    looks: tuple[str, ...] = ("web",)
    long: bool = False
    apart: str = ""

    @property
    def usual(self) -> bool:
        """Nothing special: the one big country."""
        return self == Environment()

    def __str__(self) -> str:
        looks = (self.apart,) if self.apart else self.looks[1:]
        parts = [self.line.name, f"control {self.control}", *self.nations, *looks]
        parts += ["several hops"] if self.long else []
        return ", ".join(parts)


__all__ = [
    "NEWS",
    "PUBLIC_SERVICES",
    "WIRE",
    "Audience",
    "Box",
    "CertificateKind",
    "ControlState",
    "Cut",
    "Environment",
    "Expect",
    "FirstPacket",
    "Hello",
    "Interference",
    "Lie",
    "LieKind",
    "LineSpec",
    "NameKind",
    "Nation",
    "Page",
    "PageKind",
    "Quic",
    "RouterName",
    "Scenario",
    "ServerKind",
    "Shape",
    "Site",
    "Slow",
    "Web",
]
