"""Which probes were heard by their heartbeats, on which network and day, and when none was.

Rule: of a network with few probes only their number of a day is shown, as with measurements; never
the hours in which they were on. A day of which no heartbeats are kept is unknown, and has no row.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from collector.care import Care
from collector.report.asked import DAY, ReportAsked
from collector.standing import Standings
from collector.store import Operation, heartbeats
from collector.store.heartbeats import COLLECTOR_KEY, HOUR, SLOT, HeartbeatHour

# A probe is heard for a quarter of an hour after its heartbeat.
_HEARD_SLOTS = 3
_HOUR_SLOTS, _DAY_SLOTS = HOUR // SLOT, round(DAY) // SLOT
_MASK = (1 << _DAY_SLOTS) - 1
# A shorter time without heartbeats is no gap.
LEAST_GAP_SECONDS = 1800
GapReason = Literal["collector", "cut", "unheard", "unknown"]


class HeardDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day of one network; None where few probes measured.

    Attributes:
        probes: How many were heard at some time of it.
        known_minutes: How much of it the store's heartbeats reach over: less on its last day.
        most: How many at once. heard_minutes, enough_minutes: in which any, and enough, were.
        cut_minutes: In which a probe reported afterwards that nothing abroad answered it.
        unheard_minutes: In which one reported that everything but the collector answered.
    """

    day: int
    asn: int
    probes: int
    known_minutes: int
    most: int | None = None
    heard_minutes: int | None = None
    enough_minutes: int | None = None
    cut_minutes: int | None = None
    unheard_minutes: int | None = None
    coarse: bool = False


