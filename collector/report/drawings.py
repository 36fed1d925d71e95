"""Which charts a report has, by the names of their files. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from collector.record_row import instant
from collector.report import charts
from collector.report.charts import COLOURS, LastingSpan, RatePoint, Strip
from collector.report.findings import OF_LINES, gaps
from collector.report.gathered import Gathered
from collector.report.texts import ReportTexts

_UNSAFE = re.compile(r"[^a-z0-9.-]+")
# Layers of a bar, from the bottom up.
_LAYERS = ("ok", "refused", "inconclusive", "down", "throttled", "intercepted", "blocked")
# Two of these on one network are a change.
_TOLD = frozenset({"blocked", "intercepted", "throttled", "ok", "refused"})
_FAMILY_COLOURS = {"tls.mitm": "intercepted", "throttle": "throttled"}


class Drawing(NamedTuple):
    """One chart: the name of its file without the ending, what it shows, and the drawing."""

    name: str
    title: str
    svg: str


class Drawings(NamedTuple):
    """The charts of a report by their place in it; a missing one had nothing to show.

    Attributes:
        steady: Calendars of sites of which every day looked the same.
    """

    days: Drawing | None
    mechanisms: Drawing | None
    coverage: Drawing | None
    heard: Drawing | None
    outages: Drawing | None
    calendars: Sequence[Drawing]
    steady: Sequence[Drawing]
    rates: Sequence[Drawing]

    def all(self) -> Iterator[Drawing]:
        """Every chart."""
        single = (self.days, self.mechanisms, self.coverage, self.heard, self.outages)
        yield from (one for one in single if one is not None)
        yield from self.calendars
        yield from self.steady
        yield from self.rates


def drawings(of: Gathered, texts: ReportTexts) -> Drawings:
    """All charts of a report."""
    names = _Names()
    calendars = list(_calendars(of, texts, names))
    return Drawings(
        days=_days(of, texts),
        mechanisms=_mechanisms(of, texts),
        coverage=_coverage(of, texts),
        heard=_heard(of, texts),
        outages=_outages(of, texts),
        calendars=[drawing for changed, drawing in calendars if changed],
        steady=[drawing for changed, drawing in calendars if not changed],
        rates=list(_rates(of, texts, names)),
    )


class _Names:
    """Names of files, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, text: str) -> str:
        """A name that every file system takes."""
        name = base = _UNSAFE.sub("-", text.lower()).strip("-.")[:80] or "chart"
        number = 2
        while name in self._taken:
            name, number = f"{base}-{number}", number + 1
        self._taken.add(name)
        return name


def _days(of: Gathered, texts: ReportTexts) -> Drawing | None:
    counts: dict[str, list[int]] = {}
    for day, outcome, n in of.days.rows:
        counts.setdefault(outcome, [0] * of.asked.days)[day - of.first_day] = n
    layers = {one: counts[one] for one in _LAYERS if one in counts}
    if not layers:
        return None
    title = texts("per_day")
    words = {one: texts.outcome(one) for one in layers}
    svg = charts.stacked_days(title, layers, words, first=of.first_day, days=of.asked.days)
    return Drawing("measurements", title, svg)


def _mechanisms(of: Gathered, texts: ReportTexts) -> Drawing | None:
    sums: dict[str, int] = defaultdict(int)
    for one in of.mechanisms.by_name():
        sums[one["mechanism"]] += one["measurements"]
    if not sums:
        return None
    most = sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    title = texts("by_mechanism")
    svg = charts.bars(title, [(word, n, _colour(word)) for word, n in most])
    return Drawing("mechanisms", title, svg)


def _colour(mechanism: str) -> str:
    family = mechanism.partition(".")[0]
    return COLOURS[_FAMILY_COLOURS.get(mechanism) or _FAMILY_COLOURS.get(family) or "blocked"]


def _coverage(of: Gathered, texts: ReportTexts) -> Drawing | None:
    rows = sorted(gaps(of.asked, of.coverage.by_name()).items())
    if not rows:
        return None
    title = texts("coverage_chart")
    labelled = [(of.networks.label(asn), counts) for asn, counts in rows]
    svg = charts.probe_days(
        title, labelled, first=of.first_day, days=of.asked.days, least=of.asked.least
    )
    return Drawing("coverage", title, svg)


