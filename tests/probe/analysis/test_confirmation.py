"""Confirmation by an earlier run: same outcome, a mechanism in common, far enough apart."""

import pytest
from msgspec.structs import replace

from probe.analysis.confirmation import SUSPECTED_ONCE, again, suspected_before
from probe.judge import judge
from probe.model import Earlier, Mechanism, Outcome, Record, Stage
from tests.build import record

HOUR = 3600.0
RESET, SILENT = Mechanism.TLS_RESET, Mechanism.TLS_TIMEOUT


def earlier(
    outcome: Outcome = Outcome.BLOCKED, *mechanisms: Mechanism, hours: float = 24, rule: str = "r"
) -> Earlier:
    return Earlier(
        run="another", age=-hours * HOUR, outcome=outcome, mechanisms=mechanisms, rule=rule
    )


def after(*earlier: Earlier, experiment: str = "web") -> Record:
    return replace(record(), experiment=experiment, earlier=earlier)


def test_the_same_by_a_mechanism_in_common_is_confirmed() -> None:
    assert again(after(earlier(Outcome.BLOCKED, RESET)), Outcome.BLOCKED, (RESET, SILENT))
    assert not again(after(earlier(Outcome.BLOCKED, RESET)), Outcome.BLOCKED, (SILENT,))
    assert not again(after(earlier(Outcome.BLOCKED, RESET)), Outcome.INTERCEPTED, (RESET,))
    assert again(after(earlier(Outcome.BLOCKED)), Outcome.BLOCKED, ())


def test_only_interference_needs_confirming() -> None:
    assert not again(after(earlier(Outcome.DOWN)), Outcome.DOWN, ())


def test_a_run_does_not_confirm_itself() -> None:
    now = after()
    mine = replace(earlier(Outcome.BLOCKED, RESET), run=now.run)
    assert not again(replace(now, earlier=(mine,)), Outcome.BLOCKED, (RESET,))


@pytest.mark.parametrize(
    ("hours", "confirmed"), [(0.25, False), (0.5, True), (1.5, True), (24, True), (24 * 8, False)]
)
def test_slowness_must_be_seen_half_an_hour_apart(hours: float, confirmed: bool) -> None:  # noqa: FBT001 - a table
    now = after(
        earlier(Outcome.THROTTLED, Mechanism.THROTTLE_SLOW, hours=hours), experiment="throttle"
    )
    assert again(now, Outcome.THROTTLED, (Mechanism.THROTTLE_SLOW,)) is confirmed


@pytest.mark.parametrize(("hours", "counts"), [(0.25, False), (1, True), (2.5, False)])
def test_a_suspicion_counts_for_two_hours(hours: float, counts: bool) -> None:  # noqa: FBT001 - a table
    before = earlier(Outcome.INCONCLUSIVE, hours=hours, rule=SUSPECTED_ONCE)
    assert suspected_before(after(before, experiment="throttle")) is counts


def test_a_verdict_says_so_from_the_record_alone() -> None:
    plain = record()
    verdict = judge(plain)
    assert verdict.stage is Stage.SUSPECTED
