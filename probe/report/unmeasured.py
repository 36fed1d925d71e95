"""How many targets of a run were not measured, and why."""

from collections import Counter
from collections.abc import Mapping

from probe.i18n import _, ngettext, reason
from probe.model import RunFacts


def counts(facts: RunFacts) -> Mapping[str, int]:
    """Return the number of skipped targets by reason."""
    # Records of earlier versions have no counts, but name every skipped target.
    return facts.skipped_counts or Counter(skip.reason for skip in facts.skipped)


def reasons(by_reason: Mapping[str, int]) -> str:
    """Return the reasons in one line, with their numbers if there are several."""
    if len(by_reason) == 1:
        return _translated("".join(by_reason))
    return "; ".join(f"{_translated(one)} ({count})" for one, count in by_reason.items())


def _translated(text: str) -> str:
    """Translate a reason, which records hold in English; it may have numbers and names in it."""
    return reason(_(text))


def sentence(facts: RunFacts) -> str | None:
    """Return one sentence for the user; None if every target was measured."""
    found = counts(facts)
    if not found:
        return None
    text = ngettext(
        "{number} of {all} target was not measured: {reasons}",
        "{number} of {all} targets were not measured: {reasons}",
        facts.targets,
    )
    return text.format(number=sum(found.values()), all=facts.targets, reasons=reasons(found))
