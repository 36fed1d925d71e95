"""What was reached by hour: by the keys that count, and not where few measured."""

import asyncio

import pytest

from collector.api.pages.reached import ReachedShares, reached_by_hour, read_reached
from collector.standing import INVITED, KeyStanding, Standings
from collector.store import Execute, Operation, open_store
from collector.web import time_axis

HOUR = 500_000
HOURS = 4


def line(
    key: str, at: float, foreign: float | None, domestic: float | None = 1.0
) -> dict[str, object]:
    return {
        "key_id": key,
        "id": f"{key}{at}",
        "experiment": "connectivity",
        "target": "",
        "at": at,
        "country": "KZ",
        "asn": 9198,
        "outcome": "ok",
        "mechanisms": "",
        "rate_target": None,
        "rate_reference": None,
        "foreign_alive": foreign,
        "domestic_alive": domestic,
    }


def put(rows: list[dict[str, object]]) -> Operation[None]:
    yield Execute("series_add", rows)


def standings(*keys: str) -> Standings:
    return Standings([KeyStanding(key, way=INVITED) for key in keys], (), now=1e12)


def test_hours_are_the_means_of_the_keys_that_count(any_store: str) -> None:
    now = HOUR * 3600.0
    rows = [
        line("a", now + 10, 0.0),
        line("a", now + 20, 0.5),
        line("b", now + 3599.9, 0.75, None),
        line("stranger", now + 30, 1.0),
        line("a", now - 3600, 1.0),
        line("b", now - 3599, 1.0),
        line("a", now - 7200, 1.0),
        line("a", now - 9 * 3600, 1.0),
        {**line("a", now + 40, 1.0), "id": "x", "experiment": "speed"},
    ]

    async def scenario() -> list[tuple[object, ...]]:
        store = await open_store(any_store)
        await store.write(put(rows))
        found = await store.read(read_reached(HOUR, HOURS))
        await store.close()
        return [tuple(row) for row in found]

    found = asyncio.run(scenario())
    (shown,) = reached_by_hour(found, HOUR, HOURS, standings=standings("a", "b"), least=2)
    assert shown.country == "KZ"
    assert shown.hours == [
        None,
        None,
        ReachedShares(1.0, 1.0, 2),
        ReachedShares(1.0, 0.5, 2),
    ]
    assert shown.foreign == [(now - 3600, 1.0), (now, 0.5)]
    assert reached_by_hour(found, HOUR, HOURS, standings=standings("a"), least=2) == []


@pytest.mark.parametrize(("share", "rects"), [(0.0, 1), (0.5, 2), (1.0, 2), (7.0, 2)])
def test_nothing_reached_is_not_nothing_measured(share: float, rects: int) -> None:
    axis = time_axis.TimeAxis(0.0, 7200.0)
    drawn = str(time_axis.shares(axis, [(0.0, share)], 3600, "reached"))
    assert drawn.count("<rect") == rects
    assert str(time_axis.shares(axis, [], 3600, "reached")).count("<rect") == 0
