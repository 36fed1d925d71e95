"""Services: their labels, and observations of them by controls."""

from msgspec.structs import replace

from collector.controls import SERVICE_STEPS_LIMIT, trim
from collector.target_labels import load
from probe.failure import Failure
from probe.model import Line, Role
from tests.build import HARMLESS, tls
from tests.probe.rules.service_records import beside, dialled, named, seen


def test_known_services_have_labels() -> None:
    labels, _ = load(())
    assert labels.label("service:telegram") == "telegram"
    assert labels.label("service:unknown") == "unlisted"
    assert "service:telegram" not in labels


def test_an_observation_of_a_service_has_its_summary_steps() -> None:
    record = seen(named(), dialled(part="calls"), beside(tls(sni=HARMLESS)))
    kept = trim(record)
    assert {step.role for step in kept} == {Role.TARGET}
    assert len(kept) == len(record.steps) - 1
    assert len(trim(seen(*[dialled()] * 400))) == SERVICE_STEPS_LIMIT


def test_a_wrong_input_or_a_dead_line_makes_no_observation() -> None:
    record = seen(named())
    assert trim(replace(record, input="service:telegram")) == ()
    dead = seen(named(), dialled(failure=Failure.TIMEOUT))
    assert trim(replace(dead, line=Line(alive_before=False))) == ()
