"""Whether the home itself was what made a transfer slow.

A transfer says what else this machine's way out carried meanwhile, where the system tells. Other
traffic that was there beside both names slowed both, and explains no difference between them.
"""

from probe.model import Transfer

# Other traffic explains a slow transfer when it makes up for this share of what is lacking.
EXPLAINED = 0.5
# Over this share of its own bytes, other traffic had a part in how fast a transfer was: a quarter,
# and a tenth for our own headers, confirmations and what was sent twice (a fifth where it is bad).
CROWDED = 0.35
# Connections beside each other share a line about evenly; who gets less than one part to so many of
# the others' was held back by something else.
SHARED = 10
_SHORTEST = 0.02


def crowded(transfer: Transfer) -> bool:
    """Something else used the line meanwhile, as far as this machine can see."""
    own = max(transfer.wire_bytes, transfer.asked_bytes)
    return (transfer.other_bytes or 0) > CROWDED * own


def explains(tested: Transfer, control: Transfer, lacking: float) -> bool:
    """What more was moved beside the tested transfer makes up for what it lacks, bytes a second."""
    return lacking > 0 and _others(tested) - _others(control) >= EXPLAINED * lacking


def starved(tested: Transfer, got: float) -> bool:
    """Its bytes a second are so few beside the others' that sharing a line is no explanation."""
    return _others(tested) > SHARED * got


def _others(transfer: Transfer) -> float:
    """Bytes a second of other traffic; none where the system does not tell."""
    return (transfer.other_bytes or 0) / max(transfer.elapsed, _SHORTEST)
