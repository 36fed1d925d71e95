import pytest

from probe import extras


def test_a_missing_extra_has_an_install_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert extras.missing("quic") is not None
    assert "pip install 'qazprobe[quic]'" in str(extras.missing("quic"))


def test_what_needs_nothing_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extras.missing(None) is None
    monkeypatch.setattr(extras, "find_spec", lambda name: object())
    assert extras.missing("raw") is None
