"""Services at a collector: a label of their own, and what a control saw of them."""

from msgspec.structs import replace

from collector.controls import SERVICE_STEPS_LIMIT, trim
from collector.target_labels import load
from probe.failure import Failure
from probe.model import Line, Role
from tests.build import HARMLESS, tls
from tests.probe.rules.service_looks import beside, dialled, named, seen


def test_a_service_is_shown_by_its_name_and_others_are_not() -> None:
    shown, _ = load(())
    assert shown.label("service:telegram") == "telegram"
    assert shown.label("service:somebody's") == "unlisted"
    assert "service:telegram" not in shown


def test_a_controls_look_at_a_service_is_kept_with_its_summaries() -> None:
    record = seen(named(), dialled(part="calls"), beside(tls(sni=HARMLESS)))
    kept = trim(record)
    assert {step.role for step in kept} == {Role.TARGET}
    assert len(kept) == len(record.steps) - 1
    assert len(trim(seen(*[dialled()] * 400))) == SERVICE_STEPS_LIMIT


def test_a_look_under_another_name_or_on_a_dead_line_says_nothing() -> None:
    record = seen(named())
    assert trim(replace(record, input="service:telegram")) == ()
    dead = seen(named(), dialled(failure=Failure.TIMEOUT))
    assert trim(replace(dead, line=Line(alive_before=False))) == ()
