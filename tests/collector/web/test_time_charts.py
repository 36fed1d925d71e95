"""Charts over time, and who was late: pure functions."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from collector.api.event_messages import BracketShown, EventShown, ProbesShown
from collector.api.http import instant_text
from collector.api.pages import event_looks, feed, order_clock
from collector.web import time_axis
from collector.web.time_axis import AxisLine, AxisSpan, TimeAxis
from probe import data_files
from probe.reference_data import Order, orders

HOUR = 3600.0
# The beginning of 2026-11-29 in Almaty (UTC+5).
DAY = 1_795_978_800.0 // 86_400 * 86_400 - 5 * HOUR


def event(after: float | None, by: float, **changes: Any) -> EventShown:
    at = instant_text(by)
    fields: dict[str, Any] = {
        "id": "0a",
        "kind": "blocking",
        "target": "a.example",
        "category": None,
        "country": "KZ",
        "asn": 9198,
        "network": None,
        "region": None,
        "mechanisms": (),
        "authority": None,
        "state": "confirmed",
        "began": BracketShown(None if after is None else instant_text(after), at),
        "ended": None,
        "last_seen_at": at,
        "silent_since": None,
        "confirmed_at": None,
        "published_at": None,
        "probes": ProbesShown(2, 2),
        "confidence": 0.9,
        "evidence": (),
        "sources": (),
        "group": None,
        "reason": None,
        "revision": 1,
    }
    return EventShown(**{**fields, **changes})


def keeping(order: Order, *events: EventShown) -> list[tuple[str, float]]:
    return [(one.keeping, one.late) for one in order_clock.clock(events, (order,)).rungs]


def at(hours: float) -> float:
    return DAY + hours * HOUR


ORDER = Order("KZ", "An authority", "1", instant_text(at(10)), ("a.example",))


def test_late_is_only_who_was_fine_after_the_deadline() -> None:
    events = (event(at(9), at(12)), event(at(12), at(14)), event(at(14), at(20)))
    assert keeping(ORDER, *events) == [("in_time", 0), ("unknown", 0), ("late", HOUR)]
    assert keeping(ORDER, event(None, at(40))) == [("unknown", 0)]


def test_of_an_order_of_a_day_only_the_last_deadline_makes_late() -> None:
    order = replace(ORDER, date="2026-11-29")
    clock = order_clock.clock([event(at(1), at(2))], (order,))
    (given,) = [one.given for one in clock.orders]
    assert given[1] - given[0] == 24 * HOUR
    begin = given[0]
    events = [
        event(begin, begin + 2 * HOUR),
        event(begin + 20 * HOUR, begin + 26 * HOUR),
        event(begin + 28 * HOUR, begin + 30 * HOUR),
    ]
    assert keeping(order, *events) == [("in_time", 0), ("unknown", 0), ("late", HOUR)]


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, names=("other.example",)),
        replace(ORDER, names=("xa.example",)),
        replace(ORDER, country="RU"),
        replace(ORDER, date=instant_text(at(30))),
        replace(ORDER, date=instant_text(at(-24 * 40))),
        replace(ORDER, date="soon"),
    ],
)
def test_an_order_of_something_else_makes_nobody_late(order: Order) -> None:
    assert keeping(order, event(at(14), at(20))) == [("", 0)]


def test_an_order_names_subdomains_too() -> None:
    assert keeping(ORDER, event(at(14), at(20), target="www.a.example")) == [("late", HOUR)]


def test_orders_are_read_from_the_file_of_their_country(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = data_files.text("orders_kz.csv")
    row = '"An authority, of sorts",7-1,2026-11-29T12:00:00+05:00,A.example b.example\n'
    (tmp_path / "orders_kz.csv").write_text(head + row)
    (tmp_path / "networks_kz.csv").write_text("asn\n1\n")
    monkeypatch.setattr(data_files, "root", lambda: tmp_path)
    (order,) = orders.__wrapped__()
    date, names = "2026-11-29T12:00:00+05:00", ("a.example", "b.example")
    assert order == Order("KZ", "An authority, of sorts", "7-1", date, names)


def test_no_order_is_invented() -> None:
    assert orders() == ()


def test_places_are_shares_of_the_width() -> None:
    axis = TimeAxis(0, 100)
    assert [axis.place(one) for one in (-5, 0, 25, 100, 200)] == [0, 0, 25, 100, 100]
    svg = time_axis.lane(axis, [AxisSpan(None, 50, "a"), AxisSpan(99.9, 99.9, "b")], '<"', ())
    assert 'x="0.00%"' in svg
    assert 'width="50.00%"' in svg
    assert 'x="99.50%"' in svg
    assert 'aria-label="&lt;&#34;"' in svg
    assert "deadline" in time_axis.bars(axis, [(0, 3)], 10, "n", [AxisLine(50, "deadline")])


@pytest.mark.parametrize("wide", [60, HOUR, 9 * HOUR, 5 * 86_400, 90 * 86_400, 4000 * 86_400])
def test_ticks_are_few_and_inside(wide: float) -> None:
    axis = TimeAxis(DAY + 77, DAY + 77 + wide)
    ticks = axis.ticks()
    assert len(ticks) <= 4
    assert all(axis.place(b) - axis.place(a) > 33 for a, b in pairwise(ticks))
    assert all(axis.since <= one <= axis.until for one in ticks)
    assert ticks or wide < HOUR
    marks = axis.marks()
    assert set(ticks) <= set(marks)
    assert len(marks) <= 4 * 4
    assert all(axis.since <= one <= axis.until for one in marks)


def test_probes_have_letters() -> None:
    assert [event_looks.letter(n) for n in (0, 25, 26, 27, 701, 702)] == [
        *("A", "Z", "AA", "AB", "ZZ", "AAA"),
    ]


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("opened as confirmed", "began"),
        ("opened as ended", "ended"),
        ("suspected → confirmed", "began"),
        ("confirmed → ended", "ended"),
        ("confirmed → withdrawn: set aside: ended badly", "withdrawn"),
        ("confirmed → suspected: set aside", "withdrawn"),
        ("also by tls.reset", "mechanism"),
        ("authority qaznet-2019", "mechanism"),
        ("measurements that came later moved the end", None),
        ("opened as suspected", None),
    ],
)
def test_a_revision_is_a_change_that_followers_know(what: str, change: str | None) -> None:
    assert feed.change_of(what) == change
