"""Events keep their id; what changes about them is a revision with a reason."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from hypothesis import given

from collector.events.engine import replay
from collector.events.model import Bracket, EventState, Look
from collector.events.reconcile import GONE, StoredEvent, reconcile
from collector.events.timeline import Rules
from collector.events.waves import with_waves
from collector.standing import EVERYBODY
from tests.collector.events.test_engine import some_looks
from tests.collector.events.test_timeline import HOUR, looks

RULES = Rules(2, EVERYBODY)


class Archive:
    """Stored events, brought up to date with looks."""

    def __init__(self) -> None:
        self.events: dict[str, StoredEvent] = {}
        self._ids = count(1)
        self._now = count(1000)

    def update(self, told: Iterable[Look], *, since: float = 0.0) -> list[StoredEvent]:
        """Compare with these looks; return what changed."""
        changed = reconcile(
            self.events.values(),
            replay(told, RULES),
            now=float(next(self._now)),
            since=lambda _: since,
            new_id=lambda: f"e{next(self._ids)}",
        )
        self.events.update((one.id, one) for one in changed)
        return changed

    @property
    def only(self) -> StoredEvent:
        (event,) = self.events.values()
        return event


def test_an_event_keeps_its_id_from_suspicion_to_end() -> None:
    archive = Archive()
    archive.update(looks("abAB"))
    first = archive.only
    assert (first.event.state, first.published_at) == (EventState.SUSPECTED, None)
    archive.update(looks("abABAB"))
    assert archive.only.event.state is EventState.CONFIRMED
    assert archive.only.published_at == 1001.0
    archive.update(looks("abABABabab"))
    ended = archive.only
    assert (ended.id, ended.event.state) == (first.id, EventState.ENDED)
    assert [one.what for one in ended.history] == [
        "opened as suspected",
        "suspected → confirmed",
        "confirmed → ended",
    ]
    assert archive.update(looks("abABABabab")) == []


def test_a_late_record_moves_the_beginning_with_a_revision() -> None:
    archive = Archive()
    archive.update(looks("a.....ABAB"))
    assert archive.only.event.began == Bracket(0.0, 6 * HOUR)
    archive.update(looks("a..a.AABAB"))
    assert archive.only.event.began == Bracket(3 * HOUR, 5 * HOUR)
    assert archive.only.history[-1].what == "measurements that came later moved the beginning"


def test_an_event_that_the_looks_no_longer_show_is_withdrawn_and_kept() -> None:
    archive = Archive()
    archive.update(looks("abABAB"))
    archive.update(looks("ab"))
    assert archive.only.event.state is EventState.WITHDRAWN
    assert archive.only.event.reason == GONE
    assert archive.update(looks("ab")) == []


def test_what_is_older_than_the_kept_looks_is_not_taken_back() -> None:
    archive = Archive()
    archive.update(looks("abABABabab"))
    before = archive.only
    assert archive.update([], since=8 * HOUR) == []
    assert archive.only == before


def test_the_beginning_outlives_the_looks_that_showed_it() -> None:
    archive = Archive()
    plan = looks("abABABABABAB")
    archive.update(plan)
    began = archive.only.event.began
    archive.update([one for one in plan if one.at > 5 * HOUR], since=5 * HOUR)
    assert archive.only.event.began == began
    assert archive.only.event.state is EventState.CONFIRMED
    assert len(archive.events) == 1


def test_two_events_of_one_target_are_told_apart() -> None:
    archive = Archive()
    archive.update(looks("abABAB"))
    archive.update(looks("abABABabababABAB"))
    first, second = sorted(archive.events.values(), key=lambda one: one.span)
    assert (first.id, first.event.state) == ("e1", EventState.ENDED)
    assert (second.id, second.event.state) == ("e2", EventState.CONFIRMED)


@given(some_looks)
def test_growing_histories_end_with_the_events_of_the_whole(every: list[Look]) -> None:
    archive = Archive()
    arriving = sorted(every)
    for size in range(0, len(arriving) + 1, 7):
        archive.update(arriving[:size])
    archive.update(arriving)
    standing = [one.event for one in archive.events.values() if one.event.reason != GONE]
    assert sorted(map(str, standing)) == sorted(map(str, replay(arriving, RULES)))


def stored(id_: str, target: str, asn: int, began: float, wave: str = "") -> StoredEvent:
    (event,) = replay(looks("abABAB"), RULES)
    moved = replace(event, target=target, asn=asn, began=Bracket(began - 1, began))
    return StoredEvent(id_, moved, opened_at=began, wave=wave)


def waves(*events: StoredEvent) -> dict[str, str]:
    ids = count(1)
    found = {one.id: one.wave for one in events}
    changed = with_waves(events, lambda: f"w{next(ids)}", set(found))
    found.update((one.id, one.wave) for one in changed)
    return found


def test_one_target_on_several_networks_is_a_wave() -> None:
    day = 24 * HOUR
    found = waves(
        stored("a", "x", 1, 0.0),
        stored("b", "x", 2, 5 * HOUR),
        stored("late", "x", 3, 4 * day),
        stored("other", "y", 1, 0.0),
    )
    assert found == {"a": "w1", "b": "w1", "late": "", "other": ""}


def test_many_targets_of_one_network_are_a_wave_and_two_are_not() -> None:
    assert set(waves(*(stored(name, name, 1, 0.0) for name in "ab")).values()) == {""}
    assert set(waves(*(stored(name, name, 1, 0.0) for name in "abc")).values()) == {"w1"}


def test_a_wave_keeps_its_id_when_it_grows() -> None:
    found = waves(
        stored("a", "x", 1, 0.0, wave="old"),
        stored("b", "x", 2, HOUR, wave="old"),
        stored("c", "x", 3, 2 * HOUR),
    )
    assert set(found.values()) == {"old"}


def test_a_wave_lasts_a_day_however_many_events_lie_between() -> None:
    """A probe that strays a little more often than daily must not join all that ever happens."""
    day = 24 * HOUR
    stray = [stored(f"s{n:02}", "x", n % 3, n * 0.9 * day) for n in range(20)]
    true = [stored("t1", "x", 9, 0.0), stored("t2", "x", 9, 17 * day)]
    found = waves(*stray, *true)
    assert found["t1"]
    assert found["t2"]
    assert found["t1"] != found["t2"]
    began = {one.id: one.event.began.by for one in (*stray, *true)}
    for wave in set(found.values()) - {""}:
        times = [began[id_] for id_, of in found.items() if of == wave]
        assert max(times) - min(times) <= day


def test_suspicions_are_in_no_wave() -> None:
    (suspicion,) = replay(looks("abAA"), RULES)
    lies = [
        StoredEvent(f"s{n}", replace(suspicion, target="x", asn=n), opened_at=0.0) for n in range(5)
    ]
    assert set(waves(*lies).values()) == {""}


def test_a_wave_that_is_told_stays_as_it_is_when_nothing_joins_it() -> None:
    day = 24 * HOUR
    told = [stored(f"a{n}", "x", n, n * 0.4 * day, wave="one") for n in range(3)]
    later = [stored(f"b{n}", "x", n, (1.2 + n * 0.4) * day, wave="two") for n in range(3)]
    assert waves(*told, *later)["a2"] == "one"
    assert waves(*told, *later)["b0"] == "two"
