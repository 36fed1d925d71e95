"""Which part of the network is gone: four kinds of shutdown told apart by who still answers.

    gateway dead                                          home: our own cable, never evidence
    nothing answers, gateway alive                        operator
    foreign none, domestic essential mostly, ordinary not whitelist (Russia since September 2025)
    foreign none, domestic ordinary mostly                foreign cut (Iran in November 2019)

    hardly any site answers, addresses abroad do          unclear: a portal, dead names, a filter
    none of them at port 53, some at port 443             unclear: a filter of names

Shares rather than counts, because lists of anchors differ in length; with too few anchors in a
class nothing is concluded. Whitelist and foreign cut must be seen twice, minutes apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Literal

from probe.model import Ping

MOST, FEW = 3 / 5, 1 / 5
# Fewer foreign sites than this can all be down, or all blocked, by chance.
FOREIGN_LEAST = 3
DOMESTIC_LEAST = 2
# What a look at an address without a name is called in a record.
BY_ADDRESS: Literal["resolver"] = "resolver"
# And one at the port where the same places answer encrypted questions.
BY_PORT: Literal["port"] = "port"
# Two looks must be this far apart to count as two: a moment of loss is over by then.
APART_SECONDS = 240.0


@unique
class Mode(StrEnum):
    """What one look at the anchors shows."""

    NORMAL = "normal"
    WHITELIST = "whitelist"
    FOREIGN_CUT = "foreign_cut"
    OPERATOR_DOWN = "operator_down"
    HOME_DOWN = "home_down"
    OFFLINE = "offline"  # nothing answers, and nobody knows about the gateway
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of one class answered, of how many that were looked at."""

    up: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """From 0 to 1; 0 when nothing was looked at."""
        return self.up / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Reach:
    """Who answered one look. `gateway` is None where it could not be asked.

    Attributes:
        essential: Domestic sites that a white list would let through.
        ordinary: Other domestic sites. foreign: sites abroad.
        addresses: Name servers abroad, asked for nothing but a connection. Portals and filters let
            them through, and some of them have a house in every country.
        ports: The same at 443, looked at where port 53 is closed: a filter of names closes that
            one and leaves this one open. It never makes a line whole, because so many boxes take
            connections to it themselves.
    """

    gateway: bool | None = None
    essential: Tally = Tally()
    ordinary: Tally = Tally()
    foreign: Tally = Tally()
    addresses: Tally = Tally()
    ports: Tally = Tally()


def reach(pings: Iterable[Ping]) -> Reach:
    """Count the looks of one round."""
    seen = tuple(pings)
    gateways = [ping.failure is None for ping in seen if ping.what == "gateway"]
    return Reach(
        gateway=any(gateways) if gateways else None,
        essential=_tally(seen, "essential"),
        ordinary=_tally(seen, "ordinary"),
        foreign=_tally(seen, "foreign"),
        addresses=_tally(seen, BY_ADDRESS),
        ports=_tally(seen, BY_PORT),
    )


def _tally(pings: tuple[Ping, ...], what: str) -> Tally:
    chosen = [ping for ping in pings if ping.what == what]
    return Tally(sum(ping.failure is None for ping in chosen), len(chosen))


def classify(seen: Reach) -> Mode:
    """Name what one look shows."""
    if seen.foreign.up:
        return Mode.NORMAL
    if seen.addresses.up or seen.ports.up:
        whole = seen.addresses.up and seen.ordinary.share >= MOST
        return Mode.NORMAL if whole else Mode.UNCLEAR
    if not (seen.essential.up or seen.ordinary.up):
        return _nothing(seen)
    if seen.foreign.total < FOREIGN_LEAST:
        return Mode.UNCLEAR
    if seen.ordinary.total >= DOMESTIC_LEAST and seen.ordinary.share >= MOST:
        return Mode.FOREIGN_CUT
    listed = seen.essential.total >= DOMESTIC_LEAST and seen.essential.share >= MOST
    told_apart = seen.ordinary.total >= DOMESTIC_LEAST and seen.ordinary.share <= FEW
    return Mode.WHITELIST if listed and told_apart else Mode.UNCLEAR


def _nothing(seen: Reach) -> Mode:
    if seen.gateway is None:
        return Mode.OFFLINE
    return Mode.OPERATOR_DOWN if seen.gateway else Mode.HOME_DOWN


def seen_twice(mode: Mode, rounds: Iterable[tuple[float, Mode]]) -> bool:
    """Two looks far enough apart show the same, and none between or after shows another."""
    looks = sorted(rounds)
    same = [at for at, found in looks if found is mode]
    return len(same) == len(looks) >= 2 and same[-1] - same[0] >= APART_SECONDS
