"""Judge one record: run every rule over its evidence, then let the strongest kind of proof decide.

Theory of operation. A rule is a pure function from `Evidence` to a `Finding` or None. It belongs
to a *tier*, and the first tier in which a rule held decides the outcome:

    known      a signature by a known interception key: nothing outweighs it
    proven     the site itself, by its own certificate, over the way a browser would go
    caveat     the line is in no state to judge by (offline, portal, everything re-signed, clock)
    accused    the network was caught at it
    cleared    it fails elsewhere too, or the server itself turned us away
    likely     it looks as it looks elsewhere
    unclear    what was missing

Within a tier the most confident rule speaks, and mechanisms of all rules with its outcome add up.
Rules without an outcome only note a mechanism, or a reason. An accusation that rests on local proof
and a control that failed in the same way contradict each other: that is inconclusive.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from probe.analysis.confirmation import again
from probe.analysis.evidence import Evidence
from probe.model import Outcome, Record, RuleHit, Stage, Verdict
from probe.rule import Match, Rule, Tier
from probe.rules import RULES

RULESET = "1"


def judge(record: Record, rules: Sequence[Rule] = RULES) -> Verdict:
    """Conclude from one record, and from nothing else."""
    evidence = Evidence(record)
    mine = [r for r in rules if record.experiment in r.experiments]
    held = [Match(r, proof) for r in mine if (proof := r.holds(evidence)) is not None]
    return _staged(record, conclude(held))


def _staged(record: Record, verdict: Verdict) -> Verdict:
    """Confirmed, when an earlier run came to the same."""
    if not again(record, verdict.outcome, verdict.mechanisms):
        return verdict
    return replace(verdict, stage=Stage.CONFIRMED)


def conclude(held: Sequence[Match]) -> Verdict:
    """Let the strongest tier decide among the rules that held."""
    deciding = [h for h in held if h.rule.outcome is not None and h.rule.tier is not Tier.NOTE]
    told = [h for h in sorted(held, key=lambda h: h.rule.tier) if _worth_telling(h, deciding)]
    hits = tuple(h.hit for h in told)
    if not deciding:
        return Verdict(outcome=Outcome.INCONCLUSIVE, confidence=0.0, rules=hits)
    tier = min(h.rule.tier for h in deciding)
    if tier is Tier.ACCUSED and any(_contradicts(h) for h in deciding):
        return _contradicted(deciding, hits)
    speaking = [h for h in deciding if h.rule.tier is tier]
    best = max(speaking, key=lambda h: h.proof.confidence)
    outcome = best.rule.outcome
    assert outcome is not None  # noqa: S101 - deciding rules have one
    agreeing = [h for h in held if h.rule.tier is Tier.NOTE or _supports(h, outcome)]
    ordered = (best, *(h for h in agreeing if h is not best))
    mechanisms = dict.fromkeys(m for h in ordered for m in h.mechanisms)
    first = (best.hit, *(hit for hit in hits if hit != best.hit))
    return Verdict(
        outcome=outcome,
        mechanisms=tuple(mechanisms),
        confidence=round(best.proof.confidence, 3),
        rules=first,
    )


def _worth_telling(held: Match, deciding: Sequence[Match]) -> bool:
    """What was missing is of interest only when nothing else decided."""
    decided = any(h.rule.tier < Tier.UNCLEAR for h in deciding)
    return held.rule.tier is not Tier.UNCLEAR or not decided


def _supports(held: Match, outcome: Outcome) -> bool:
    return held.rule.outcome is outcome


def _contradicts(held: Match) -> bool:
    return held.rule.tier is Tier.CLEARED and held.rule.outcome is Outcome.DOWN


def _contradicted(deciding: Sequence[Match], hits: tuple[RuleHit, ...]) -> Verdict:
    steps = {step for h in deciding for step in h.hit.steps}
    clash = RuleHit(
        id="verdict.contradicted",
        steps=tuple(sorted(steps)),
        reason="What was proved on this line and what the control saw contradict each other.",
    )
    return Verdict(outcome=Outcome.INCONCLUSIVE, confidence=0.5, rules=(clash, *hits))
