"""Why we cannot tell: what was missing, in one sentence. Honest, and never an accusation."""

from probe.evidence import Evidence, failing
from probe.infer import Proof, Rule, Tier, rule
from probe.model import Outcome, Role
from probe.slowness import cut_short


def _target_steps(e: Evidence) -> tuple[list[object], int]:
    steps = [s for s in e.steps if s.role is Role.TARGET]
    return [s for s in steps if s.failure is not None], max((s.try_ for s in steps), default=0)


@rule("unclear.seen_once", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def seen_once(e: Evidence) -> Proof | None:
    """It did not simply work, and it could not be looked at a second time."""
    failures, tries = _target_steps(e)
    last = failing(e.steps)[-1:]
    return Proof(tuple(last), 0.5) if failures and tries < 2 else None


@rule("unclear.no_control", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def no_control(e: Evidence) -> Proof | None:
    """It did not simply work, nobody looked from elsewhere, and nothing here proves why."""
    if e.controls or not e.steps:
        return None
    return Proof(e.steps[-1:], 0.5)


@rule("unclear.line_not_shown_to_work", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def line_not_shown_to_work(e: Evidence) -> Proof | None:
    """Nothing else was seen to work right before and after: the line itself may have failed."""
    failed = [s for s in failing(e.steps) if s.role is Role.TARGET]
    if not failed or e.alive_around(failed[-1]):
        return None
    return Proof((failed[-1],), 0.5)


@rule("unclear.slow", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def slow(e: Evidence) -> Proof | None:
    """The page began and did not finish in time: slow, which is a question for `throttle`."""
    cut = [p for p in e.pages(e.end) if p.failure and (p.received_bytes or cut_short(p))]
    return Proof(tuple(cut[-1:]), 0.6, reason=_ask_throttle(e)) if cut else None


@rule("note.slow_page", Tier.NOTE, None)
def slow_page(e: Evidence) -> Proof | None:
    """The page came, but not whole in the time a page has: slow, on purpose or not."""
    cut = [p for p in e.pages(e.end) if p.failure is None and cut_short(p)]
    return Proof(tuple(cut[-1:]), 0.0, reason=_ask_throttle(e)) if cut else None


def _ask_throttle(e: Evidence) -> str:
    return (
        "The page began and did not come whole in the time a page has: slow. Whether on purpose "
        f"is a question for: qazprobe run -e throttle {e.end_url}"
    )


@rule("unclear.nothing_fits", Tier.UNCLEAR, Outcome.INCONCLUSIVE)
def nothing_fits(e: Evidence) -> Proof | None:
    """What was seen fits no working site, no broken one, and no interference we can prove."""
    return Proof(e.steps[-1:], 0.4)


RULES: tuple[Rule, ...] = (
    seen_once,
    line_not_shown_to_work,
    no_control,
    slow,
    slow_page,
    nothing_fits,
)
