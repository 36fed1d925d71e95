"""Whether the line loses large packets, which looks like silence for some sites.

A tunnel or an access line with a smaller packet size than both ends assume, and whose ICMP messages
are filtered (a path-MTU black hole, RFC 2923), carries small answers and loses large ones. A second
look with small TCP segments decides. Its steps are no ordinary attempts: `Evidence` leaves them
out, and only this module reads them.
"""

from collections.abc import Iterable, Sequence

from probe.failure import Failure
from probe.model import Http, Role, Step, Tcp, Tls

# The segment that every IPv4 host accepts (RFC 879). A ClientHello of a usual size fits into one
# with options, so that a middlebox sees the name as in an ordinary attempt.
SMALL = 536
_OPTIONS = 12
# The segment for the smallest packet of IPv6, for larger ClientHellos.
_MEDIUM = 1220
# As many bytes in one flight cannot have come in small packets only.
FULL_SIZE = 1400


def limited(steps: Iterable[Step]) -> frozenset[int]:
    """The ids of the steps over connections with a limited segment size."""
    found: set[int] = set()
    for step in steps:
        if (isinstance(step, Tcp) and step.segment_limit is not None) or step.parent in found:
            found.add(step.id)
    return frozenset(found)


def segment_for(steps: Iterable[Step]) -> int:
    """The segment size of the second look, by the size of the ClientHello that was sent."""
    sent = max((s.bytes_out for s in steps if isinstance(s, Tls)), default=0)
    return SMALL if sent <= SMALL - _OPTIONS else _MEDIUM


def may_be_lost(at_address: Sequence[Step], least: int = 2) -> bool:
    """The target met silence at this address each time, and no large packet came from there.

    Args:
        at_address: Every step at one address on one hop.
        least: How many silences call for another look.
    """
    own = [s for s in at_address if isinstance(s, Tls | Http) and s.role is Role.TARGET]
    silent = [s for s in own if s.failure is Failure.TIMEOUT]
    if len(silent) < least:
        return False
    if any(isinstance(s, type(silent[-1])) and s.failure is None for s in own):
        return False
    return not any(isinstance(s, Tls | Http) and s.bytes_in >= FULL_SIZE for s in at_address)


def answered_when_small(steps: Sequence[Step], failed: Iterable[Step]) -> Step | None:
    """The second look's step that succeeded where each ordinary one was silent."""
    small = limited(steps)
    if not small:
        return None
    own: dict[tuple[type[Step], str], list[Step]] = {}
    for step in steps:
        if isinstance(step, Tls | Http) and step.role is Role.TARGET:
            own.setdefault((type(step), step.address), []).append(step)
    silent = (s for s in failed if isinstance(s, Tls | Http) and s.failure is Failure.TIMEOUT)
    for place in dict.fromkeys((type(s), s.address) for s in silent):
        there = own.get(place, [])
        found = next((s for s in there if s.id in small and s.failure is None), None)
        if found is not None and all(s.failure for s in there if s.id not in small):
            return found
    return None
