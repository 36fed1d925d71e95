"""The choice of categories: careful by default, kept, and changed by words."""

from pathlib import Path

import pytest

from probe import categories
from probe.categories import CIRCUMVENTION, NAMES, RISKY, CategoryChoice, LeftOut

EVERY = frozenset(NAMES)


def measured(choice: CategoryChoice, *, opted_in: bool = False) -> frozenset[str]:
    return frozenset(code for code in NAMES if choice.measures(code, opted_in=opted_in))


def test_risky_categories_are_off_until_they_are_chosen() -> None:
    assert measured(CategoryChoice()) == EVERY - {*RISKY, CIRCUMVENTION}
    assert set(RISKY) == {"PORN", "LGBT", "XED", "GMB", "MILX", "HATE", "DATE"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("+LGBT", "-NEWS"), EVERY - {*RISKY, CIRCUMVENTION, "NEWS"} | {"LGBT"}),
        (("news", "PORN"), {"NEWS", "PORN"}),
        (("all",), EVERY),
        (("+ANON",), EVERY - {*RISKY}),
        ((), EVERY - {*RISKY, CIRCUMVENTION}),
    ],
)
def test_words_change_the_choice(words: tuple[str, ...], expected: frozenset[str]) -> None:
    assert measured(CategoryChoice().changed(words)) == expected


def test_a_later_change_keeps_what_it_does_not_name() -> None:
    first = CategoryChoice().changed(("+ANON", "-NEWS"))
    second = first.changed(("+LGBT", "+NEWS"))
    assert measured(second) == EVERY - {*RISKY} | {"LGBT"}
    assert measured(CategoryChoice().changed(("all",)).changed(("-PORN",))) == EVERY - {"PORN"}


def test_naming_a_list_of_circumvention_is_a_choice_unless_it_was_declined() -> None:
    assert measured(CategoryChoice(), opted_in=True) == EVERY
    assert CIRCUMVENTION not in measured(CategoryChoice().changed(("-ANON",)), opted_in=True)


def test_the_choice_is_kept(tmp_path: Path) -> None:
    choice = CategoryChoice().changed(("+LGBT", "-ANON"))
    categories.record(tmp_path, choice)
    assert categories.read(tmp_path) == choice


@pytest.mark.parametrize("data", [b"", b"[]", b'{"on": 5}', b"[" * 100_000, b"\xff"])
def test_a_broken_file_is_the_careful_default(tmp_path: Path, data: bytes) -> None:
    (tmp_path / categories.FILE).write_bytes(data)
    assert categories.read(tmp_path) == CategoryChoice()


def test_what_was_left_out_is_counted() -> None:
    left_out = LeftOut()
    assert left_out.line is None
    for code in ("LGBT", "ANON", "ANON"):
        left_out.add(code)
    assert left_out.line is not None
    assert left_out.line.startswith("3 targets are left out by category (2 ANON, 1 LGBT)")
