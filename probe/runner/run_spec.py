"""What a run is to measure and may cost, and how it went."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from probe.experiments.interface import Share
from probe.model import Record
from probe.ordering import Job
from probe.runner.deadlines import Deadlines
from probe.runner.record_builder import RunHeader

RunEnd = Literal["finished", "time", "bytes", "interrupted"]


class RunSpec(Struct, frozen=True):
    """What is to be measured, and what it may cost.

    Attributes:
        bytes: The byte budget, both directions together.
        follow_up: Whether slow pages are followed up.
        unlisted: Targets that are on no list, and are not named in metrics.
        shares: What each experiment of a profile may cost.
        between_looks: Seconds from a target's first look to its second, so that a disturbance of a
            moment is not seen by both; less where the run's time is short.
    """

    jobs: tuple[Job, ...]
    header: RunHeader
    deadlines: Deadlines
    bytes: int
    seed: int
    concurrency: int = 16
    profile: str = "full"
    follow_up: bool = True
    unlisted: frozenset[str] = frozenset()
    shares: Mapping[str, Share] = field(default_factory=dict)
    between_looks: float = 3.0


class RunResult(Struct, frozen=True):
    """How a run went.

    Attributes:
        record: The run's own record, written last.
        offline: No reference site, no target and no collector answered.
        bugs: How many targets were lost to exceptions of our own code.
    """

    record: Record
    offline: bool
    bugs: int
