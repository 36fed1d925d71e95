"""What detection over time finds: an event of a line, a country or a target's speed."""

from typing import NamedTuple


class DetectedEvent(NamedTuple):
    """An event as one evaluation of the data shows it, without an identity.

    Attributes:
        ended_at: None while it lasts. Times are Unix time in seconds.
        probes, judging: Number of independent keys that agree, and that could tell.
        target: Empty where it concerns the whole line.
        measurements: Ids of a few records as examples.
        sources: What says so: those of `shutdown.py` and `throttling.py`.
    """

    kind: str
    target: str
    country: str
    asn: int
    started_at: float
    ended_at: float | None
    probes: int
    judging: int
    measurements: tuple[str, ...]
    sources: tuple[str, ...]
