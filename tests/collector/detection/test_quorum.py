"""Events by a quorum of votes."""

from itertools import pairwise

from hypothesis import given, strategies as st

from collector.detection.quorum import Vote, active, detect, holds
from collector.metrics.counting import StoredRows, by_outcome, snapshot_of
from collector.standing import EVERYBODY, INVITED, OPEN, KeyStanding, Standings

HOUR, DAY = 3600.0, 86400.0


def vote(key: str, at: float, outcome: str = "blocked", experiment: str = "web") -> Vote:
    return Vote(key, "t", "KZ", 1, outcome, "suspected", at, f"{key}{at:.0f}", experiment)


def found(*votes: Vote, quorum: int = 2, now: float = 100 * DAY) -> list[tuple[str, float, object]]:
    ordered = sorted(votes, key=lambda one: one.at)
    events = detect(ordered, now=now, window=DAY, quorum=quorum, standings=EVERYBODY)
    return [(event.kind, event.started_at, event.ended_at) for event in events]


def test_repeated_votes_of_one_key_are_no_quorum() -> None:
    assert found(*(vote("a", at) for at in range(100))) == []
    assert found(vote("a", 5.0), quorum=1) == [("blocking", 5.0, 5.0 + DAY)]


def test_an_event_begins_and_ends_with_the_vote_that_completes_or_breaks_the_quorum() -> None:
    votes = vote("a", 1.0), vote("b", HOUR), vote("a", 5 * HOUR, "ok")
    assert found(*votes) == [("blocking", HOUR, 5 * HOUR)]


def test_an_event_ends_when_its_votes_expire() -> None:
    assert found(vote("a", 0.0), vote("b", HOUR)) == [("blocking", HOUR, DAY)]
    assert found(vote("a", 0.0), vote("b", HOUR), now=2 * HOUR) == [("blocking", HOUR, None)]


def test_a_minority_is_outvoted_and_inconclusive_votes_do_not_count() -> None:
    fine = [vote(key, 0.0, "ok") for key in "cd"]
    assert found(vote("a", 1.0), vote("b", 1.0), *fine) == []
    unsure = [vote(key, 0.0, "inconclusive") for key in "cdef"]
    assert found(vote("a", 1.0), vote("b", 1.0), *unsure) == [("blocking", 1.0, 1.0 + DAY)]


def test_each_kind_is_counted_by_itself() -> None:
    assert found(vote("a", 1.0), vote("b", 1.0, "intercepted")) == []
    forged = [vote(key, 1.0, "intercepted") for key in "ab"]
    assert found(*forged) == [("interception", 1.0, 1.0 + DAY)]


def test_the_most_severe_of_several_experiments_is_the_vote() -> None:
    both = [vote(k, 1.0, "ok") for k in "ab"] + [
        vote(k, 2.0, "throttled", "throttle") for k in "ab"
    ]
    assert found(*both) == [("throttling", 2.0, 2.0 + DAY)]


def test_active_events_of_a_tally() -> None:
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
    drawn: list[tuple[str, int, str]], quorum: int
) -> None:
    votes = [vote(key, hour * HOUR, outcome) for key, hour, outcome in drawn]
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


def test_votes_of_one_origin_and_of_strangers_make_no_quorum() -> None:
    invited = {"way": INVITED, "enrolled_at": 0.0}
    keys = [
        KeyStanding("a", origin="p", **invited),  # type: ignore[arg-type]
        KeyStanding("b", origin="p", **invited),  # type: ignore[arg-type]
        KeyStanding("c", origin="q", **invited),  # type: ignore[arg-type]
        KeyStanding("s", origin="r", way=OPEN),
    ]
    standings = Standings(keys, now=100 * DAY)

    def kinds(*names: str, outcome: str = "blocked") -> list[str]:
        votes = [vote(name, float(n), outcome) for n, name in enumerate(names)]
        found = detect(votes, now=HOUR, window=DAY, quorum=2, standings=standings)
        return [event.kind for event in found]

    assert kinds("a", "b") == []
    assert kinds("a", "s") == []
    assert kinds("a", "b", "c", "s") == ["blocking"]


def test_votes_of_an_unknown_country_make_no_event() -> None:
    votes = [vote(key, 1.0)._replace(country="ZZ", asn=0) for key in "abc"]
    assert detect(votes, now=HOUR, window=DAY, quorum=2, standings=EVERYBODY) == []
    assert active({("t", "ZZ", 0): {"blocked": 3}}, 2) == {}


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["blocked", "ok", "refused"])),
    st.integers(1, 4),
)
def test_metrics_and_events_say_the_same(outcomes: dict[str, str], quorum: int) -> None:
    keys = [
        KeyStanding(key, way=OPEN if key in "gh" else INVITED, origin="p" if key in "ab" else key)
        for key in "abcdefgh"
    ]
    standings = Standings(keys, now=100 * DAY)
    votes = [vote(key, 1.0, outcome) for key, outcome in sorted(outcomes.items())]
    events = detect(votes, now=HOUR, window=DAY, quorum=quorum, standings=standings)
    rows = [(v.key_id, "t", "KZ", 1, v.outcome, "", "", "", v.at) for v in votes]
    made = snapshot_of(StoredRows(rows, (), (), (), (), (), standings))
    counts = active(by_outcome(made.votes), quorum)
    assert len(events) == counts.get(("blocking", "KZ", 1), 0)