class HeardGap(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which no probe of a network was heard.

    Attributes:
        reason: The collector was silent itself, probes say what it was, or it is not known.
        before: The most probes that were heard at once in the hour before.
    """

    asn: int
    since: float
    until: float
    reason: GapReason
    before: int


class HeardFound(msgspec.Struct, frozen=True, kw_only=True):
    """What heartbeats say of a country.

    Attributes:
        days: By day and network. known: the days of which heartbeats are kept.
    """

    days: Sequence[HeardDay] = ()
    gaps: Sequence[HeardGap] = ()
    known: Sequence[int] = ()


def read_heard(asked: ReportAsked, standings: Standings, care: Care) -> Operation[HeardFound]:
    """The heartbeats of the time of a report, day by day; only trusted keys are counted."""
    first = round(asked.since / DAY)
    trusted, counted = standings.trusted, _HeardCounts(asked)
    for day in range(first, first + asked.days):
        since = day * DAY
        rows = yield from heartbeats.heartbeats_since(since - HOUR, since + DAY)
        here = [one for one in rows if one.country == asked.country and one.key_id in trusted]
        yield from care.learn((asked.country, one.asn, since) for one in here)
        counted.add(day, rows, here)
    networks = [(asn, day * DAY) for asn in counted.networks for day in counted.known]
    yield from care.learn((asked.country, asn, at) for asn, at in networks)
    return counted.found(lambda asn, day: care.is_coarse(asked.country, asn, day * DAY))


class _NetworkDay:
    """One day of one network, as counts by slot, and as bits by slot."""

    def __init__(self, rows: Iterable[HeartbeatHour], first_hour: int) -> None:
        heard: dict[str, int] = defaultdict(int)
        cut = unheard = 0
        for one in rows:
            at = (one.hour - first_hour) * _HOUR_SLOTS
            heard[one.key_id] |= one.heard << at
            cut |= one.cut << at
            unheard |= one.missed << at
        lasting = {key: _of_day(_lasting(bits)) for key, bits in heard.items()}
        self.probes = sum(_of_day(bits) != 0 for bits in heard.values())
        self.counts = _counts(lasting.values())
        self.cut, self.unheard = _of_day(cut), _of_day(unheard)


def _lasting(bits: int) -> int:
    """A slot is heard for the slots after it, too."""
    return _union(bits << after for after in range(_HEARD_SLOTS))


def _union(bits: Iterable[int]) -> int:
    """All bits that are set in any."""
    found = 0
    for one in bits:
        found |= one
    return found


def _of_day(bits: int) -> int:
    """Without the hour before."""
    return bits >> _HOUR_SLOTS & _MASK


def _counts(of: Iterable[int]) -> bytes:
    """The number of keys in each slot of a day; more than 255 are as many."""
    counts: Counter[int] = Counter()
    for bits in of:
        text = f"{bits:0{_DAY_SLOTS}b}"[::-1]
        counts.update(slot for slot, bit in enumerate(text) if bit == "1")
    return bytes(min(counts[slot], 255) for slot in range(_DAY_SLOTS))


class _HeardCounts:
    """The days of every network that was heard, as they are read."""

    def __init__(self, asked: ReportAsked) -> None:
        self._asked = asked
        self._days: dict[tuple[int, int], _NetworkDay] = {}
        self._own: dict[int, int] = {}
        # The end of the newest slot in which any probe sent a heartbeat.
        self._newest = 0.0
        self.known: list[int] = []

    @property
    def networks(self) -> list[int]:
        """Those of which a probe was heard on any day."""
        return sorted({asn for asn, _ in self._days})

    def add(self, day: int, every: Sequence[HeartbeatHour], here: Sequence[HeartbeatHour]) -> None:
        """Add a day with the hour before it: all rows, and those of the country."""
        first_hour = round(day * DAY / HOUR) - 1
        if any(one.hour > first_hour for one in every):
            self.known.append(day)
        ends = (one.hour * HOUR + one.heard.bit_length() * SLOT for one in every)
        self._newest = max(self._newest, *ends, 0.0)
        own = [one for one in every if one.key_id == COLLECTOR_KEY]
        bits = _union(one.heard << (one.hour - first_hour) * _HOUR_SLOTS for one in own)
        self._own[day] = _of_day(_lasting(bits))
        by_network: dict[int, list[HeartbeatHour]] = defaultdict(list)
        for one in here:
            by_network[one.asn].append(one)
        for asn, rows in by_network.items():
            self._days[asn, day] = _NetworkDay(rows, first_hour)

    def found(self, is_coarse: Callable[[int, int], bool]) -> HeardFound:
        """Everything, network by network on each day."""
        days = [
            self._day(asn, day, coarse=is_coarse(asn, day))
            for day in self.known
            for asn in self.networks
        ]
        gaps = [
            gap
            for asn in self.networks
            for gap in self._gaps(asn, [day for day in self.known if not is_coarse(asn, day)])
        ]
        return HeardFound(days=days, gaps=gaps, known=self.known)

    def _at(self, asn: int, day: int) -> _NetworkDay:
        return self._days.get((asn, day)) or _NetworkDay((), 0)

    def _day(self, asn: int, day: int, *, coarse: bool) -> HeardDay:
        of = self._at(asn, day)
        known = round(min(DAY, max(0.0, self._newest - day * DAY)) / 60)
        if coarse:
            return HeardDay(day=day, asn=asn, probes=of.probes, known_minutes=known, coarse=True)
        enough = sum(n >= self._asked.least for n in of.counts)
        return HeardDay(
            day=day,
            asn=asn,
            probes=of.probes,
            known_minutes=known,
            most=max(of.counts),
            heard_minutes=_minutes(sum(n > 0 for n in of.counts)),
            enough_minutes=_minutes(enough),
            cut_minutes=_minutes(of.cut.bit_count()),
            unheard_minutes=_minutes(of.unheard.bit_count()),
        )

    def _gaps(self, asn: int, days: Sequence[int]) -> Iterator[HeardGap]:
        """The gaps of one network, which do not reach over a day that is not told of."""
        for run in _runs_of_days(days):
            counts = b"".join(self._at(asn, day).counts for day in run)
            # No probe can be heard in what has not passed yet.
            counts = counts[: max(0, int((self._newest - run[0] * DAY) // SLOT))]
            reports: Mapping[GapReason, int] = {
                "collector": ~_joined(self._own[day] for day in run),
                "cut": _joined(self._at(asn, day).cut for day in run),
                "unheard": _joined(self._at(asn, day).unheard for day in run),
            }
            for since, until in _silent(counts):
                begin = run[0] * DAY
                yield HeardGap(
                    asn=asn,
                    since=begin + since * SLOT,
                    until=begin + until * SLOT,
                    reason=_reason(since, until, reports),
                    before=max(counts[max(0, since - _HOUR_SLOTS) : since], default=0),
                )


def _minutes(slots: int) -> int:
    return slots * SLOT // 60


def _joined(days: Iterable[int]) -> int:
    return _union(bits << number * _DAY_SLOTS for number, bits in enumerate(days))


def _runs_of_days(days: Iterable[int]) -> list[list[int]]:
    """Days that follow one another, together."""
    found: list[list[int]] = []
    for day in days:
        if found and found[-1][-1] == day - 1:
            found[-1].append(day)
        else:
            found.append([day])
    return found


def _silent(counts: bytes) -> Iterator[tuple[int, int]]:
    """The slots from the last heartbeat before a silence up to the next one."""
    at = 0
    while (begin := counts.find(0, at)) >= 0:
        end = begin
        while end < len(counts) and not counts[end]:
            end += 1
        since = begin - (_HEARD_SLOTS - 1) if begin else 0
        if (end - since) * SLOT >= LEAST_GAP_SECONDS:
            yield since, end
        at = end


def _reason(since: int, until: int, reports: Mapping[GapReason, int]) -> GapReason:
    """What most of a gap was, by the collector; else what any probe says of it."""
    bits = {word: of >> since & (1 << until - since) - 1 for word, of in reports.items()}
    if 2 * bits.pop("collector").bit_count() > until - since:
        return "collector"
    return max(
        (word for word in bits if bits[word]),
        key=lambda one: bits[one].bit_count(),
        default="unknown",
    )