def _heard(of: Gathered, texts: ReportTexts) -> Drawing | None:
    """The probes that were heard on each day; a day without heartbeats in the store is empty."""
    rows: dict[int, list[int | None]] = {}
    for one in of.heard.days:
        days = rows.setdefault(one.asn, [None] * of.asked.days)
        days[one.day - of.first_day] = one.probes
    if not rows:
        return None
    title = texts("heard_chart")
    labelled = [(of.networks.label(asn), counts) for asn, counts in sorted(rows.items())]
    svg = charts.probe_days(
        title, labelled, first=of.first_day, days=of.asked.days, least=of.asked.least
    )
    return Drawing("heartbeats", title, svg)


def _outages(of: Gathered, texts: ReportTexts) -> Drawing | None:
    rows = [
        LastingSpan(
            _line(one.asn, texts(f"kind_{one.kind}")),
            "blocked",
            _at(one.began.after, _at(one.began.by, 0.0)),
            _at(one.began.by, 0.0),
            _at(one.ended.after if one.ended else None, of.asked.until),
            _at(one.ended.by if one.ended else None, of.asked.until),
        )
        for one in of.events
        if one.kind in OF_LINES and one.state != "withdrawn"
    ]
    rows += [
        LastingSpan(
            _line(one.asn, texts("kind_silence")),
            "down",
            one.since,
            one.since,
            until := one.until or of.asked.until,
            until,
        )
        for one in of.silences
    ]
    if not rows:
        return None
    title = texts("outages_chart")
    svg = charts.spans(title, rows, since=of.asked.since, until=of.asked.until)
    return Drawing("outages", title, svg)


def _line(asn: int, what: str) -> str:
    """The network and what happened: short, because the name is in the table."""
    return f"AS{asn or '?'}: {what}"


def _at(text: str | None, otherwise: float) -> float:
    found = instant(text) if text else None
    return otherwise if found is None else found


def _calendars(of: Gathered, texts: ReportTexts, names: _Names) -> Iterator[tuple[bool, Drawing]]:
    """A calendar for each site with confirmed interference, and whether its days differ."""
    order = {code: number for number, code in enumerate(of.categories())}
    sites = sorted({(order[one.category], one.target) for one in of.confirmed})
    by_site: Mapping[str, list[int]] = defaultdict(list)
    for target, asn in sorted(of.states):
        by_site[target].append(asn)
    for _, target in sites:
        strips = [Strip(of.networks.label(a), of.states[target, a]) for a in by_site[target]]
        if strips:
            title = texts("calendar_of", site=target)
            svg = charts.calendar(title, strips, first=of.first_day, days=of.asked.days)
            changed = any(len({*strip.states} & _TOLD) > 1 for strip in strips)
            yield changed, Drawing(names.of(f"calendar-{target}"), title, svg)


def _rates(of: Gathered, texts: ReportTexts, names: _Names) -> Iterator[Drawing]:
    """The rates at each place at which something was found throttled."""
    words = (texts("rate_site"), texts("rate_reference"))
    for (target, asn), rows in rates_by_place(of, only_throttled=True):
        points = [_point(one) for one in rows]
        title = texts("rate_chart", site=target, network=of.networks.label(asn))
        svg = charts.rates(title, points, words, first=of.first_day, days=of.asked.days)
        yield Drawing(names.of(f"rate-{target}-as{asn}"), title, svg)


def _point(one: Mapping[str, Any]) -> RatePoint:
    """Rows have bytes a second."""
    return RatePoint(one["day"], 8 * one["rate_target"], 8 * one["rate_reference"])


def rates_by_place(
    of: Gathered, *, only_throttled: bool = False
) -> Iterable[tuple[tuple[str, int], list[Mapping[str, Any]]]]:
    """The days with rates at each place, those that were throttled first."""
    found: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for one in of.rates.by_name():
        found[one["target"], one["asn"]].append(one)
    throttled = {(one.target, one.asn) for one in of.places if one.kind == "throttling"}
    throttled |= {where for where, rows in found.items() if any(r["throttled"] for r in rows)}
    ordered = sorted(found.items(), key=lambda one: (one[0] not in throttled, one[0]))
    return [one for one in ordered if not only_throttled or one[0] in throttled]
