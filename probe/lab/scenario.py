"""The types a scenario is made of: the sites, the censor's interference, the right verdicts.

A scenario is one declarative value. `topology` gives its sites addresses, `middlebox` and `proxy`
carry out the censor's part, `origin` and `names` the internet's.
"""

from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Literal, TypeAlias

from probe.lab.interference import (
    AddressBlock,
    DnsTampering,
    DnsTamperingKind,
    EchFilter,
    FirstPacketFilter,
    HttpFilter,
    Interference,
    PathShape,
    QuicFilter,
    RouterMiddlebox,
    RouterName,
    SiteFirewall,
    SniFilter,
    Throttle,
    WholeLine,
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
    "normal",
    "nxdomain",
    "nodata",
    "servfail",
    "refused",
    "silent",
    "loopback",
    "cname_nowhere",
    "ipv6_only",
    "dnssec_bogus",
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
    "small_records",
    "resets_host",
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
    "robots",
    "abroad_only",
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

# Services with public endpoints, which a control measures too.
PUBLIC_SERVICES = ("telegram", "whatsapp", "signal", "messenger", "tor")


@dataclass(frozen=True, slots=True)
class LabSite:
    """One name and the servers behind it, without any interference.

    Attributes:
        addresses: How many IPv4 addresses it has; `topology` assigns them.
        shares: Another site's name whose addresses this one uses.
        spread: Each resolver returns a different one of the addresses (a CDN).
        leaves: Each address has its own certificate, alternating between two trusted authorities.
        plain: What http:// does: the same pages, a redirect to https, a closed port, or TLS.
        dead_addresses: How many of the addresses, counted from the last, never answer.
        fixed: Addresses that programs have built in, instead of ones from the address plan.
        speaks: The protocol of its servers on all of `ports`; HTTP on the usual ports by default.
        quic: Whether it offers and serves HTTP/3; `advertised`: port closed; `mute`: no answer.
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
        delay: One-way delay, seconds. jitter: maximum extra delay, uniformly distributed.
        loss: Share of packets lost in each direction.
        queue: Bytes that may wait in front of a limited rate before the tail is dropped.
        cross: Share of the rate that bursts of cross traffic take while they last.
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
    """The age of the control measurements during a scenario, if there are any."""

    FRESH = "fresh"
    NONE = "none"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Expect:
    """The right verdict for one URL.

    Attributes:
        mechanisms: The verdict must name all of these.
        any_of: The verdict must name at least one (two mechanisms can describe the same packets).
        also_acceptable: Other right outcomes, and mechanisms that the verdict may name too.
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

    def is_false_positive(self, outcome: str) -> bool:
        """Whether a verdict reports interference where there is none."""
        interfering = {Outcome.BLOCKED, Outcome.INTERCEPTED, Outcome.THROTTLED}
        right = {self.outcome, *self.also_acceptable}
        return outcome in interfering and right.isdisjoint(interfering)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the catalogue.

    Attributes:
        name: `layer.what_happens`, unique.
        experiments: The experiments that must run to see it.
        loopback: It can also run on loopback.
        group: It shares a testbed with scenarios of this group only: its input is a service, and
            a testbed can have one scenario of each service.
        settings: TOML for the volunteer's configuration.
    """

    name: str
    sites: tuple[LabSite, ...]
    expect: tuple[Expect, ...]
    censor: tuple[Interference, ...] = ()
    line: LineSpec = WIRE
    control: ControlState = ControlState.FRESH
    experiments: tuple[str, ...] = ("web",)
    loopback: bool = False
    group: str = ""
    settings: str = ""

    @property
    def environment(self) -> "Environment":
        """What it needs of its testbed."""
        whole_line = {
            interference.how for interference in self.censor if isinstance(interference, WholeLine)
        }
        multihop = any(isinstance(each, RouterMiddlebox | PathShape) for each in self.censor)
        shapes = tuple(each for each in self.censor if isinstance(each, PathShape))
        control_experiments = ("web", "quic") if "quic" in self.experiments else ("web",)
        return Environment(
            self.line,
            self.control,
            tuple(sorted(whole_line)),
            control_experiments=("web", *PUBLIC_SERVICES) if self.group else control_experiments,
            multihop=multihop,
            shapes=shapes,
            group=self.group,
        )


@dataclass(frozen=True, slots=True)
class Environment:
    """The line, the control and the interference with the whole line; equal ones share a testbed.

    Attributes:
        control_experiments: The experiments that the control runs.
        multihop: Several routers stand between the client and the internet.
        shapes: What is odd about their path.
        group: See `Scenario`.
    """

    line: LineSpec = WIRE
    control: ControlState = ControlState.FRESH
    whole_line: tuple[str, ...] = ()
    control_experiments: tuple[str, ...] = ("web",)
    multihop: bool = False
    shapes: tuple[PathShape, ...] = ()
    group: str = ""

    @property
    def is_default(self) -> bool:
        """Whether it is the environment that most scenarios share."""
        return self == Environment()

    def __str__(self) -> str:
        more = (self.group,) if self.group else self.control_experiments[1:]
        parts = [self.line.name, f"control {self.control}", *self.whole_line, *more]
        parts += ["several hops"] if self.multihop else []
        parts += [each.how for each in self.shapes if each.how != "chain"]
        return ", ".join(parts)


__all__ = [
    "NEWS",
    "PUBLIC_SERVICES",
    "WIRE",
    "AddressBlock",
    "Audience",
    "CertificateKind",
    "ControlState",
    "DnsTampering",
    "DnsTamperingKind",
    "EchFilter",
    "Environment",
    "Expect",
    "FirstPacketFilter",
    "HttpFilter",
    "Interference",
    "LabSite",
    "LineSpec",
    "NameKind",
    "Page",
    "PageKind",
    "PathShape",
    "QuicFilter",
    "RouterMiddlebox",
    "RouterName",
    "Scenario",
    "ServerKind",
    "SiteFirewall",
    "SniFilter",
    "Throttle",
    "WholeLine",
]
