"""Cursors that tell nothing of the number in them."""

from hypothesis import given, strategies as st

from collector.sealing import LENGTH, Seal

SEAL = Seal(b"secret")


@given(st.integers(0, 2**63 - 1))
def test_what_is_closed_can_be_opened_with_the_same_secret_only(number: int) -> None:
    text = SEAL.close(number)
    assert len(text) == LENGTH
    assert SEAL.open(text) == number
    assert Seal(b"other").open(text) is None


@given(st.text())
def test_other_texts_are_none(text: str) -> None:
    assert SEAL.open(text) is None


def test_neighbours_do_not_look_alike() -> None:
    made = [SEAL.close(number) for number in range(1000)]
    assert len({one[:6] for one in made}) > 990
    assert sorted(made) != made
