"""Events in a store: the same as a replay of its looks, with one id each for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.history_store import StoredHistory, run, stored_history
from bench.history_world import World
from collector.detection.detected import DetectedEvent
from collector.detection.monitor import Detections
from collector.events import storage
from collector.events.engine import replay
from collector.events.keeper import HORIZON, EventKeeper
from collector.events.model import EventState, Look, TargetEvent
from collector.events.reconcile import StoredEvent
from collector.events.storage import DuePlace, PlaceLooks
from collector.events.timeline import Rules
from collector.settings import CollectorSettings
from collector.standing import EVERYBODY, Standings
from collector.store import Operation, StoreUnavailable, event_places, keys
from collector.store.event_places import at
from tests.collector.events.test_timeline import HOUR
from tests.collector.harness import select, settings

DAY = 24 * HOUR
START = 1_790_000_000.0 // DAY * DAY
PLACE = "https://a.example/", "KZ", 9198
Scenario = Callable[[StoredHistory], Awaitable[None]]


def lab(folder: Path) -> CollectorSettings:
    """Settings with which every key counts."""
    return replace(settings(folder, quorum=2), lab=True)


def play(folder: Path, scenario: Scenario) -> None:
    async def run_() -> None:
        async with stored_history(f"sqlite:///{folder}/s.sqlite3", lab(folder)) as history:
            history.now = START
            await scenario(history)

    asyncio.run(run_())


def look(hours: float, key: str, outcome: str = "blocked", **changes: object) -> Look:
    at = START + hours * HOUR
    made = Look(at, f"{key}-{hours}", key, "web", "https://a.example/", "KZ", 9198, outcome)
    return made._replace(**changes)  # type: ignore[arg-type]


def line(hours: float, key: str, mechanism: str = "") -> Look:
    outcome = "blocked" if mechanism else "ok"
    return look(hours, key, outcome, target="", experiment="connectivity", mechanisms=mechanism)


def block(begin: float, end: float, *, keys_: str = "ab", every: float = 6.0) -> list[Look]:
    """Looks of two keys: fine for a day, then blocked from `begin` to `end` hours, then fine."""
    found = []
    for n, key in enumerate(keys_):
        hours = begin - 24.0 + n
        while hours < end + 24.0:
            found.append(look(hours, key, "blocked" if begin <= hours < end else "ok"))
            hours += every
    return sorted(found)


def facts(event: TargetEvent) -> tuple[object, ...]:
    return (*event.place, event.state, event.began, event.ended, event.agree, event.evidence)


def told(events: Iterable[StoredEvent]) -> list[str]:
    return sorted(str(facts(one.event)) for one in events)


def test_a_stored_history_is_the_replay_of_its_looks(tmp_path: Path) -> None:
    """Portions, late records and restarts change nothing."""
    looks = sorted(World(seed=3, days=8, networks=2, targets=12).looks())
    stored = run(looks, tmp_path, lab(tmp_path))
    expected = replay(looks, Rules(2, EVERYBODY))
    assert told(stored) == sorted(str(facts(one)) for one in expected)
    assert any(one.event.state is EventState.ENDED for one in stored)


def test_an_event_keeps_its_id_and_its_beginning(tmp_path: Path) -> None:
    looks = block(48.0, 96.0)

    async def scenario(history: StoredHistory) -> None:
        seen: dict[str, list[EventState]] = {}
        for hours in range(24, 130, 6):
            portion = [one for one in looks if hours - 6 <= (one.at - START) / HOUR < hours]
            history.restart()
            await history.add(portion, now=START + hours * HOUR)
            for one in await history.events():
                seen.setdefault(one.id, []).append(one.event.state)
        ((id_, states),) = seen.items()
        assert list(dict.fromkeys(states)) == ["suspected", "confirmed", "ended"]
        found = await history.store.read(storage.event(id_))
        assert found is not None
        assert found.event.began.by == START + 48 * HOUR
        assert [one.what for one in found.history] == [
            "opened as suspected",
            "suspected → confirmed",
            "confirmed → ended",
        ]
        assert found.revision == 3
        assert found.published_at is not None
        assert found.category == "NEWS"

    play(tmp_path, scenario)


def test_a_late_record_moves_the_beginning(tmp_path: Path) -> None:
    looks = block(48.0, 200.0)
    late = [one for one in looks if one.key == "a" and one.at < START + 54 * HOUR]

    async def scenario(history: StoredHistory) -> None:
        await history.add([one for one in looks if one not in late], now=START + 100 * HOUR)
        (before,) = await history.events()
        await history.add(late, now=START + 101 * HOUR)
        (after,) = await history.events()
        assert before.id == after.id
        assert after.event.began.by < before.event.began.by
        found = await history.store.read(storage.event(after.id))
        assert found is not None
        assert found.history[-1].what == "measurements that came later moved the beginning"

    play(tmp_path, scenario)


def test_an_event_outlasts_the_looks_of_an_erased_key(tmp_path: Path) -> None:
    async def scenario(history: StoredHistory) -> None:
        await history.add(block(48.0, 200.0)[:24], now=START + 100 * HOUR)
        (before,) = await history.events()
        assert before.event.state is EventState.CONFIRMED
        await history.store.write(keys.erase("a", history.now))
        await history.add([look(101, "b")], now=START + 101 * HOUR)
        (kept,) = await history.events()
        assert (kept.id, kept.event.state) == (before.id, EventState.CONFIRMED)
        assert kept.event.began == before.event.began
        # It ends when others find the target fine.
        fine = [look(hours, key, "ok") for hours in (110, 116) for key in "bc"]
        await history.add(fine, now=START + 120 * HOUR)
        (over,) = await history.events()
        assert over.event.state is EventState.ENDED

    play(tmp_path, scenario)


def test_a_block_of_a_year_keeps_its_beginning_and_ends_when_it_does(tmp_path: Path) -> None:
    whole = 9 * HORIZON / HOUR

    async def scenario(history: StoredHistory) -> None:
        await history.add(block(48.0, 100.0)[:20], now=START + 100 * HOUR)
        (first,) = await history.events()
        for hours in (whole / 2, whole):
            seen = [look(hours + n, key) for n in (0, 6) for key in "ab"]
            await history.add(seen, now=START + (hours + 8) * HOUR)
        (kept,) = await history.events()
        assert (kept.id, kept.event.began) == (first.id, first.event.began)
        later = whole + HORIZON / HOUR + 100
        fine = [look(later + n, key, "ok") for n in (0, 6) for key in "ab"]
        await history.add(fine, now=START + (later + 8) * HOUR)
        (over,) = await history.events()
        assert (over.id, over.event.state) == (first.id, EventState.ENDED)
        assert over.event.ended is not None
        assert over.event.ended.by == START + later * HOUR

    play(tmp_path, scenario)


def silence(begin: float, end: float | None, asn: int = 9198) -> DetectedEvent:
    ended = None if end is None else START + end * HOUR
    return DetectedEvent(
        "shutdown", "", "KZ", asn, START + begin * HOUR, ended, 5, 5, (), ("silence", "spool")
    )


def states(events: Sequence[StoredEvent]) -> list[tuple[str, int, str, tuple[str, ...]]]:
    return [
        (one.event.kind, one.event.asn, str(one.event.state), one.event.sources) for one in events
    ]


def test_a_detected_shutdown_is_one_event_for_ever(tmp_path: Path) -> None:
    async def scenario(history: StoredHistory) -> None:
        for end in (None, 3.5):
            history.detected = (silence(1.0, end),)
            history.now = START + 2 * HOUR
            await history.refresh()
        (event,) = await history.events()
        assert states([event]) == [("shutdown", 9198, "ended", ("silence", "spool"))]
        assert event.published_at == START + 2 * HOUR
        # Detection looks back a week; what is stored stays.
        history.detected = ()
        history.now = START + 10 * DAY
        history.restart()
        await history.refresh()
        assert states(await history.events()) == states([event])

    play(tmp_path, scenario)


def test_a_detected_shutdown_that_could_not_be_stored_is_stored_by_the_next_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(history: StoredHistory) -> None:
        history.now = START + 2 * HOUR
        await history.refresh()
        history.detected = (silence(1.0, None),)
        with monkeypatch.context() as failing:
            failing.setattr(storage, "keep", _full)
            with pytest.raises(StoreUnavailable):
                await history.refresh()
        await history.refresh()
        assert states(await history.events()) == [
            ("shutdown", 9198, "confirmed", ("silence", "spool"))
        ]

    def _full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    play(tmp_path, scenario)


def test_a_detected_shutdown_that_is_refuted_is_withdrawn(tmp_path: Path) -> None:
    async def scenario(history: StoredHistory) -> None:
        history.now = START + 2 * HOUR
        for detected in ((silence(1.0, None),), ()):
            history.detected = detected
            await history.refresh()
        (event,) = await history.events()
        assert event.event.state is EventState.WITHDRAWN

    play(tmp_path, scenario)


def test_only_the_place_where_something_else_is_detected_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[int]] = []

    async def scenario(history: StoredHistory) -> None:
        history.now = START + 2 * HOUR
        history.detected = tuple(silence(1.0, None, asn) for asn in (9198, 29355))
        await history.refresh()
        made.clear()
        for end in (None, 3.5):
            history.detected = (silence(1.0, None, 9198), silence(1.0, end, 29355))
            await history.refresh()

    read_places = storage.read_places

    def counted(due: Sequence[DuePlace], since: float) -> Operation[list[PlaceLooks]]:
        made.append([one.where[2] for one in due])
        return read_places(due, since)

    monkeypatch.setattr(storage, "read_places", counted)
    play(tmp_path, scenario)
    assert made == [[29355]]


def test_a_silence_with_a_white_list_inside_is_the_white_list(tmp_path: Path) -> None:
    listed = [line(18 + n / 2, key, "access.whitelist") for n in range(5) for key in "abc"]
    fine = [line(hours, key) for hours in (10, 14, 23, 26) for key in "abc"]

    async def scenario(history: StoredHistory) -> None:
        for asn in (9198, 0):
            history.detected = (*history.detected, silence(18.0, 22.0, asn))
        await history.add([*fine, *listed], now=START + 30 * HOUR)
        found = states(await history.events())
        sources = ("looks", "silence", "spool")
        assert sorted(found) == [
            ("whitelist", 0, "ended", sources),
            ("whitelist", 9198, "ended", sources),
        ]

    play(tmp_path, scenario)


def test_blocks_of_one_site_on_several_networks_are_a_wave(tmp_path: Path) -> None:
    async def scenario(history: StoredHistory) -> None:
        here = block(48.0, 100.0)
        there = [one._replace(asn=29355, id=f"x{one.id}", key=f"x{one.key}") for one in here]
        await history.add(here, now=START + 130 * HOUR)
        assert [one.wave for one in await history.events()] == [""]
        await history.add(there, now=START + 131 * HOUR)
        first, second = await history.events()
        assert first.wave
        assert first.wave == second.wave

    play(tmp_path, scenario)


def test_looks_where_nothing_ever_was_are_not_noted(tmp_path: Path) -> None:
    async def scenario(history: StoredHistory) -> None:
        await history.add([look(n, "a", "ok") for n in range(5)], now=START + 6 * HOUR)
        assert await history.store.read(storage.places_due(("", "", -1), 10)) == []
        assert await history.events() == []

    play(tmp_path, scenario)


def test_a_place_that_cannot_be_made_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = "https://a.example/", "https://b.example/"

    def fail(looks: Iterable[Look], rules: Rules) -> list[TargetEvent]:
        found = list(looks)
        if found and found[0].target == bad:
            raise ValueError("this place is odd")
        return replay(found, rules)

    async def scenario(history: StoredHistory) -> None:
        monkeypatch.setattr("collector.events.keeper.replay", fail)
        there = [look(n, key, target=good) for n in range(4) for key in "ab"]
        await history.add([*block(30.0, 60.0), *there], now=START + 90 * HOUR)
        assert {one.event.target for one in await history.events()} == {good}
        # It is tried again, and made as soon as it can be.
        monkeypatch.setattr("collector.events.keeper.replay", replay)
        await history.refresh()
        assert {one.event.target for one in await history.events()} == {bad, good}

    play(tmp_path, scenario)


def test_looks_that_never_stop_coming_do_not_keep_the_last_place_from_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.events.keeper.PLACES", 1)
    first, last = "https://a.example/", "https://b.example/"

    async def scenario(history: StoredHistory) -> None:
        made = history.store.write
        passes = 0

        async def write(operation: Operation[object], *, alone: bool = False) -> object:
            nonlocal passes
            passes += 1
            assert passes < 50, "the pass does not end"
            done = await made(operation, alone=alone)
            # Somebody uploads again before the next place is taken.
            await made(event_places.note_looks([(first, "KZ", 9198)], []))
            return done

        monkeypatch.setattr(history.store, "write", write)
        there = [look(n, key, target=last) for n in range(4) for key in "ab"]
        await history.add([*block(30.0, 60.0), *there], now=START + 90 * HOUR)
        assert {one.event.target for one in await history.events()} == {first, last}

    play(tmp_path, scenario)


def test_a_reader_is_not_held_by_a_long_pass_nor_refused_by_a_failing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.events.keeper.READER_SECONDS", 0.01)

    async def scenario(history: StoredHistory) -> None:
        goes_on = asyncio.Event()

        async def wait_and_fail() -> Detections:
            await goes_on.wait()
            raise RuntimeError("detection is broken")

        keeper = EventKeeper(
            lab(tmp_path), history.store, wait_and_fail, category=str, clock=lambda: START
        )
        keeper.touch()
        await keeper.refresh()  # returns although the pass waits
        goes_on.set()
        await keeper.refresh()
        with pytest.raises(RuntimeError):
            await keeper.keep()
        await keeper.close()

    play(tmp_path, scenario)


def test_a_pass_that_lost_its_lease_stores_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(history: StoredHistory) -> None:
        monkeypatch.setattr(history.store, "shared", True)
        await history.add(block(30.0, 60.0)[:4], now=START + 24 * HOUR)
        taken = keys.take_lease("events", "another", now=START + 1000 * HOUR, seconds=60.0)
        make = EventKeeper._make_together

        async def lose(keeper: EventKeeper, *args: Any) -> None:
            assert await history.store.write(taken)
            await make(keeper, *args)

        monkeypatch.setattr(EventKeeper, "_make_together", lose)
        await history.add(block(30.0, 60.0)[4:], now=START + 90 * HOUR)
        assert await history.events() == []

    play(tmp_path, scenario)


def test_where_only_strangers_saw_interference_nothing_is_kept_until_they_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One upload of a stranger must not have a place made again with each look of others."""
    trusted: set[str] = {"f"}
    monkeypatch.setattr(Standings, "is_trusted", lambda _, key: key in trusted)
    monkeypatch.setattr(Standings, "trusted", property(lambda _: frozenset(trusted)))

    async def scenario(history: StoredHistory) -> None:
        await history.add(block(30.0, 60.0), now=START + 90 * HOUR)
        await history.add([look(70, "f", "ok")], now=START + 91 * HOUR)
        assert await history.store.read(select("place_state", **at(PLACE))) == []
        for restart in (True, False):
            trusted.symmetric_difference_update("ab")
            if restart:
                history.restart()
            await history.refresh()
            states = {one.event.state for one in await history.events()}
            assert states == {EventState.ENDED if restart else EventState.WITHDRAWN}
        monkeypatch.setattr("collector.events.keeper.replay", None)
        await history.add([look(80, "a")], now=START + 92 * HOUR)  # of a stranger again
        assert await history.store.read(storage.places_due(("", "", -1), 10)) == []

    play(tmp_path, scenario)


def test_looks_from_an_unknown_country_are_not_noted(tmp_path: Path) -> None:
    async def scenario(history: StoredHistory) -> None:
        there = [one._replace(country="ZZ", asn=0) for one in block(30.0, 60.0)]
        await history.store.write(event_places.note_looks([("x", "ZZ", 0)], [("x", "ZZ", 0)]))
        assert await history.store.read(storage.places_due(("", "", -1), 10)) == []
        await history.add(there, now=START + 90 * HOUR)
        assert await history.events() == []

    play(tmp_path, scenario)
