"""The counts by hour, which are kept for ever, in pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import NamedTuple

from collector.store.interface import Operation, Query


class HourlyCount(NamedTuple):
    """Number of records of one hour with the same of everything else; the key without the last."""

    hour: int
    experiment: str
    target: str
    country: str
    asn: int
    outcome: str
    n: int


HourlyKey = tuple[int, str, str, str, int, str]
FIRST: HourlyKey = (-1, "", "", "", -1, "")


@dataclass(frozen=True, slots=True)
class HourlySelection:
    """Which counts a reader wants; an empty field wants all. `since` <= hour < `until`.

    Attributes:
        targets: None: all of them.
    """

    targets: Sequence[str] | None
    country: str
    asn: int
    experiment: str
    outcome: str
    since: int
    until: int


def page(
    selection: HourlySelection, *, after: HourlyKey = FIRST, limit: int
) -> Operation[list[HourlyCount]]:
    """Up to `limit` counts after a key, by hour."""
    params = {
        "country": selection.country,
        "asn": selection.asn,
        "experiment": selection.experiment,
        "outcome": selection.outcome,
        # A page continues in the hour of its cursor, and what is before needs no look.
        "since": max(selection.since, after[0]),
        "until": selection.until,
        "hour": after[0],
        "experiment_after": after[1],
        "target_after": after[2],
        "country_after": after[3],
        "asn_after": after[4],
        "outcome_after": after[5],
        "limit": limit,
    }
    if selection.targets is None:
        rows = yield Query("hourly_page", params)
        return [HourlyCount(*row) for row in rows]
    found = []
    for target in selection.targets:
        rows = yield Query("hourly_page_of", {**params, "target": target})
        found.append([HourlyCount(*row) for row in rows])
    return list(islice(merge(*found), limit))
