"""When a target's event is suspected, confirmed, over or withdrawn; each rule on a few looks."""

from collections.abc import Iterable, Sequence

import pytest

from collector.events.engine import replay
from collector.events.model import Bracket, EventState, Look, TargetEvent
from collector.events.timeline import NOT_SEEN_AGAIN, SUSPICIONS, EventTimeline, Rules
from collector.standing import EVERYBODY, KeyStanding, Standings

HOUR = 3600.0
SITE = "https://site.example/"
QUORUM = Rules(2, EVERYBODY)


def looks(plan: str, *, outcome: str = "blocked", experiment: str = "web") -> list[Look]:
    """Looks an hour apart: a letter names the key, in capitals where it found interference."""
    return [
        Look(
            number * HOUR,
            f"r{number:02}",
            letter.lower(),
            experiment,
            SITE,
            "KZ",
            9198,
            outcome if letter.isupper() else "ok",
            "tls.timeout" if letter.isupper() else "",
        )
        for number, letter in enumerate(plan)
        if letter != "."
    ]


def told(plan: Iterable[Look] | str, rules: Rules = QUORUM) -> list[TargetEvent]:
    return replay(looks(plan) if isinstance(plan, str) else plan, rules)


def states(plan: str) -> list[tuple[EventState, int, int]]:
    return [(one.state, one.agree, one.able) for one in told(plan)]


def test_one_look_is_nothing_and_two_are_a_suspicion() -> None:
    assert told("abA") == []
    assert states("abAA") == [(EventState.SUSPECTED, 1, 1)]
    assert states("abAB") == [(EventState.SUSPECTED, 2, 2)]


def test_a_quorum_with_one_look_more_confirms() -> None:
    (event,) = told("abABA")
    assert (event.state, event.agree, event.able) == (EventState.CONFIRMED, 2, 2)
    assert event.began == Bracket(1 * HOUR, 2 * HOUR)
    assert event.confirmed_at == 4 * HOUR
    assert event.mechanisms == ("tls.timeout",)
    assert event.evidence == ("r02", "r03", "r04")
    assert event.confidence == 0.99


def test_a_minority_of_the_able_keys_confirms_nothing() -> None:
    assert states("abcdABcdABcd") == [(EventState.SUSPECTED, 2, 4)]


def test_a_suspicion_that_is_not_seen_again_is_withdrawn_with_its_reason() -> None:
    (event,) = told("abAAaa")
    assert event.state is EventState.WITHDRAWN
    assert event.reason == NOT_SEEN_AGAIN
    assert event.ended == Bracket(3 * HOUR, 4 * HOUR)
    # A single error is not even a suspicion.
    assert told("abAabab") == []


def test_it_ends_when_the_keys_that_saw_it_see_it_over() -> None:
    (event,) = told("abABABaba")
    assert event.state is EventState.ENDED
    assert event.ended == Bracket(5 * HOUR, 6 * HOUR)
    assert event.last_seen_at == 5 * HOUR


def test_one_key_that_is_fine_again_does_not_end_it() -> None:
    (event,) = told("abcABCABCaBCaBCaBC")
    assert event.state is EventState.CONFIRMED


def test_one_key_ends_it_when_no_other_speaks_and_it_looked_twice() -> None:
    assert states("abABABa") == [(EventState.CONFIRMED, 2, 2)]
    assert states("abABABaa")[0][0] is EventState.ENDED


def test_looks_that_could_not_tell_are_no_looks() -> None:
    plan = looks("abABAB")
    cut = [
        one._replace(outcome="inconclusive", mechanisms="access.offline", at=one.at + 6 * HOUR)
        for one in looks("ababab")
    ]
    after = [one._replace(at=one.at + 12 * HOUR, id="z" + one.id) for one in looks("ABAB")]
    (event,) = told([*plan, *cut, *after])
    assert event.state is EventState.CONFIRMED
    assert event.last_seen_at == 15 * HOUR


def test_a_second_event_begins_after_the_end_of_the_first() -> None:
    first, second = told("abABABabababABAB")
    assert (first.state, second.state) == (EventState.ENDED, EventState.CONFIRMED)
    assert second.began == Bracket(11 * HOUR, 12 * HOUR)


def test_a_key_that_always_strays_and_one_error_are_no_quorum() -> None:
    (event,) = told("AbcAbcAbcABcAbcAbc")
    assert event.state is EventState.SUSPECTED
    # Nor does the stray key move the beginning of a true event.
    (event,) = told("AbcAbcAbcABCABC")
    assert event.state is EventState.CONFIRMED
    assert event.began == Bracket(8 * HOUR, 10 * HOUR)


def test_a_stray_look_within_an_event_moves_no_bracket() -> None:
    (event,) = told("ababABABaBABABAB")
    assert event.state is EventState.CONFIRMED
    assert event.began == Bracket(3 * HOUR, 4 * HOUR)


def test_keys_of_one_origin_are_one_voice_and_strangers_none() -> None:
    keys = [KeyStanding(name, origin="home") for name in "ab"]
    assert told("abABAB", Rules(2, Standings(keys)))[0].state is EventState.SUSPECTED
    apart = [KeyStanding(name, origin=name) for name in "ab"]
    assert told("abABAB", Rules(2, Standings(apart)))[0].state is EventState.CONFIRMED
    strangers = [KeyStanding(name, way="open", origin=name) for name in "ab"]
    assert told("abABAB", Rules(2, Standings(strangers))) == []


