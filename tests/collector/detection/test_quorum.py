"""Events are what a quorum says, whatever the order and the number of the records."""

from itertools import pairwise

from hypothesis import given, strategies as st

from collector.detection.quorum import Vote, active, detect, holds

HOUR, DAY = 3600.0, 86400.0


def vote(key: str, at: float, outcome: str = "blocked", experiment: str = "web") -> Vote:
    return Vote(key, "t", "KZ", 1, outcome, "suspected", at, f"{key}{at:.0f}", experiment)


def found(*votes: Vote, quorum: int = 2, now: float = 100 * DAY) -> list[tuple[str, float, object]]:
    ordered = sorted(votes, key=lambda one: one.at)
    events = detect(ordered, now=now, window=DAY, quorum=quorum)
    return [(event.kind, event.started_at, event.ended_at) for event in events]


def test_one_probe_is_no_quorum_however_often_it_says_it() -> None:
    assert found(*(vote("a", at) for at in range(100))) == []
    assert found(vote("a", 5.0), quorum=1) == [("blocking", 5.0, 5.0 + DAY)]


def test_an_event_begins_with_the_vote_that_makes_it_and_ends_with_the_one_that_undoes_it() -> None:
    votes = vote("a", 1.0), vote("b", HOUR), vote("a", 5 * HOUR, "ok")
    assert found(*votes) == [("blocking", HOUR, 5 * HOUR)]


def test_an_event_ends_when_nobody_says_it_any_more() -> None:
    assert found(vote("a", 0.0), vote("b", HOUR)) == [("blocking", HOUR, DAY)]
    assert found(vote("a", 0.0), vote("b", HOUR), now=2 * HOUR) == [("blocking", HOUR, None)]


def test_a_minority_is_outvoted_and_who_cannot_tell_has_no_vote() -> None:
    fine = [vote(key, 0.0, "ok") for key in "cd"]
    assert found(vote("a", 1.0), vote("b", 1.0), *fine) == []
    unsure = [vote(key, 0.0, "inconclusive") for key in "cdef"]
    assert found(vote("a", 1.0), vote("b", 1.0), *unsure) == [("blocking", 1.0, 1.0 + DAY)]


def test_each_kind_is_counted_by_itself() -> None:
    assert found(vote("a", 1.0), vote("b", 1.0, "intercepted")) == []
    forged = [vote(key, 1.0, "intercepted") for key in "ab"]
    assert found(*forged) == [("interception", 1.0, 1.0 + DAY)]


def test_a_probe_that_sees_two_things_counts_for_the_graver() -> None:
    both = [vote(k, 1.0, "ok") for k in "ab"] + [
        vote(k, 2.0, "throttled", "throttle") for k in "ab"
    ]
    assert found(*both) == [("throttling", 2.0, 2.0 + DAY)]


def test_a_tally_of_now_says_the_same() -> None:
    tally = {("t", "KZ", 1): {"blocked": 2, "ok": 1}, ("u", "KZ", 1): {"blocked": 2, "ok": 2}}
    assert active(tally, 2) == {("blocking", "KZ", 1): 1}


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.integers(0, 60),
            st.sampled_from(["blocked", "ok", "intercepted", "inconclusive"]),
        ),
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_events_of_one_kind_never_overlap_and_never_end_before_they_begin(
    said: list[tuple[str, int, str]], quorum: int
) -> None:
    votes = [vote(key, hour * HOUR, outcome) for key, hour, outcome in said]
    for kind in ("blocking", "interception"):
        spans = sorted(
            (begin, end if isinstance(end, float) else 1e12)
            for name, begin, end in found(*votes, quorum=quorum)
            if name == kind
        )
        assert all(begin < end for begin, end in spans)
        assert all(one[1] <= two[0] for one, two in pairwise(spans))


def test_more_than_half() -> None:
    assert holds(2, 3, 2)
    assert not holds(2, 4, 2)
    assert not holds(1, 1, 2)
    assert not holds(0, 0, 0)
