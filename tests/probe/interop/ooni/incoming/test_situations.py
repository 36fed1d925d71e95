"""Each situation, as OONI's probe records it, gets the verdict of an honest judge."""

import pytest

from probe import codec
from probe.certificates.roots import Roots
from probe.interop.ooni.incoming.to_record import to_record
from probe.judge import judge
from tests.probe.interop.ooni.incoming.situations import SITUATIONS, Situation

ROOTS = Roots.mozilla()
ACCUSING = {"blocked", "intercepted", "throttled"}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_a_situation_gets_its_verdict(situation: Situation) -> None:
    record = to_record(situation.make(), roots=ROOTS)
    verdict = judge(record)
    assert (verdict.outcome, verdict.rules[0].id) == (situation.outcome, verdict.rules[0].id)
    if situation.outcome == "blocked":
        assert set(situation.mechanisms) <= set(verdict.mechanisms)


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_a_record_is_one_that_a_collector_takes(situation: Situation) -> None:
    record = to_record(situation.make(), roots=ROOTS)
    assert codec.decode(codec.encode(record)) == record


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_without_the_control_nobody_is_accused(situation: Situation) -> None:
    made = situation.make()
    made["test_keys"]["control"] = None
    made["test_keys"]["control_failure"] = "generic_timeout_error"
    verdict = judge(to_record(made, roots=ROOTS))
    assert verdict.outcome not in ACCUSING
