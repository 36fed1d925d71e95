"""Which looks are shown to the hour only, because few probes measure on their network.

Rule: a public reader must not learn when the only volunteer of a network was at home. A look is
*coarse* where fewer independent, trusted keys than the least number measured on its network within
three days of it; keys that strangers enrol hide no volunteer. Then its time is shown to the hour,
and its ids, its run, its region and its evidence are not.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import ceil
from typing import Any, Protocol

from collector.places import UNKNOWN
from collector.standing import DAY, Standings
from collector.store.interface import Operation, Query, Rows
from collector.store.queries import Selection
from probe import targets

AROUND_DAYS = 3
HOUR = 3600.0
# What a coarse row does not have. What a probe claims of its network may name a smaller one.
HIDDEN = frozenset({"id", "run", "region", "network", "claimed_country", "claimed_asn", "key"})
_KEYS_AT_ONCE = 256
_ROWS_AT_FIRST, _EVERY_ROW = 500, 2**63 - 1

NetworkDay = tuple[str, int, int]  # country, ASN, day


def hour_of(at: float) -> float:
    """The beginning of the hour of an instant."""
    return at // HOUR * HOUR


def day_of(country: str, asn: int, at: float) -> NetworkDay:
    """What decides whether a look is coarse."""
    return country, asn, int(at // DAY)


class StoredLook(Protocol):
    """What is needed of a record's row."""

    @property
    def role(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def country(self) -> str: ...
    @property
    def asn(self) -> int: ...
    @property
    def claimed_country(self) -> str: ...
    @property
    def claimed_asn(self) -> int: ...


class Care:
    """Whether looks are coarse, for one reader.

    Attributes:
        least: So many probes on its network make a look not coarse; 1: nothing is coarse.
    """

    def __init__(self, least: int, standings: Standings) -> None:
        self.least = least
        self._standings = standings
        self._known: dict[NetworkDay, bool] = {}

    def is_coarse(self, country: str, asn: int, at: float) -> bool:
        """Whether a look is coarse, after `learn` was run with it."""
        return self.least > 1 and self._known[day_of(country, asn, at)]

    def learn(self, looks: Iterable[tuple[str, int, float]]) -> Operation[None]:
        """Read what decides about these looks (country, ASN, Unix time)."""
        if self.least <= 1:
            return
        for where in sorted({day_of(*look) for look in looks} - self._known.keys()):
            self._known[where] = yield from self._has_few(where)

    def learn_rows(self, rows: Iterable[StoredLook]) -> Operation[None]:
        """The same for records."""
        yield from self.learn(look for row in rows for look in _looks(row))

    def hides(self, row: StoredLook) -> bool:
        """Whether a record's row is coarse; those of controls, which operators run, are not."""
        return any(self.is_coarse(*look) for look in _looks(row))

    def widened(self, selection: Selection) -> Selection:
        """A selection of whole hours, of which `is_within` leaves those rows that fit as shown.

        Else one could learn the time of a coarse row by asking for ever shorter periods.
        """
        if self.least <= 1:
            return selection
        until = ceil(selection.until / HOUR) * HOUR
        return replace(selection, since=hour_of(selection.since), until=until)

    def _has_few(self, where: NetworkDay) -> Operation[bool]:
        """Whether fewer keys than the least number measured around a day; it stops at enough."""
        country, asn, day = where
        params = {
            "country": country,
            "asn": asn,
            "since": (day - AROUND_DAYS) * DAY,
            "until": (day + AROUND_DAYS + 1) * DAY,
        }
        # Nearly always a few rows have enough keys.
        for limit, among in ((self.least, _ROWS_AT_FIRST), (_KEYS_AT_ONCE, _EVERY_ROW)):
            rows = yield Query("network_keys", {**params, "limit": limit, "rows": among})
            keys = [row[0] for row in rows]
            if self._standings.independent(keys, (country, asn)) >= self.least:
                return False
        return True


def is_within(row: StoredLook, selection: Selection, *, coarse: bool) -> bool:
    """Whether a row lies in a selected period by the time that it shows."""
    return selection.since <= (hour_of(row.at) if coarse else row.at) < selection.until


def _looks(row: StoredLook) -> Iterator[tuple[str, int, float]]:
    """A record's look on the network of its connection, and on the one that it claims."""
    if row.role != "probe":
        return
    yield row.country, row.asn, row.at
    claimed = row.claimed_country, row.claimed_asn
    if claimed not in {UNKNOWN, (row.country, row.asn)}:
        yield *claimed, row.at


def coarsened(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what a coarse look may show.

    `network` is text that a probe may have written, so it gets the well-known name.
    """
    shown = {name: None if name in HIDDEN else value for name, value in row.items()}
    if "network" in row:
        shown["network"] = targets.networks().get(row["asn"], "")
    return shown


def without_rare_regions(rows: Rows, least: int) -> list[tuple[str, int, str, int, float]]:
    """Numbers of probes by country, ASN and region, without the regions of networks with few.

    A row has these three, the number, and when the newest of these probes was seen.
    """
    on: Counter[tuple[str, int]] = Counter()
    for country, asn, _, n, _ in rows:
        on[country, asn] += n
    found: dict[tuple[str, int, str], tuple[int, float]] = {}
    for country, asn, region, n, seen_at in rows:
        where = (country, asn, region if on[country, asn] >= least else "")
        known, newest = found.get(where, (0, 0.0))
        found[where] = (known + n, max(newest, seen_at))
    return [(*where, *sums) for where, sums in found.items()]
