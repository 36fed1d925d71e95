import unicodedata

import pytest
from hypothesis import given, strategies as st

from probe.escape import cell, plain


@given(st.text())
def test_nothing_that_steers_a_terminal_survives(text: str) -> None:
    shown = plain(text, 50)
    assert all(
        unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for char in shown
    )


def test_what_people_write_survives() -> None:
    assert plain("Қазақстан — новости «сегодня» 新闻") == "Қазақстан — новости «сегодня» 新闻"
    assert plain("\x1b[2J\u202e\x9b") == "\\u001b[2J\\u202e\\u009b"
    assert plain("a" * 400) == "a" * 300 + "…"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_formula_is_quoted(text: str) -> None:
    assert cell(text) == "'" + text


def test_plain_text_is_not_quoted() -> None:
    assert cell("https://a.example/") == "https://a.example/"
