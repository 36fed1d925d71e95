"""Classify a shutdown by the classes of sites that still answer.

    gateway dead                                          home: local fault, never evidence
    nothing answers, gateway alive                        operator
    foreign none, domestic essential mostly, ordinary not whitelist (Russia since September 2025)
    foreign none, domestic ordinary mostly                foreign cut (Iran in November 2019)

    hardly any site answers, foreign addresses do         unclear: portal, failing DNS, filter
    none of them at port 53, some at port 443             unclear: a DNS filter
    only sites whose country is not known                 unclear

Shares rather than counts, because lists of anchors differ in length; with too few anchors in a
class nothing is concluded. Whitelist and foreign cut must be seen twice, minutes apart.
"""

from collections.abc import Iterable
from enum import StrEnum, unique
from typing import Literal

from msgspec import Struct

from probe.model import Ping

MOST, FEW = 3 / 5, 1 / 5
# Fewer foreign sites than this can all be down, or all blocked, by chance.
FOREIGN_LEAST = 3
DOMESTIC_LEAST = 2
# The `what` of a ping of an address without a name.
BY_ADDRESS: Literal["resolver"] = "resolver"
# The `what` of a ping of the same addresses at the port for encrypted queries.
BY_PORT: Literal["port"] = "port"
# Two rounds must be this far apart to count as two, so that a short loss does not fill both.
APART_SECONDS = 240.0


@unique
class Mode(StrEnum):
    """What one round of measurements of the anchors shows."""

    NORMAL = "normal"
    WHITELIST = "whitelist"
    FOREIGN_CUT = "foreign_cut"
    OPERATOR_DOWN = "operator_down"
    HOME_DOWN = "home_down"
    OFFLINE = "offline"  # nothing answers, and the gateway could not be tested
    UNCLEAR = "unclear"


# The modes that must be seen twice.
CUTS = frozenset({Mode.WHITELIST, Mode.FOREIGN_CUT})


class Tally(Struct, frozen=True):
    """How many of one class answered, and how many were tried."""

    up: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """From 0 to 1; 0 when none was tried."""
        return self.up / self.total if self.total else 0.0

    def __add__(self, other: "Tally") -> "Tally":
        """Both classes together."""
        return Tally(self.up + other.up, self.total + other.total)


class Reach(Struct, frozen=True):
    """How many of each class answered in one round. `gateway` is None where it was not tested.

    Attributes:
        essential: Domestic sites that a white list would let through.
        ordinary: Other domestic sites. foreign: foreign sites.
        unclassed: Configured sites of which it is not known where they are: they count for neither.
        addresses: Foreign name servers, tested by a connection alone. Portals and filters let
            them through, and some of them are anycast with servers in every country.
        ports: The same at 443, tested where port 53 is closed: a DNS filter closes 53 and leaves
            443 open. An answer is no proof of a normal line, because many middleboxes accept
            connections to it themselves.
    """

    gateway: bool | None = None
    essential: Tally = Tally()
    ordinary: Tally = Tally()
    foreign: Tally = Tally()
    addresses: Tally = Tally()
    ports: Tally = Tally()
    unclassed: Tally = Tally()


def reach(pings: Iterable[Ping]) -> Reach:
    """Count the answers of one round."""
    seen = tuple(pings)
    gateways = [ping.failure is None for ping in seen if ping.what == "gateway"]
    return Reach(
        gateway=any(gateways) if gateways else None,
        essential=_tally(seen, "essential"),
        ordinary=_tally(seen, "ordinary"),
        foreign=_tally(seen, "foreign"),
        addresses=_tally(seen, BY_ADDRESS),
        ports=_tally(seen, BY_PORT),
        unclassed=_tally(seen, "unclassed"),
    )


def _tally(pings: tuple[Ping, ...], what: str) -> Tally:
    chosen = [ping for ping in pings if ping.what == what]
    return Tally(sum(ping.failure is None for ping in chosen), len(chosen))


def classify(seen: Reach) -> Mode:
    """Classify one round."""
    if seen.foreign.up:
        return Mode.NORMAL
    if seen.addresses.up or seen.ports.up:
        sites = seen.ordinary + seen.unclassed
        whole = seen.addresses.up and sites.share >= MOST
        return Mode.NORMAL if whole else Mode.UNCLEAR
    if not (seen.essential.up or seen.ordinary.up or seen.unclassed.up):
        return _nothing(seen)
    if seen.foreign.total < FOREIGN_LEAST:
        return Mode.UNCLEAR
    if seen.ordinary.total >= DOMESTIC_LEAST and seen.ordinary.share >= MOST:
        return Mode.FOREIGN_CUT
    listed = seen.essential.total >= DOMESTIC_LEAST and seen.essential.share >= MOST
    ordinary_down = seen.ordinary.total >= DOMESTIC_LEAST and seen.ordinary.share <= FEW
    return Mode.WHITELIST if listed and ordinary_down else Mode.UNCLEAR


def _nothing(seen: Reach) -> Mode:
    if seen.gateway is None:
        return Mode.OFFLINE
    return Mode.OPERATOR_DOWN if seen.gateway else Mode.HOME_DOWN


def seen_twice(mode: Mode, rounds: Iterable[tuple[float, Mode]]) -> bool:
    """All rounds show this mode, and the first and last are far enough apart to count as two."""
    ordered = sorted(rounds)
    same = [at for at, found in ordered if found is mode]
    return len(same) == len(ordered) >= 2 and same[-1] - same[0] >= APART_SECONDS
