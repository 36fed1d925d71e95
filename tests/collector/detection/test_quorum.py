"""When independent probes agree."""

from hypothesis import given, strategies as st

from collector.detection.quorum import holds, kinds_held

HERE = ("t", "KZ", 1)


def test_more_than_half() -> None:
    assert holds(2, 3, 2)
    assert not holds(2, 4, 2)
    assert not holds(1, 1, 2)
    assert not holds(0, 0, 0)


def test_each_kind_is_counted_by_itself() -> None:
    assert kinds_held(HERE, {"blocked": 2, "ok": 1}, 2) == ["blocking"]
    assert kinds_held(HERE, {"blocked": 1, "intercepted": 1}, 2) == []
    assert kinds_held(HERE, {"blocked": 2, "ok": 2}, 2) == []
    assert kinds_held(HERE, {"blocked": 2, "inconclusive": 9}, 2) == ["blocking"]


def test_an_unknown_country_holds_nothing() -> None:
    assert kinds_held(("t", "ZZ", 0), {"blocked": 3}, 2) == []


@given(
    st.dictionaries(
        st.sampled_from(["blocked", "intercepted", "throttled", "ok"]), st.integers(0, 9)
    )
)
def test_at_most_one_kind_has_a_majority(votes: dict[str, int]) -> None:
    assert len(kinds_held(HERE, votes, 1)) <= 1