def test_a_page_that_opens_says_nothing_about_its_speed() -> None:
    slow = looks("abABAB", outcome="throttled", experiment="throttle")
    pages = [one._replace(at=one.at + 1, id="p" + one.id) for one in looks("abababab")]
    (event,) = told([*slow, *pages])
    assert (event.kind, event.state) == ("throttling", EventState.CONFIRMED)


def test_a_key_is_bad_by_any_of_its_experiments() -> None:
    sni = looks("..ABAB", experiment="sni")
    pages = [one._replace(at=one.at + 1, id="p" + one.id) for one in looks("abababab")]
    (event,) = told([*sni, *pages])
    assert (event.kind, event.state) == ("blocking", EventState.CONFIRMED)


def test_a_change_of_mechanism_is_one_event() -> None:
    by_reset = [
        one._replace(at=one.at + 6 * HOUR, id="z" + one.id, mechanisms="tls.reset")
        for one in looks("ABAB")
    ]
    (event,) = told([*looks("abABAB"), *by_reset])
    assert event.mechanisms == ("tls.reset", "tls.timeout")


def test_a_whitelist_is_decided_by_the_looks_inside_it() -> None:
    def connectivity(plan: str, outcome: str, mechanisms: str, at: float) -> Sequence[Look]:
        return [
            Look(at + n * 60, f"{at}{n}", key, "connectivity", "", "KZ", 9198, outcome, mechanisms)
            for n, key in enumerate(plan)
        ]

    before = connectivity("abcde", "ok", "", 0.0)
    inside = connectivity("abab", "inconclusive", "access.whitelist", 3 * HOUR)
    (event,) = told([*before, *inside])
    assert (event.kind, event.target, event.state) == ("whitelist", "", EventState.CONFIRMED)
    after = connectivity("abab", "ok", "", 6 * HOUR)
    (event,) = told([*before, *inside, *after])
    assert event.state is EventState.ENDED


def liar_and_four_honest(keys: Iterable[tuple[str, str]]) -> list[Look]:
    """Four keys find it blocked from hour 72 on; liars, by key and experiment, from hour 19 on."""
    honest = [(key, "web", n, 72) for n, key in enumerate("abcd")]
    lied = [(key, experiment, 1.5, 19) for key, experiment in keys]
    return [
        Look(hours * HOUR, f"{key}{hours}{exp}", key, exp, SITE, "KZ", 9198, outcome)
        for key, exp, first, since in (*honest, *lied)
        for hours in (first + 6 * n for n in range(20))
        for outcome in ("blocked" if hours >= since else "ok",)
    ]


def origins(**of: str) -> Rules:
    """Invited keys, each measuring from an origin."""
    standings = [KeyStanding(key, way="invite", origin=origin) for key, origin in of.items()]
    return Rules(2, Standings(standings, [(k, "KZ", 9198, o) for k, o in of.items()], now=1e9))


def test_one_liar_moves_no_beginning_with_many_experiments() -> None:
    lies = [("m", name) for name in ("web", "dns", "tls", "http", "quic", "tcp", "path")]
    (event,) = told(liar_and_four_honest(lies), origins(a="1", b="2", c="3", d="4", m="5"))
    assert event.began.after is not None
    assert event.began.after <= 72 * HOUR <= event.began.by


def test_one_origin_moves_no_beginning_with_many_keys() -> None:
    lies = [(f"m{n}", "web") for n in range(20)]
    same = dict.fromkeys((key for key, _ in lies), "5")
    (event,) = told(liar_and_four_honest(lies), origins(a="1", b="2", c="3", d="4", **same))
    assert event.began.after is not None
    assert event.began.after <= 72 * HOUR <= event.began.by


def test_one_key_with_two_experiments_is_no_quorum_of_changes() -> None:
    """A key that always strays, and another that errs once by two experiments, saw no change."""
    strays = [one._replace(key="b") for one in looks("B" * 12)]
    errs = [*looks("aaaaaaA"), *looks("aaaaaaA", experiment="dns")]
    assert [one.state for one in told([*strays, *errs])] == [EventState.SUSPECTED]


def test_a_key_without_a_voucher_suspects_nothing_alone() -> None:
    class Earned(Standings):
        def is_trusted(self, key_id: str) -> bool:
            return bool(key_id)

    alone = Earned([KeyStanding("e", way="open", origin="1")], now=1e9)
    assert told(looks("eeEEEE").copy(), Rules(2, alone)) == []
    assert told(looks("eeEEEE"), QUORUM) != []


def test_looks_that_repeat_what_was_said_are_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that always strays must not make each look of forty others count all of them."""
    counted = 0
    original = EventTimeline._voices

    def count(self: EventTimeline, since: float) -> object:
        nonlocal counted
        counted += 1
        return original(self, since)

    monkeypatch.setattr(EventTimeline, "_voices", count)
    letters = "abcdefghij"
    (stray,) = told(letters + ("A" + letters[1:]) * 50)
    assert (stray.state, stray.able) == (EventState.SUSPECTED, 10)
    assert counted < 20
    counted = 0
    (block,) = told(letters + ("a" + letters[1:].upper()) * 50)
    assert (block.state, block.agree) == (EventState.CONFIRMED, 9)
    assert counted < 60


def test_a_key_that_changes_its_mind_each_hour_makes_no_endless_events() -> None:
    found = told("AAa" * 360)
    assert len(found) == SUSPICIONS
    assert {one.state for one in found} == {EventState.WITHDRAWN}
    # What others confirm is told all the same.
    (*_, block) = told("AAab" * 90 + "ABAB")
    assert block.state is EventState.CONFIRMED
