"""The looks of one key at one target, as runs of equal signs: small, and enough for brackets."""

from collections import deque
from dataclasses import dataclass, field

from collector.events.model import Bracket, Look

# Older runs cannot change where the newest change lies.
RUNS = 6


@dataclass(slots=True)
class SignRun:
    """Consecutive looks of one key with one sign."""

    bad: bool
    first: Look
    last: Look
    count: int = 1


@dataclass(slots=True)
class KeyHistory:
    """The newest runs of one key's looks by one experiment, in the order of their time."""

    runs: deque[SignRun] = field(default_factory=lambda: deque(maxlen=RUNS))

    def add(self, look: Look, *, bad: bool) -> None:
        """Add a look that is not older than the others."""
        if self.runs and self.runs[-1].bad is bad:
            run = self.runs[-1]
            run.last = look
            run.count += 1
        else:
            self.runs.append(SignRun(bad, look, look))

    @property
    def newest(self) -> SignRun | None:
        """The run of the newest look."""
        return self.runs[-1] if self.runs else None

    def change(self, *, to_bad: bool, since: float) -> Bracket | None:
        """Between which of its looks the key's sign changed to the present one, for good.

        The change lies where the fewest looks contradict it (a least-errors step fit), so one stray
        look within a long run moves nothing. Of several such places the bracket spans all.

        Args:
            to_bad: Which change.
            since: Runs that were over before then are of an earlier change.
        """
        runs = tuple(run for run in self.runs if run.last.at >= since)
        best: list[int] = []
        least = float("inf")
        for split in range(len(runs)):
            if runs[split].bad is not to_bad:
                continue
            errors = sum(run.count for run in runs[:split] if run.bad is to_bad)
            errors += sum(run.count for run in runs[split:] if run.bad is not to_bad)
            if errors < least:
                least, best = errors, []
            if errors == least:
                best.append(split)
        if not best:
            return None
        first, last = best[0], best[-1]
        after = runs[first - 1].last.at if first else None
        return Bracket(after, runs[last].first.at)
