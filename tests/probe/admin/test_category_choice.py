"""The questions about categories: careful defaults, a question for circumvention, changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from probe import categories, i18n
from probe.categories import CIRCUMVENTION, NAMES, RISKY, CategoryChoice
from probe.commands.consent import command
from probe.errors import UserError


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    i18n.use("en")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QAZPROBE_HOME", str(tmp_path))
    return tmp_path


def consent(answers: str, *words: str) -> Result:
    return CliRunner().invoke(command, ["--lang", "en", *words], input=answers)


def test_the_questions_follow_the_consent_and_are_recorded(home: Path) -> None:
    said = consent("y\nmaybe\nn\nlgbt, date\nNWS\nnews\n")
    assert said.exit_code == 0
    choice = categories.read(home)
    assert not choice.measures(CIRCUMVENTION, opted_in=True)
    assert choice.measures("LGBT")
    assert choice.measures("DATE")
    assert not choice.measures("PORN")
    assert not choice.measures("NEWS")
    assert "did you mean NEWS?" in said.output
    words = said.output.split()
    assert all(code in words for code in NAMES)


@pytest.mark.parametrize("answers", ["y\n", "y\nn\n", "y\ny\nlgbt\n"])
def test_an_input_that_ends_leaves_the_careful_defaults(home: Path, answers: str) -> None:
    assert consent(answers).exit_code == 0
    assert (home / "consent.json").exists()
    assert categories.read(home) == CategoryChoice()


def test_yes_for_scripts_keeps_the_defaults(home: Path) -> None:
    said = consent("", "--yes")
    assert said.exit_code == 0
    assert "circumvention tools" not in said.output.partition("[")[2]
    assert not any(categories.read(home).measures(code) for code in (*RISKY, CIRCUMVENTION))


def test_a_script_may_choose_and_a_choice_may_be_changed(home: Path) -> None:
    assert consent("", "--yes", "--categories", "+ANON").exit_code == 0
    assert categories.read(home).measures(CIRCUMVENTION)
    said = consent("", "--categories", "-NEWS")
    assert "NEWS (news)" in said.output
    assert not categories.read(home).measures("NEWS")
    assert categories.read(home).measures(CIRCUMVENTION)
    assert consent("n\n\n\n", "--categories", "ask").exit_code == 0
    assert categories.read(home).measures("NEWS")


def test_a_mistyped_category_changes_nothing(home: Path) -> None:
    consent("", "--yes")
    assert isinstance(consent("", "--categories", "-NWES").exception, UserError)
    assert categories.read(home) == CategoryChoice()
