"""On and cut off, off, asleep: what is kept of a silence, and sent afterwards."""

from probe.heartbeat import uptime
from probe.heartbeat.clocks import Reading
from probe.heartbeat.uptime import EVERY, KEPT_SECONDS, UptimeHistory

HERE, THERE = "https://one.example", "https://two.example"
WEEK = 7 * 86_400.0


def at(seconds: float, *, boot: str = "a", slept: float = 0.0, wall: float = 1.8e9) -> Reading:
    """All clocks, so many seconds after the start of a boot."""
    return Reading(
        boot=boot,
        monotonic=seconds - slept,
        booted=seconds,
        wall=wall + seconds,
        reached=False,
    )


def disconnected(
    history: UptimeHistory, since: float, until: float, *, boot: str = "a", wall: float = 1.8e9
) -> UptimeHistory:
    moment = since
    while moment <= until:
        now = at(moment, boot=boot, wall=wall)
        history = uptime.with_interval(history, now, "nothing", country="KZ", asn=9198)
        moment += EVERY
    return history


def test_a_week_of_outage_is_one_interval_sent_by_age() -> None:
    history = uptime.with_delivery(UptimeHistory(), [HERE], at(0))
    history = disconnected(history, EVERY, WEEK)
    assert len(history.intervals) == 1
    (sent,) = uptime.unheard(history, HERE, at(WEEK + 60))
    assert (sent.since, sent.until) == (WEEK + 60 - EVERY, 60.0)
    assert (sent.reach, sent.country, sent.asn) == ("nothing", "KZ", 9198)


def test_a_clock_that_was_set_meanwhile_changes_nothing() -> None:
    history = disconnected(UptimeHistory(), 0, 3600)
    (sent,) = uptime.unheard(history, HERE, at(4000, wall=1.9e9))
    assert (sent.since, sent.until) == (4000.0, 400.0)


def test_delivered_intervals_are_not_sent_again() -> None:
    history = disconnected(UptimeHistory(), 0, 3600)
    history = uptime.with_delivery(history, [HERE], at(3900))
    assert uptime.unheard(history, HERE, at(4200)) == ()
    assert len(uptime.unheard(history, THERE, at(4200))) == 1


def test_sleep_and_being_off_are_left_out() -> None:
    history = disconnected(UptimeHistory(), 0, 1800)
    asleep = at(20_000, slept=18_000)
    history = uptime.with_interval(history, asleep, "nothing", country="KZ", asn=9198)
    later = 1.8e9 + 30_000
    history = disconnected(history, 60, 660, boot="b", wall=later)
    sent = uptime.unheard(history, HERE, at(900, boot="b", wall=later))
    # The first look after a sleep or a start says nothing: the line may still be coming up.
    assert [(one.since, one.until) for one in sent[1:]] == [(540, 240)]


def test_a_reachable_site_after_sleep_counts_at_once() -> None:
    history = disconnected(UptimeHistory(), 0, 1800)
    history = uptime.with_interval(
        history, at(20_000, slept=18_000), "home", country="KZ", asn=9198
    )
    assert [interval.reach for interval in history.intervals] == ["nothing", "home"]


def test_another_reach_is_another_interval() -> None:
    history = uptime.with_interval(UptimeHistory(), at(0), "nothing", country="KZ", asn=9198)
    history = uptime.with_interval(history, at(300), "home", country="KZ", asn=9198)
    assert [one.reach for one in uptime.unheard(history, HERE, at(600))] == ["nothing", "home"]


def test_delivered_and_expired_intervals_are_pruned() -> None:
    history = disconnected(UptimeHistory(), 0, 3600)
    history = uptime.with_delivery(history, [HERE], at(3900))
    assert uptime.pruned(history, [HERE, THERE], at(3900)).intervals == history.intervals
    assert uptime.pruned(history, [HERE], at(3900)).intervals == ()
    assert uptime.pruned(history, [THERE], at(KEPT_SECONDS + 3700)).intervals == ()


def test_a_long_history_is_sent_in_several_heartbeats() -> None:
    history = UptimeHistory()
    for number in range(300):
        reach: uptime.Reach = "home" if number % 2 else "nothing"
        history = uptime.with_interval(history, at(number * 300), reach, country=None, asn=None)
    now = at(300 * 300)
    first = uptime.unheard(history, HERE, now)
    history = uptime.with_delivery(history, [HERE], now)
    second = uptime.unheard(history, HERE, at(301 * 300))
    assert (len(first), len(second)) == (200, 100)
    assert second[0].since < first[-1].until + 300 + EVERY


def test_the_history_of_a_bad_year_stays_small() -> None:
    history = UptimeHistory()
    for number in range(2000):
        reach: uptime.Reach = "home" if number % 2 else "nothing"
        history = uptime.with_interval(history, at(number * 300), reach, country=None, asn=None)
    assert len(history.intervals) == uptime.MAX_INTERVALS


def test_sleep_since_the_last_heartbeat_is_reported() -> None:
    history = uptime.with_delivery(UptimeHistory(), [HERE], at(0))
    assert uptime.slept(history, at(5000, slept=4000)) == 4000
    assert uptime.slept(history, at(10, boot="b")) is None
    assert uptime.slept(UptimeHistory(), at(10)) is None
