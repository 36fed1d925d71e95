"""The file with the operator's token."""

from pathlib import Path

import pytest

from collector import operator_token
from collector.settings import SettingsError

TOKEN = "0123456789abcdef0123"


def test_a_token_fits_itself_only(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    known = operator_token.load(file)
    assert TOKEN.encode() not in known
    assert operator_token.fits(TOKEN, known)
    for other in ("", TOKEN[:-1], TOKEN + "x", "\udcff"):
        assert not operator_token.fits(other, known)


@pytest.mark.parametrize("text", [None, "", "short", f"{TOKEN} two", "ю" * 30])
def test_a_token_that_cannot_be_used_stops_the_start(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match="operator-token-file"):
        operator_token.load(file)
