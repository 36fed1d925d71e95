"""Who stops the packets to a site: the network on the way, or the server or its own network.

Pure, from steps whose packets had a limited TTL (`probe/experiments/place_of_silence.py`). For a
name, a harmless name in the same flows is the comparison; for an address, datagrams to it, or to
addresses beside it. Only what happens two routers and more before the server is the network's: a
site's own firewall stands in front of it. Where the TTL of packets is rewritten on the way,
distance does not acquit.

The steps are no ordinary attempts: `Evidence` leaves them out, and only this module reads them.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from probe.analysis.trace_hops import ROUTER, HopResult, result_of
from probe.failure import Failure
from probe.model import Control, Ping, Role, Step, Tcp, Tls

FLOWS = 4
MARGIN = 2  # routers before the server that may be the site's own
LEAST_HOP = 2  # nearer than this is the home
BEYOND = 1  # hops behind the server's, where no router answers unless a TTL was rewritten

Kind: TypeAlias = Literal["name", "address"]
_CUT = frozenset({Failure.TIMEOUT, Failure.RESET, Failure.ABORTED, Failure.EOF})
_UNCONNECTED = frozenset({Failure.TIMEOUT, Failure.REFUSED, Failure.RESET, Failure.ABORTED})
_BESIDE = 3 * FLOWS
MOST = 3  # of four flows, where one may have been lost


class Place(Struct, frozen=True):
    """Who stops the packets, and between which hops.

    Attributes:
        by: `network`: before the server's surroundings; `server`: there, or by the server itself.
        address: The server's.
        after, before: The last hop that the packets pass, and the first that they do not.
        server: The distance of the server, or the least that it can be.
        steps: The limited packets that it rests on.
    """

    by: Literal["network", "server"]
    address: str
    after: int
    before: int
    server: int
    steps: tuple[Step, ...]


def limited(steps: Iterable[Step]) -> frozenset[int]:
    """The ids of the steps whose packets had a limited TTL."""
    return frozenset(s.id for s in steps if ttl_of(s))


def ttl_of(step: Step) -> int:
    """The TTL of its packets; 0: not limited."""
    return (step.travel.ttl or 0) if step.travel is not None else 0


def met(step: Step) -> HopResult:
    """What one limited packet met."""
    if isinstance(step, Tls):
        return result_of(step)
    if step.travel is not None and step.travel.expired:
        return HopResult.EXPIRED
    if step.failure is None:
        return HopResult.ANSWERED
    return HopResult.SILENT if step.failure is Failure.TIMEOUT else HopResult.RESET


def wanted(at_address: Sequence[Step], controls: Sequence[Control]) -> Kind | None:
    """What is to be found out: who stops this name, or every packet to this address.

    Args:
        at_address: Every ordinary step at one address on one hop.
        controls: What controls saw of the target; a site that is dead everywhere is no question.
    """
    own = [s for s in at_address if s.role is Role.TARGET and not ttl_of(s)]
    shaken = [s for s in own if isinstance(s, Tls)]
    if shaken and all(s.failure in _CUT for s in shaken) and len(shaken) > 1:
        harmless = [s for s in at_address if isinstance(s, Tls) and s.role is Role.HARMLESS]
        return "name" if any(s.failure is None for s in harmless) else None
    dialled = [s for s in own if isinstance(s, Tcp)]
    if len(dialled) < 2 or any(s.failure not in _UNCONNECTED for s in dialled):
        return None
    return "address" if not controls or _reached_by(controls, dialled[-1]) else None


def _reached_by(controls: Sequence[Control], mine: Tcp) -> bool:
    """A control connected to the same address and port."""
    there = [s for c in controls for s in c.steps if isinstance(s, Tcp) and s.failure is None]
    return any((s.address, s.port) == (mine.address, mine.port) for s in there)


# --- the place ----------------------------------------------------------------------------------


def place(steps: Sequence[Step]) -> Place | None:
    """Who stops the packets; None where the comparison was not made or does not show it."""
    sent = [s for s in steps if ttl_of(s)]
    if any(isinstance(s, Tls) for s in sent):
        return _of_name(sent)
    if any(isinstance(s, Ping) and s.role is Role.HARMLESS for s in sent):
        return _of_all_packets(steps)
    return _of_connections(sent) if any(isinstance(s, Tcp) for s in sent) else None


def _of_name(sent: Sequence[Step]) -> Place | None:
    own = _role([s for s in sent if isinstance(s, Tls)], Role.TARGET)
    other = _role([s for s in sent if isinstance(s, Tls)], Role.HARMLESS)
    server = nearest([s for s in sent if isinstance(s, Tcp) or s in other])
    if server is None or not own:
        return None
    far = max((ttl_of(s) for s in own), default=0)
    if not LEAST_HOP <= far <= server - MARGIN:
        return None
    compared = _at(other, far)
    if len(compared) < FLOWS or any(met(s) is not HopResult.EXPIRED for s in compared):
        return None
    rewritten = _rewritten(sent, Role.TARGET, server)
    return _compare(own, other, far, server, may_acquit=not rewritten and far == server - MARGIN)


def _of_all_packets(steps: Sequence[Step]) -> Place | None:
    """All packets to the address end early, and those to addresses beside it go on.

    A server may stand at the edge of its network, and the addresses beside it behind it. So the
    next router that these packets meet must be known to be in another network than the server's.
    """
    pings = [s for s in steps if isinstance(s, Ping) and s.role is not Role.REFERENCE]
    own = {s.asn for s in pings if s.what != ROUTER and s.asn is not None}
    pings = [s for s in pings if ttl_of(s)]
    mine, others = _role(pings, Role.TARGET), _role(pings, Role.HARMLESS)
    syns = [s for s in steps if isinstance(s, Tcp) and s.role is Role.TARGET and ttl_of(s)]
    near, arrived = distance([s for s in pings if s.role is Role.TARGET])
    far = max(map(ttl_of, others))
    silent = [*_at(mine, far), *_at(syns, far)]
    if arrived or near < LEAST_HOP or far < near + MARGIN or len(silent) < 2 * FLOWS:
        return None
    if not syns or not _go_on_around(_at(others, far), silent):
        return None
    ends = [t for t in {*map(ttl_of, others)} if t >= near and _stopped(mine, others, t)]
    before = min(ends, default=far)
    beyond = {ttl_of(s): s.asn for s in pings if s.asn is not None and ttl_of(s) >= before}
    if not own or not beyond or beyond[min(beyond)] in own:
        return None
    return Place("network", syns[-1].address, near - 1, before, far + 1, tuple(silent))


def _go_on_around(others: Sequence[Step], silent: Sequence[Step]) -> bool:
    """No packet to the address met anything, and those beside it expired before and after."""
    last = max(s.at for s in silent)
    before, after = others[:FLOWS], [s for s in others if s.at > last]
    expired = sum(met(s) is HopResult.EXPIRED for s in after)
    quiet = all(met(s) is HopResult.SILENT for s in silent)
    return quiet and all(met(s) is HopResult.EXPIRED for s in before) and expired >= MOST


def beside(address: str) -> list[str]:
    """Addresses beside one, nearest first: a route to one leads to the others too.

    Several, because a load balancer may choose a way by the address.
    """
    network, _, last = address.rpartition(".")
    numbers = range(1, 255)
    nearest = sorted(numbers, key=lambda number: abs(number - int(last)))
    return [f"{network}.{number}" for number in nearest if number != int(last)][:_BESIDE]


def _of_connections(sent: Sequence[Step]) -> Place | None:
    own = _role([s for s in sent if isinstance(s, Tcp)], Role.TARGET)
    routers = [s for s in sent if isinstance(s, Ping) and s.role is Role.TARGET]
    reference = [s for s in sent if isinstance(s, Tcp) and s.role is Role.REFERENCE]
    known = nearest(reference)
    server, arrived = distance(routers)
    if known is None or _rewritten(sent, Role.REFERENCE, known):
        return None
    tried = sorted({ttl_of(s) for s in own if LEAST_HOP <= ttl_of(s) <= server - MARGIN})
    # Of ways of different length, a shorter one may end before the farthest distance; then packets
    # of some flows go on there.
    compared = [ttl for ttl in reversed(tried) if len(_at(own, ttl)) >= FLOWS]
    if not compared or compared[0] != server - MARGIN:
        return None
    goes_on = True
    for far in compared:
        # As far from here as a foreign server is, or as this one by the shorter of two ways, each
        # with its surroundings.
        near_server = arrived and far >= compared[0] - MARGIN
        may_acquit = goes_on and (near_server or far >= known - MARGIN)
        found = _compare(own, routers, far, server, may_acquit=may_acquit)
        if found is not None and (found.by == "server" or _crosses(reference, routers, found, far)):
            return found
        goes_on = goes_on and any(met(s) is HopResult.EXPIRED for s in _at(own, far))
    return None


def _crosses(reference: Sequence[Step], routers: Sequence[Step], found: Place, far: int) -> bool:
    """On this line a SYN goes farther than the place, and datagrams to the address do."""
    crossed = [ttl_of(s) for s in reference if met(s) is HopResult.EXPIRED]
    there = _at(routers, far)
    alike = all(met(s) is HopResult.EXPIRED for s in there)
    return max(crossed, default=0) > found.after and len(there) >= FLOWS and alike


def _compare(
    own: Sequence[Step], other: Sequence[Step], far: int, server: int, *, may_acquit: bool
) -> Place | None:
    """Compare both kinds of packets at the farthest distance before the server's surroundings."""
    there = _at(own, far)
    results = [met(s) for s in there]
    address = getattr(there[-1], "address", "")
    passed = results.count(HopResult.EXPIRED)
    if passed >= MOST and set(results) <= {HopResult.EXPIRED, HopResult.SILENT}:
        if not may_acquit:
            return None
        return Place("server", address, far, server, server, tuple(there))
    # Of several resets one may be lost.
    usual = max(results.count(HopResult.SILENT), results.count(HopResult.RESET))
    stops = set(results) <= {HopResult.SILENT, HopResult.RESET}
    if len(results) < FLOWS or not stops or usual < len(results) - 1:
        return None
    again = [s for s in _at(other, far) if s.at > max(one.at for one in there[:FLOWS])]
    if sum(met(s) is HopResult.EXPIRED for s in again) < MOST:
        return None  # the router stopped reporting, or the address is punished
    after = max((ttl_of(s) for s in own if met(s) is HopResult.EXPIRED), default=0)
    stopped = (t for t in {ttl_of(s) for s in own} if t > after and _stopped(own, other, t))
    return Place("network", address, after, min(stopped, default=far), server, tuple(there))


