"""Judge one record: run every rule over its evidence, then let the strongest kind of proof decide.

A rule is a pure function from `Evidence` to a `Finding` or None. It belongs to a *tier*, and the
first tier with a matching rule decides the outcome:

    known      a signature by a known interception key: nothing outweighs it
    proven     the site itself answered, by its own certificate, the way a browser would reach it
    caveat     the connection itself is at fault (offline, portal, everything re-signed, clock)
    accused    the network was seen to interfere
    cleared    the target fails elsewhere too, or the server itself refused
    likely     the target behaves as it does elsewhere
    unclear    what was missing

Within a tier the most confident rule decides, and the mechanisms of all rules with its outcome add
up. Rules without an outcome only add a mechanism or a reason. An accusation that rests on local
proof contradicts a control measurement that failed in the same way: that is inconclusive.
"""

from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from probe.analysis.confirmation import again
from probe.analysis.evidence import Evidence
from probe.model import Outcome, Record, RuleHit, Stage, Verdict
from probe.rule import NAMED_STEPS, Match, Rule, Tier

RULESET = "1"


def judge(record: Record, rules: Sequence[Rule] | None = None) -> Verdict:
    """Conclude from one record alone; confirmed when an earlier run concluded the same.

    Args:
        rules: By default every rule; they are imported with the first record.
    """
    evidence = Evidence(record)
    applicable = _applicable(record.experiment, rules)
    matches = [Match(r, finding) for r in applicable if (finding := r.holds(evidence)) is not None]
    standing, withdrawn = _without_open_explanations(evidence, matches)
    verdict = replace(conclude(standing, withdrawn), place=evidence.stop)
    if not again(record, verdict.outcome, verdict.mechanisms):
        return verdict
    return replace(verdict, stage=Stage.CONFIRMED)


def _applicable(experiment: str, rules: Sequence[Rule] | None) -> Sequence[Rule]:
    """The rules that read the records of an experiment."""
    if rules is None:
        return _all_applicable(experiment)
    return [r for r in rules if experiment in r.experiments]


@lru_cache(maxsize=64)
def _all_applicable(experiment: str) -> tuple[Rule, ...]:
    from probe.rules import RULES

    return tuple(r for r in RULES if experiment in r.experiments)


def _without_open_explanations(
    e: Evidence, matches: Sequence[Match]
) -> tuple[list[Match], list[RuleHit]]:
    """The matches that stand, and for each accusation that does not: why, as a hit."""
    from probe.ladder import still_open

    standing: list[Match] = []
    withdrawn: list[RuleHit] = []
    for match in matches:
        reason = still_open(e, match) if match.rule.tier is Tier.ACCUSED else None
        if reason is None:
            standing.append(match)
        else:
            withdrawn.append(replace(match.hit, id="verdict.not_excluded", reason=reason))
    return standing, withdrawn


def conclude(matches: Sequence[Match], withdrawn: Sequence[RuleHit] = ()) -> Verdict:
    """Let the strongest tier decide among the rules that matched.

    Args:
        matches: The rules that matched.
        withdrawn: Accusations with an innocent explanation that was not excluded. They are the
            reason of an inconclusive verdict where nothing stronger than `unclear` remains.
    """
    deciding = [m for m in matches if m.rule.outcome is not None and m.rule.tier is not Tier.NOTE]
    # What was missing is of interest only when nothing else decided.
    decided = any(m.rule.tier < Tier.UNCLEAR for m in deciding)
    by_tier = sorted(matches, key=lambda m: m.rule.tier)
    hits = tuple(m.hit for m in by_tier if not (decided and m.rule.tier is Tier.UNCLEAR))
    if withdrawn and not any(m.rule.tier < Tier.UNCLEAR for m in deciding):
        hits = (*withdrawn, *(hit for hit in hits if not hit.id.startswith("unclear.")))
        return Verdict(outcome=Outcome.INCONCLUSIVE, confidence=0.5, rules=hits)
    if not deciding:
        return Verdict(outcome=Outcome.INCONCLUSIVE, confidence=0.0, rules=hits)
    tier = min(m.rule.tier for m in deciding)
    if tier is Tier.ACCUSED and any(
        m.rule.tier is Tier.CLEARED and m.rule.outcome is Outcome.DOWN for m in deciding
    ):
        return _contradicted(deciding, hits)
    best = max((m for m in deciding if m.rule.tier is tier), key=lambda m: m.finding.confidence)
    outcome = best.rule.outcome
    assert outcome is not None  # noqa: S101 - deciding rules have one
    agreeing = [m for m in matches if m.rule.tier is Tier.NOTE or m.rule.outcome is outcome]
    ordered = (best, *(m for m in agreeing if m is not best))
    named = best.hit
    return Verdict(
        outcome=outcome,
        mechanisms=tuple(dict.fromkeys(how for m in ordered for how in m.mechanisms)),
        confidence=round(best.finding.confidence, 3),
        rules=(named, *(hit for hit in hits if hit != named)),
    )


def _contradicted(deciding: Sequence[Match], hits: tuple[RuleHit, ...]) -> Verdict:
    steps = {step for m in deciding for step in m.hit.steps}
    clash = RuleHit(
        id="verdict.contradicted",
        steps=tuple(sorted(steps))[:NAMED_STEPS],
        reason="The proof from this connection and the control measurement contradict each other.",
    )
    return Verdict(outcome=Outcome.INCONCLUSIVE, confidence=0.5, rules=(clash, *hits))
