"""What a line test says: a number, or that there is none."""

from probe.evidence import Evidence
from probe.infer import Proof, Rule, Tier, rule
from probe.model import Outcome, Transfer
from probe.pairs import rate, sane

EXPERIMENTS = frozenset({"speed"})


@rule("speed.measured", Tier.LIKELY, Outcome.OK)
def measured(e: Evidence) -> Proof | None:
    """The line was measured, at least one way."""
    moved = [s for s in e.steps if isinstance(s, Transfer) and speed(s) is not None]
    return Proof(tuple(moved), 0.9) if moved else None


@rule("speed.no_number", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_number(e: Evidence) -> Proof | None:
    """The line test failed, or there was no server for it: no number, which is not zero."""
    moved = any(isinstance(s, Transfer) and speed(s) is not None for s in e.steps)
    return None if moved else Proof(e.steps[-1:], 0.3)


def speed(transfer: Transfer) -> float | None:
    """Bytes per second of a finished transfer, or None: what failed has no speed."""
    if transfer.ended not in {"full", "cap"} or not sane(transfer):
        return None
    return transfer.rate if transfer.rate is not None else rate(transfer)


RULES: tuple[Rule, ...] = (measured, no_number)