def _stopped(own: Sequence[Step], other: Sequence[Step], ttl: int) -> bool:
    """At this distance no packet of the one kind is reported expired, and each of the other is.

    Of three and more one may have been lost.
    """
    if any(met(s) is HopResult.EXPIRED for s in _at(own, ttl)):
        return False
    there = _at(other, ttl)
    expired = sum(met(s) is HopResult.EXPIRED for s in there)
    return expired >= (len(there) if len(there) < MOST else len(there) - 1)


def spread(steps: Iterable[Step], place: Place) -> int:
    """By how many routers a way to the server is longer than the nearest, as far as is known."""
    syns = [s for s in steps if isinstance(s, Tcp) and s.address == place.address and ttl_of(s)]
    expired = [ttl_of(s) for s in syns if met(s) is HopResult.EXPIRED]
    return max(0, max(expired, default=0) + 1 - place.server)


def nearest(sent: Iterable[Step]) -> int | None:
    """The nearest distance at which a packet was answered; None: not found."""
    answered = [ttl_of(s) for s in sent if met(s) is HopResult.ANSWERED]
    return min(answered, default=None)


def distance(routers: Sequence[Ping]) -> tuple[int, bool]:
    """The distance of a server by datagrams, or the least it can be; whether it was reached."""
    reached = [ttl_of(s) for s in routers if s.what != ROUTER and s.failure is None]
    if reached:
        return min(reached), True
    far = [ttl_of(s) for s in routers if met(s) is HopResult.EXPIRED]
    return max(far, default=0) + 1, False


