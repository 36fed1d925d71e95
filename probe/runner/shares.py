"""What each experiment of a profile may still cost in this run."""

from collections.abc import Mapping

from msgspec import Struct, field

from probe.experiments.interface import Share
from probe.i18n import N_
from probe.model import Steps

SPENT = N_("its experiment's share of the run was spent")
OFFLINE = N_("nothing had answered on this connection before")


class ShareLimits(Struct):
    """Counts seconds and bytes by experiment; without shares nothing is limited."""

    shares: Mapping[str, Share] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)
    _bytes: dict[str, int] = field(default_factory=dict)

    def limits(self, experiment: str) -> bool:
        """Whether an experiment has a limit of its own."""
        share = self.shares.get(experiment)
        return share is not None and (share.seconds is not None or share.bytes is not None)

    def spent(self, experiment: str) -> bool:
        """Whether no further target of an experiment may be begun."""
        share = self.shares.get(experiment)
        if share is None:
            return False
        late = share.seconds is not None and self._seconds.get(experiment, 0.0) >= share.seconds
        return late or (share.bytes is not None and self._bytes.get(experiment, 0) >= share.bytes)

    def note(self, experiment: str, steps: Steps, seconds: float) -> None:
        """Count what one target took."""
        self._seconds[experiment] = self._seconds.get(experiment, 0.0) + seconds
        size = sum(_size(step) for step in steps)
        self._bytes[experiment] = self._bytes.get(experiment, 0) + size


def _size(step: object) -> int:
    """The bytes of a step, both directions, where it counts them."""
    found = (getattr(step, name, 0) for name in ("bytes_in", "bytes_out", "wire_bytes"))
    return sum(number for number in found if isinstance(number, int))
