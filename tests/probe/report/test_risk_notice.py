"""Risks are found by the settings, and each has its text in every language and its key."""

import typing

import pytest

from probe import reference_data, targets
from probe.admin import consent
from probe.config import Settings
from probe.experiments import load
from probe.report import risk_notice
from probe.report.risk_notice import Risk


def test_risks_are_those_of_the_experiments_and_lists() -> None:
    settings = Settings(experiments=("web", "tor"), targets=("vpn", "kz"))
    found = [(one.name, one.shown) for one in risk_notice.of_run(settings)]
    assert found == [("tor", "-e tor"), ("vpn", "--targets vpn")]
    assert risk_notice.of_run(Settings(experiments=("web", "telegram"))) == ()


def test_notices_name_existing_experiments_and_lists() -> None:
    for one in reference_data.risk_notices():
        assert set(one.experiments) <= set(load())
        assert set(one.lists) <= set(targets.list_names())


@pytest.mark.parametrize("code", consent.LANGUAGES)
def test_every_kind_has_its_text_in_every_language(code: str) -> None:
    kinds = {one.kind for one in constant_risks()}
    kinds |= {one.kind for one in reference_data.risk_notices()}
    kinds.add(risk_notice.publishing_to("https://api.example").kind)
    assert kinds == set(consent.text(code).risks)


def test_every_risk_can_be_accepted_in_the_configuration() -> None:
    hint = typing.get_type_hints(Settings)["accept_risk"]
    accepted = set(typing.get_args(typing.get_args(hint)[0]))
    named = {name for one in reference_data.risk_notices() for name in one.experiments + one.lists}
    assert accepted == named | {one.name for one in constant_risks()}


def constant_risks() -> list[Risk]:
    return [one for one in vars(risk_notice).values() if isinstance(one, Risk)]


def test_publishing_is_agreed_to_for_each_address_and_never_in_the_configuration() -> None:
    one, other = map(risk_notice.publishing_to, ("https://a.example", "https://b.example"))
    assert one.name != other.name
    hint = typing.get_type_hints(Settings)["accept_risk"]
    assert not any("publish" in name for name in typing.get_args(typing.get_args(hint)[0]))
