"""What a rule is: a pure function from `Evidence` to a `Finding` or None, with an id and a tier."""

from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType, ModuleType

from msgspec import Struct, field

from probe.analysis.evidence import Evidence
from probe.model import Base, Mechanism, Outcome, Role, RuleHit, Step

# The experiments that measure websites: most rules read the records of all three.
WEB = ("web", "sni", "mitm")
# At most as much of what a rule found stands in a verdict.
NAMED_STEPS, REASON = 256, 1000


class Tier(IntEnum):
    """How strong a kind of proof is; the lowest tier with a matching rule decides."""

    KNOWN = 0
    PROVEN = 1
    CAVEAT = 2
    ACCUSED = 3
    CLEARED = 4
    LIKELY = 5
    UNCLEAR = 6
    NOTE = 7


class InnocentExplanation(StrEnum):
    """An innocent explanation that an accusation must exclude (`probe/ladder.py`)."""

    LINE = "line"
    RESOLVER = "resolver"
    SERVER = "server"
    MEANS = "means"
    CHANCE = "chance"


class Finding(Struct, frozen=True):
    """What a matching rule found.

    Attributes:
        steps: The steps it rests on.
        confidence: The probability, by this rule, that its outcome is right.
        mechanisms: Replace the rule's own where the evidence names them.
        reason: Replaces the rule's sentence where there is more to say.
    """

    steps: tuple[Base, ...]
    confidence: float
    mechanisms: tuple[Mechanism, ...] | None = None
    reason: str | None = None


class Rule(Struct, frozen=True):
    """One reason to conclude something, with a permanent id.

    Attributes:
        experiments: The experiments whose records it reads. `rules.load` fills it from the module's
            `EXPERIMENTS` where the rule names none itself.
        excludes: For an accusation, the innocent explanations that it excludes itself, and how.
    """

    id: str
    tier: Tier
    outcome: Outcome | None
    mechanisms: tuple[Mechanism, ...]
    sentence: str
    holds: Callable[[Evidence], Finding | None]
    experiments: tuple[str, ...] = ()
    excludes: Mapping[InnocentExplanation, str] = field(default_factory=dict)


class Match(Struct, frozen=True):
    """A rule that matched a record, and what it found."""

    rule: Rule
    finding: Finding

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """How the network interfered, according to this rule."""
        found = self.finding.mechanisms
        return self.rule.mechanisms if found is None else found

    def on_target(self, e: Evidence) -> list[Step]:
        """The steps on the target that the accusation rests on."""
        ids = {step.id for step in self.finding.steps}
        return [s for s in e.steps if s.id in ids and s.role is Role.TARGET]

    @property
    def hit(self) -> RuleHit:
        """The match as a record stores it."""
        steps = sorted({step.id for step in self.finding.steps})[:NAMED_STEPS]
        reason = (self.finding.reason or self.rule.sentence)[:REASON]
        return RuleHit(id=self.rule.id, steps=tuple(steps), reason=reason)


def rule(
    id_: str,
    tier: Tier,
    outcome: Outcome | None,
    *mechanisms: Mechanism,
    experiments: tuple[str, ...] = (),
    excludes: Mapping[InnocentExplanation, str] = MappingProxyType({}),
) -> Callable[[Callable[[Evidence], Finding | None]], Rule]:
    """Turn a function into a rule; the first line of its docstring is the sentence for users."""

    def make(holds: Callable[[Evidence], Finding | None]) -> Rule:
        sentence = (holds.__doc__ or _source_docstring(holds)).strip().splitlines()[0]
        return Rule(id_, tier, outcome, mechanisms, sentence, holds, experiments, excludes)

    return make


def rules_of(module: ModuleType) -> list[Rule]:
    """The rules defined in a module, in the order of their definition."""
    return [value for value in vars(module).values() if isinstance(value, Rule)]


def _source_docstring(holds: Callable[[Evidence], Finding | None]) -> str:
    """Read the docstring from the source file, because `python -OO` strips it."""
    import ast
    import inspect
    import textwrap

    source = textwrap.dedent(inspect.getsource(holds))
    function = ast.parse(source).body[0]
    if not isinstance(function, ast.FunctionDef):
        raise TypeError(source)
    return ast.get_docstring(function) or ""
