"""Everything that a report's page, tables and charts are made of. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from collector.api.event_messages import EventShown
from collector.api.interceptions import InterceptionRow
from collector.report import findings
from collector.report.asked import ReportAsked
from collector.report.changes import ChangeFinding, CountedPeriod, changes
from collector.report.findings import Networks, PlaceFinding, Where
from collector.report.frozen import FoundRows, FrozenRows
from collector.report.heard import HeardFound
from collector.report.silences import SilenceFinding, untold

# The categories that come first, as in reports on censorship: news, human rights, circumvention.
FIRST_CATEGORIES = ("NEWS", "HUMR", "ANON")


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The contents of a report.

    Attributes:
        now, before: Sums over this and the previous time.
        outcomes: Measurements by outcome: (word, now, before).
        sites: Counts of every measured site on every network; `places` those with interference.
        states: One word for each day at places with interference.
        heard: What heartbeats say. silences: outages that nothing but heartbeats shows.
        counted: Measurements of this time by the counts that are kept for ever; None: not asked.
        days_cut: Days of which not all forged certificates were read.
    """

    asked: ReportAsked
    now: Mapping[str, int]
    before: Mapping[str, int]
    outcomes: Sequence[tuple[str, int, int]]
    sites: FoundRows
    mechanisms: FoundRows
    places: Sequence[PlaceFinding]
    changes: Sequence[ChangeFinding]
    events: Sequence[EventShown]
    interceptions: Sequence[InterceptionRow]
    days_cut: int
    rates: FoundRows
    coverage: FoundRows
    heard: HeardFound
    silences: Sequence[SilenceFinding]
    days: FoundRows
    states: Mapping[Where, Sequence[str]]
    rules: FoundRows
    rulesets: Sequence[str]
    versions: Sequence[str]
    networks: Networks
    lab: int
    counted: int | None = None

    @property
    def first_day(self) -> int:
        """The first day by its number since 1970."""
        return round(self.asked.since / 86_400)

    @property
    def confirmed(self) -> list[PlaceFinding]:
        """The places at which interference was confirmed, whether or not it ended."""
        return [one for one in self.places if one.state in {"confirmed", "ended"}]

    @property
    def confirmed_sites(self) -> set[str]:
        """The sites of those places."""
        return {one.target for one in self.confirmed}

    @property
    def asns(self) -> list[int]:
        """The networks on which sites were measured."""
        return sorted({row["asn"] for row in self.sites.by_name()})

    def categories(self) -> list[str]:
        """The codes of the report, the usual questions first; empty: sites without one."""
        found = {row["category"] for row in self.sites.by_name()}
        found |= {one.category for one in self.places}
        wanted = [c for c in FIRST_CATEGORIES if self.asked.covers(c)]
        wanted += [c for c in self.asked.categories if c not in wanted]
        return wanted + sorted(found - set(wanted), key=lambda code: (not code, code))


class Happened(NamedTuple):
    """What is known beside the records."""

    events: Sequence[EventShown]
    heard: HeardFound
    silences: Sequence[SilenceFinding]


def gathered(
    asked: ReportAsked,
    frozen: FrozenRows,
    happened: Happened,
    interceptions: tuple[Sequence[InterceptionRow], int],
    *,
    counted: int | None,
) -> Gathered:
    """Ask the frozen rows everything that a report says."""
    networks = Networks(frozen.ask("network_names"))
    now, before = (frozen.ask("places", now=flag) for flag in (True, False))
    words = [frozen.ask("mechanisms", now=flag) for flag in (True, False)]
    events = happened.events
    told = [one for one in events if findings.lasted(one, asked)]
    totals = _one(frozen.ask("totals", now=True))
    return Gathered(
        asked=asked,
        now=totals,
        before=_one(frozen.ask("totals", now=False)),
        outcomes=[(row[0], row[1], row[2]) for row in frozen.ask("outcomes").rows],
        sites=now,
        mechanisms=words[0],
        places=findings.places(asked, now, words[0], events, networks),
        changes=changes(
            asked,
            (CountedPeriod(before, words[1]), CountedPeriod(now, words[0])),
            events,
            networks,
        ),
        events=told,
        interceptions=interceptions[0],
        days_cut=interceptions[1],
        rates=frozen.ask("rates"),
        coverage=frozen.ask("coverage"),
        heard=happened.heard,
        silences=untold(happened.silences, told, asked),
        days=frozen.ask("days"),
        states=findings.day_states(frozen.ask("bad_days"), asked),
        rules=frozen.ask("rules"),
        rulesets=[str(row[0]) for row in frozen.ask("rulesets").rows if row[0]],
        versions=[str(row[0]) for row in frozen.ask("versions").rows if row[0]],
        networks=networks,
        lab=totals["lab"],
        counted=counted,
    )


def _one(found: FoundRows) -> Mapping[str, Any]:
    return found.by_name()[0]
