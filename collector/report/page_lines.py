"""The parts of a report's page on lines: outages, coverage, and who was heard. Pure."""

from collections.abc import Mapping
from statistics import median

from collector.api.event_messages import EventShown
from collector.report.asked import minute_text
from collector.report.cells import PageTable, bracket, instant_cell, number, part_of
from collector.report.findings import OF_LINES, gaps
from collector.report.gathered import Gathered
from collector.report.heard import HeardDay, HeardGap
from collector.report.texts import ReportTexts

# The page has at most so many gaps, the longest; the table has all.
MOST_GAPS = 30


def outages(of: Gathered, texts: ReportTexts) -> PageTable:
    found = [one for one in of.events if one.kind in OF_LINES and one.state != "withdrawn"]
    heads = ("where", "how", "since", "until", "probes", "sources")
    return PageTable(
        [texts(head) for head in heads],
        [_outage(one, of, texts) for one in found],
        numbers=(4,),
    )


def _outage(one: EventShown, of: Gathered, texts: ReportTexts) -> list[object]:
    ended = bracket(one.ended.after, one.ended.by, texts) if one.ended else texts("lasts")
    state = "suspected" if one.confirmed_at is None else one.state
    return [
        of.networks.label(one.asn),
        [texts(f"kind_{one.kind}"), texts(f"state_{state}")],
        bracket(one.began.after, one.began.by, texts),
        ended,
        part_of(one.probes.agree, one.probes.able, texts),
        [texts.source(word) for word in one.sources],
    ]


def silences(of: Gathered, texts: ReportTexts) -> PageTable:
    """The outages that nothing but heartbeats shows."""
    heads = ("where", "since", "until", "silent_probes", "sources")
    rows = [
        [
            of.networks.label(one.asn),
            instant_cell(minute_text(one.since)),
            instant_cell(minute_text(one.until)) or texts("lasts"),
            number(one.probes),
            [texts.source(word) for word in ("silence", *one.sources)],
        ]
        for one in of.silences
    ]
    return PageTable([texts(head) for head in heads], rows, numbers=(3,))


def coverage(of: Gathered, texts: ReportTexts) -> PageTable:
    least = of.asked.least
    counts = gaps(of.asked, of.coverage.by_name())
    measurements: dict[int, int] = {}
    for row in of.coverage.by_name():
        measurements[row["asn"]] = measurements.get(row["asn"], 0) + row["measurements"]
    rows = [
        [
            of.networks.label(asn),
            number(measurements[asn]),
            f"{median(days):g}",
            part_of(sum(n < least for n in days), of.asked.days, texts),
            number(sum(n == 0 for n in days)),
        ]
        for asn, days in sorted(counts.items(), key=lambda one: (-measurements[one[0]], one[0]))
    ]
    heads = [
        texts("network"),
        texts("measurements"),
        texts("median_probes"),
        texts("coverage_gaps", least=least),
        texts("coverage_none_days"),
    ]
    return PageTable(heads, rows, numbers=(1, 2, 3, 4), caption=texts("coverage_table"))


def heard(of: Gathered, texts: ReportTexts) -> Mapping[str, object]:
    """What heartbeats say: a row for each network, and the longest gaps."""
    days = _by_network(of)
    rows = [_heard_row(asn, days[asn], of, texts) for asn in sorted(days)]
    heads = [
        texts("network"),
        texts("heard_median"),
        texts("heard_few", least=of.asked.least),
        texts("heard_enough", least=of.asked.least),
        texts("heard_gaps"),
    ]
    longest = sorted(of.heard.gaps, key=lambda one: (one.since - one.until, one.since, one.asn))
    shown = sorted(longest[:MOST_GAPS], key=lambda one: (one.since, one.asn))
    return {
        "heard": PageTable(heads, rows, numbers=(1, 2, 3, 4), caption=texts("heard_table")),
        "heard_unknown": of.asked.days - len(of.heard.known),
        "heard_gaps": _gaps(shown, of, texts),
        "heard_gaps_more": len(longest[MOST_GAPS:]),
    }


def _by_network(of: Gathered) -> Mapping[int, list[HeardDay]]:
    found: dict[int, list[HeardDay]] = {}
    for one in of.heard.days:
        found.setdefault(one.asn, []).append(one)
    return found


def _heard_row(asn: int, days: list[HeardDay], of: Gathered, texts: ReportTexts) -> list[object]:
    told = [one for one in days if not one.coarse]
    known = sum(one.known_minutes for one in told)
    enough = sum(one.enough_minutes or 0 for one in told)
    share = f"{100 * enough / known:.1f}\N{NO-BREAK SPACE}%" if known else ""
    longest = max((g.until - g.since for g in of.heard.gaps if g.asn == asn), default=0.0)
    gaps_here = sum(g.asn == asn for g in of.heard.gaps)
    gaps_told = [number(gaps_here)]
    if longest:
        gaps_told.append(texts("gap_longest", hours=_hours(longest)))
    return [
        of.networks.label(asn),
        f"{median(one.probes for one in days):g}",
        part_of(sum(one.probes < of.asked.least for one in days), len(days), texts),
        share or texts("not_shown"),
        gaps_told if told else texts("not_shown"),
    ]


def _gaps(found: list[HeardGap], of: Gathered, texts: ReportTexts) -> PageTable:
    rows = [
        [
            of.networks.label(one.asn),
            [instant_cell(minute_text(one.since)), instant_cell(minute_text(one.until))],
            _hours(one.until - one.since),
            number(one.before),
            texts(f"gap_{one.reason}"),
        ]
        for one in found
    ]
    heads = ("network", "gap_when", "gap_hours", "gap_before", "gap_reason")
    titles = [texts(head) for head in heads]
    return PageTable(titles, rows, numbers=(2, 3), caption=texts("heard_gaps_table"))


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}"
