"""The targets that a run did not measure: how many for each reason, and a few examples.

A list may have a hundred thousand targets; a record that named each of them would be larger than
collectors accept.
"""

from collections import Counter

from probe.i18n import N_
from probe.model import Skip

MAX_EXAMPLES = 50
MAX_REASONS = 20
OTHER = N_("other reasons")


class Skips:
    """Counts skipped targets by reason, and keeps examples of each."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._kept: list[tuple[int, Skip]] = []

    def add(self, input_: str, reason: str) -> None:
        """Count one target."""
        self._counts[reason] += 1
        if self._counts[reason] <= MAX_EXAMPLES:
            self._kept.append((self._counts[reason], Skip(input=input_, reason=reason)))

    @property
    def examples(self) -> tuple[Skip, ...]:
        """At most `MAX_EXAMPLES` skips; each reason has its share."""
        kept = sorted(self._kept, key=lambda one: one[0])
        return tuple(skip for _, skip in kept[:MAX_EXAMPLES])

    @property
    def counts(self) -> dict[str, int]:
        """How many targets were skipped for each reason, the most frequent first."""
        counts = dict(self._counts.most_common(MAX_REASONS))
        others = self._counts.total() - sum(counts.values())
        return {**counts, OTHER: others} if others else counts
