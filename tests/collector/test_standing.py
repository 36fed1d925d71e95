"""Whose votes count, and that one origin has one vote."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from collector import conduct
from collector.conduct import Conduct, DayVote, assess, days_due
from collector.standing import (
    DAY,
    INVITED,
    OPEN,
    OWN,
    YOUNG_SECONDS,
    KeyStanding,
    Standings,
    aggregate,
)
from collector.store import Execute, Operation, open_store

NOW = 100 * DAY
OLD = NOW - 60 * DAY
HERE = ("KZ", 9198)


def stranger(key: str, origin: str = "", **changes: object) -> KeyStanding:
    return KeyStanding(key, way=OPEN, origin=origin or key, enrolled_at=OLD)._replace(**changes)  # type: ignore[arg-type]


def invited(key: str, branch: str = "", origin: str = "", at: float = OLD) -> KeyStanding:
    return KeyStanding(key, way=INVITED, branch=branch or f"b-{key}", origin=origin, enrolled_at=at)


def heard(
    *keys: KeyStanding, places: Iterable[tuple[str, str, int, str]] = (), asn: int = HERE[1]
) -> list[str]:
    standings = Standings(keys, places, now=NOW)
    return list(standings.speakers([one.key_id for one in keys], ("KZ", asn)))


def test_an_invited_key_is_trusted_and_a_stranger_is_not() -> None:
    assert heard(invited("a"), stranger("s"), KeyStanding("o", way=OWN)) == ["o", "a"]


def test_an_unknown_key_has_no_vote() -> None:
    """It was erased, and its heartbeats may still be in the memory of another collector."""
    assert not Standings([], now=NOW).is_trusted("gone")
    assert Standings(lab=True).is_trusted("gone")


def test_a_stranger_earns_trust_by_days_of_agreement() -> None:
    assert not stranger("s", agreed_days=6, compared=60, agreed=60).is_trusted(NOW)
    assert stranger("s", agreed_days=7, compared=60, agreed=60).is_trusted(NOW)
    # Days without comparison count half.
    assert not stranger("s", agreed_days=6, free_days=1, compared=60, agreed=60).is_trusted(NOW)
    assert stranger("s", free_days=14).is_trusted(NOW)
    # Days that the collector's clock has not seen pass do not count.
    quick = stranger("s", agreed_days=9, compared=60, agreed=60, enrolled_at=NOW - 6 * DAY)
    assert not quick.is_trusted(NOW)
    # Who often contradicts is not trusted, whatever the number of good days.
    assert not stranger("s", agreed_days=20, compared=100, agreed=80).is_trusted(NOW)


def test_a_stranger_says_nothing_alone_also_when_it_has_earned_trust() -> None:
    first, second = stranger("s", free_days=14), stranger("t", free_days=14)
    assert heard(first) == []
    assert heard(first, second) == ["s", "t"]
    assert heard(first, second._replace(origin=first.origin)) == []
    assert heard(first, invited("a")) == ["a", "s"]


def test_one_origin_has_one_vote_that_of_its_oldest_key() -> None:
    young = NOW - DAY
    assert heard(invited("b", origin="p"), invited("a", origin="p", at=young)) == ["b"]
    many = [invited(f"k{n}", origin="p") for n in range(100)]
    assert len(heard(*many)) == 1
    assert len(heard(*(invited(f"k{n}", origin=f"p{n}") for n in range(100)))) == 100


def test_keys_of_one_measuring_network_are_one_origin_there_only() -> None:
    keys = [invited("a", origin="x"), invited("b", origin="y")]
    places = [("a", "KZ", 9198, "p"), ("b", "KZ", 9198, "p")]
    assert heard(*keys, places=places) == ["a"]
    assert heard(*keys, places=places, asn=29355) == ["a", "b"]
    # For the country as a whole all of its networks count.
    assert heard(*keys, places=places, asn=0) == ["a"]


def test_invited_keys_may_have_met_where_they_enrolled_and_strangers_may_not() -> None:
    places = [(key, "KZ", 9198, f"home-{key}") for key in "abst"]
    friends = invited("a", origin="cafe"), invited("b", origin="cafe")
    assert heard(*friends, places=places) == ["a", "b"]
    assert heard(*friends) == ["a"]
    earned = [stranger(key, "cafe", free_days=14) for key in "st"]
    assert heard(friends[0], *earned, places=places) == ["a", "s"]


def test_a_leaked_invite_has_one_vote_for_a_week() -> None:
    young, old = NOW - YOUNG_SECONDS + 1, NOW - YOUNG_SECONDS - 1
    leaked = [invited(f"k{n}", "leaked", origin=f"p{n}", at=young) for n in range(20)]
    assert len(heard(*leaked)) == 1
    aged = [one._replace(enrolled_at=old) for one in leaked]
    assert len(heard(*aged)) == 20


def test_strangers_of_unknown_origin_share_one() -> None:
    keys = [
        stranger(f"s{n}", agreed_days=9, compared=9, agreed=9)._replace(origin="") for n in range(9)
    ]
    assert heard(*keys) == []
    assert heard(*keys, invited("a")) == ["a", "s0"]


KEYS = st.builds(
    invited,
    key=st.sampled_from("abcdefgh"),
    branch=st.sampled_from(["b1", "b2", "b3"]),
    origin=st.sampled_from(["p1", "p2", "p3"]),
    at=st.sampled_from([OLD, NOW - DAY, NOW - 2 * DAY]),
)


@given(st.lists(KEYS, unique_by=lambda one: one.key_id))
def test_speakers_never_share_an_origin_and_do_not_depend_on_the_order(
    keys: list[KeyStanding],
) -> None:
    found = heard(*keys)
    by_id = {one.key_id: one for one in keys}
    origins = [by_id[key].origin for key in found]
    assert len(set(origins)) == len(origins)
    assert found == heard(*reversed(keys))


@given(st.lists(KEYS, unique_by=lambda one: one.key_id))
def test_a_younger_key_never_silences_an_older_one(keys: list[KeyStanding]) -> None:
    late = [one for one in keys if one.enrolled_at == NOW - DAY]
    early = [one for one in keys if one.enrolled_at != NOW - DAY]
    assert [key for key in heard(*early, *late) if key in {o.key_id for o in early}] == heard(
        *early
    )


# --- conduct ------------------------------------------------------------------------------------


def day(*votes: tuple[str, str, str]) -> list[DayVote]:
    return [DayVote(key, target, *HERE, outcome) for key, target, outcome in votes]


def test_conduct_compares_with_the_other_trusted_keys() -> None:
    standings = Standings([invited("a"), invited("b"), stranger("s"), stranger("l")], now=NOW)
    found = assess(
        day(
            ("a", "x", "blocked"),
            ("b", "x", "blocked"),
            ("s", "x", "blocked"),
            ("l", "x", "ok"),
            ("a", "y", "ok"),
            ("s", "y", "refused"),
            ("l", "y", "blocked"),
            ("s", "only", "ok"),
            ("l", "z", "inconclusive"),
        ),
        standings,
    )
    assert found["s"] == Conduct(voted=3, compared=2, agreed=2)
    assert found["l"] == Conduct(voted=2, compared=2, agreed=0)
    # Nobody but strangers measured y besides it.
    assert found["a"] == Conduct(voted=2, compared=1, agreed=1)


def test_a_tie_among_the_trusted_is_no_comparison() -> None:
    standings = Standings([invited("a"), invited("b"), stranger("s")], now=NOW)
    found = assess(day(("a", "x", "ok"), ("b", "x", "blocked"), ("s", "x", "ok")), standings)
    assert found["s"] == Conduct(voted=1, compared=0, agreed=0)


def test_days_are_good_free_or_bad() -> None:
    rows = [("s", 10, 10, 9), ("s", 10, 10, 8), ("s", 3, 0, 0), ("s", 0, 0, 0)]
    assert aggregate(rows) == {"s": (1, 1, 20, 17)}


def test_missed_days_are_assessed_and_yesterday_again() -> None:
    assert list(days_due(98, NOW)) == [97, 98, 99, 100]
    assert list(days_due(100, NOW)) == [99, 100]
    assert len(days_due(None, NOW)) == 31
    assert next(iter(days_due(1, NOW))) == 70


def test_a_day_is_assessed_alike_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standings = Standings([invited("a"), invited("b"), stranger("s")], now=NOW)
    rows = [
        vote_row(key, f"t{n}", "blocked" if key == "s" and n % 3 == 0 else "ok")
        for n in range(10)
        for key in "abs"
    ]

    async def scenario() -> None:
        store = await open_store(f"sqlite:///{tmp_path}/store.sqlite3")
        try:
            await store.write(put_votes(rows))
            whole = await conduct.assess_day(store, 50, standings)
            assert whole["s"] == Conduct(voted=10, compared=10, agreed=6)
            monkeypatch.setattr(conduct, "VOTES_AT_ONCE", 7)
            parts = await store.read(conduct.parts_of(50))
            assert parts == [("t0", "t1"), ("t2", "t3"), ("t4", "t5"), ("t6", "t7"), ("t8", "t9")]
            assert await conduct.assess_day(store, 50, standings) == whole
        finally:
            await store.close()

    asyncio.run(scenario())


def vote_row(key: str, target: str, outcome: str) -> dict[str, object]:
    fixed = {"country": HERE[0], "asn": HERE[1], "experiment": "web", "stage": "suspected"}
    fixed |= {"mechanisms": "", "authority": "", "confidence": 0.9}
    when = {"hour": 50 * 24 + 3, "at": 50 * DAY + 3 * 3600, "id": f"{key}{target}"}
    return {"key_id": key, "target": target, "outcome": outcome, **fixed, **when}


def put_votes(rows: list[dict[str, object]]) -> Operation[None]:
    yield Execute("vote_put", rows)