def _rewritten(sent: Sequence[Step], role: Role, server: int) -> bool:
    """Routers answer datagrams from farther away than the server answers connections in any flow.

    Where ways of different lengths are the reason, connections of other flows do not arrive yet.
    """
    syns = [s for s in sent if isinstance(s, Tcp) and s.role is role and ttl_of(s) == server]
    if any(met(s) is HopResult.EXPIRED for s in syns):
        return False
    here = [s for s in sent if isinstance(s, Ping) and s.role is role]
    beyond = [s for s in here if ttl_of(s) == server + BEYOND]
    return sum(s.what == ROUTER and met(s) is HopResult.EXPIRED for s in beyond) >= MOST


def is_hidden(steps: Iterable[Step]) -> bool:
    """A place was looked for, and the TTL of connections to a foreign server is rewritten."""
    sent = [s for s in steps if ttl_of(s)]
    known = nearest([s for s in sent if isinstance(s, Tcp) and s.role is Role.REFERENCE])
    return known is not None and _rewritten(sent, Role.REFERENCE, known)


def _role(steps: Sequence[Step], role: Role) -> list[Step]:
    return [s for s in steps if s.role is role]


def _at(steps: Sequence[Step], ttl: int) -> list[Step]:
    """The last packet of each flow at this distance: one that was lost is sent again."""
    return list({(type(s), s.try_): s for s in steps if ttl_of(s) == ttl}.values())
