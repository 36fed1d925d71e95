"""What a rule is: a pure function from `Evidence` to a `Finding` or None, with an id and a tier."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from probe.analysis.evidence import Evidence
from probe.model import Base, Mechanism, Outcome, RuleHit

WEB = ("web", "sni", "mitm")


class Tier(IntEnum):
    """How strong a kind of proof is; the lowest number in which a rule held decides."""

    KNOWN = 0
    PROVEN = 1
    CAVEAT = 2
    ACCUSED = 3
    CLEARED = 4
    LIKELY = 5
    UNCLEAR = 6
    NOTE = 7


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes:
        steps: The steps it rests on.
        confidence: How sure this rule makes us that its outcome is right, 0 to 1.
        mechanisms: In place of the rule's own, where the evidence says which.
        reason: In place of the rule's sentence, where it can say more.
    """

    steps: tuple[Base, ...]
    confidence: float
    mechanisms: tuple[Mechanism, ...] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to conclude something, with a permanent id.

    Attributes:
        experiments: Whose records it reads.
    """

    id: str
    tier: Tier
    outcome: Outcome | None
    mechanisms: tuple[Mechanism, ...]
    sentence: str
    holds: Callable[[Evidence], Finding | None]
    experiments: tuple[str, ...] = WEB


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that held, and its proof."""

    rule: Rule
    proof: Finding

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """What the rule says of how it was done."""
        chosen = self.proof.mechanisms
        return self.rule.mechanisms if chosen is None else chosen

    @property
    def hit(self) -> RuleHit:
        """As the record has it."""
        steps = sorted({step.id for step in self.proof.steps})
        reason = self.proof.reason or self.rule.sentence
        return RuleHit(id=self.rule.id, steps=tuple(steps), reason=reason)


def rule(
    id_: str,
    tier: Tier,
    outcome: Outcome | None,
    *mechanisms: Mechanism,
    experiments: tuple[str, ...] = WEB,
) -> Callable[[Callable[[Evidence], Finding | None]], Rule]:
    """Make a rule of a function; its docstring's first line is the sentence people read."""

    def make(holds: Callable[[Evidence], Finding | None]) -> Rule:
        sentence = (holds.__doc__ or _written(holds)).strip().splitlines()[0]
        return Rule(id_, tier, outcome, mechanisms, sentence, holds, experiments)

    return make


def _written(holds: Callable[[Evidence], Finding | None]) -> str:
    """The docstring in the source: `python -OO` takes it from the function itself."""
    import ast
    import inspect
    import textwrap

    source = textwrap.dedent(inspect.getsource(holds))
    function = ast.parse(source).body[0]
    if not isinstance(function, ast.FunctionDef):
        raise TypeError(source)
    return ast.get_docstring(function) or ""
