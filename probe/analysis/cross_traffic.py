"""Whether other traffic of the home network slowed a transfer.

A transfer records the other bytes that its network interface carried meanwhile, where the system
counts them. Other traffic beside both names slows both and explains no difference between them.
"""

from probe.model import Transfer

# Other traffic explains a slow transfer when it makes up for this share of the missing rate.
EXPLAINED = 0.5
# Above this share of its own bytes, other traffic affected a transfer: a quarter, and a tenth for
# the transfer's own headers, acknowledgements and retransmissions.
CROWDED = 0.35
# Parallel connections share a line about evenly. If the others moved more than this many times as
# much, something else held the transfer back.
SHARED = 10
_SHORTEST = 0.02


def crowded(transfer: Transfer) -> bool:
    """Other traffic of this machine used the line meanwhile."""
    own = max(transfer.wire_bytes, transfer.asked_bytes)
    return (transfer.other_bytes or 0) > CROWDED * own


def explains(tested: Transfer, control: Transfer, lacking: float) -> bool:
    """The additional traffic beside the tested transfer makes up for its missing bytes a second."""
    return lacking > 0 and _others(tested) - _others(control) >= EXPLAINED * lacking


def starved(tested: Transfer, got: float) -> bool:
    """The other traffic got so much more that a shared line does not explain the slow transfer."""
    return _others(tested) > SHARED * got


def _others(transfer: Transfer) -> float:
    """Bytes a second of other traffic; 0 where the system does not count it."""
    return (transfer.other_bytes or 0) / max(transfer.elapsed, _SHORTEST)
