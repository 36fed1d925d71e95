"""A line that was gone accuses no resolver."""

import pytest
from msgspec.structs import replace

from probe.failure import Failure
from probe.judge import judge
from probe.model import Dns, Role, Step, Verdict
from tests.build import GOOD, HARMLESS, OTHER, control, dns, doh, fetched, record, reference
from tests.probe.rules.dns_answers import LINE

WORKS = reference(dns(OTHER, name="works.example"))
HEARD = replace(dns(OTHER, name=HARMLESS, resolver="9.9.9.9"), role=Role.HARMLESS)


def waited(resolver: str = "system", try_: int = 1) -> Dns:
    step = replace(dns(failure=Failure.TIMEOUT), resolver=resolver)
    return replace(step, elapsed=5.0, try_=try_)


def after_a_wait(answered: float) -> Verdict:
    """Every resolver is silent in the clear for two waits; an encrypted one answers at a moment."""
    asked: list[tuple[float, Step]] = [
        (30.0 * (try_ - 1), waited(one, try_))
        for try_ in (1, 2)
        for one in ("system", "1.1.1.1", "9.9.9.9")
    ]
    asked.append((30.0, replace(doh(GOOD), elapsed=answered - 30.0)))
    asked += [(36.0, step) for step in (HEARD, WORKS, *fetched())]
    made = record(
        *(step for _, step in asked), line=LINE, controls=(control(dns(GOOD), *fetched()),)
    )
    moments = [moment for moment, _ in asked]
    steps = [replace(s, at=at) for s, at in zip(made.steps, moments, strict=True)]
    return judge(replace(made, steps=tuple(steps)))


def test_a_name_is_denied_where_others_are_answered_meanwhile() -> None:
    assert after_a_wait(30.2).mechanisms == ("dns.timeout",)


@pytest.mark.parametrize("answered", [34.0, 35.5])
def test_a_line_that_was_gone_denies_no_name(answered: float) -> None:
    """The encrypted answer came when the line was back, and the queries had been sent."""
    verdict = after_a_wait(answered)
    assert verdict.outcome == "inconclusive"
    assert "the connection may have been gone" in verdict.rules[0].reason
