"""Cursors that tell nothing of what is in them."""

import base64

from hypothesis import given, strategies as st

from collector.sealing import Seal

SEAL = Seal(b"secret")


@given(st.binary(max_size=200))
def test_what_is_closed_can_be_opened_with_the_same_secret_only(data: bytes) -> None:
    text = SEAL.close(data)
    assert text == SEAL.close(data)
    assert SEAL.open(text) == data
    assert Seal(b"other").open(text) is None


@given(st.text())
def test_other_texts_are_none(text: str) -> None:
    assert SEAL.open(text) is None


def test_a_changed_text_is_none() -> None:
    text = SEAL.close(b"1764514800123456")
    for place in range(len(text) - 1):
        changed = "A" if text[place] != "A" else "B"
        assert SEAL.open(text[:place] + changed + text[place + 1 :]) is None


def test_neighbours_do_not_look_alike() -> None:
    made = [base64.urlsafe_b64decode(SEAL.close(b"%d" % n) + "==")[:4] for n in range(1000, 2000)]
    assert len(set(made)) > 990
    assert sorted(made) != made
