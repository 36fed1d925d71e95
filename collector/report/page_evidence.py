"""The parts of a report's page on certificates, rates, outages, changes and coverage. Pure."""

from collections.abc import Iterable, Mapping
from statistics import median

from collector.api.event_messages import EventShown
from collector.api.interceptions import InterceptionRow
from collector.report.cells import PageTable, bracket, instant_cell, number, part_of, rate_text
from collector.report.changes import ChangeFinding
from collector.report.drawings import rates_by_place
from collector.report.findings import OF_LINES, gaps
from collector.report.gathered import Gathered
from collector.report.texts import ReportTexts

# The page has at most so many names; the table has more.
MOST_NAMES = 30


def interception(one: InterceptionRow, of: Gathered, texts: ReportTexts) -> Mapping[str, object]:
    about = one.intermediate
    known = one.authority != "unknown"
    proof = texts(f"proof_{one.proof}") if known and one.proof else ""
    heading = f"{one.authority} ({proof})" if known else texts("authority_unknown")
    names: list[str] = one.names[:MOST_NAMES]
    if more := len(one.names) - len(names):
        names = [*names, texts("names_more", number=more)]
    leaves = [number(one.leaves)]
    if one.leaf_days is not None:
        leaves.append(texts("leaf_days", days=f"{one.leaf_days:g}"))
    facts: list[tuple[str, object]] = [
        (texts("intermediate"), about.subject or "-"),
        ("SHA-1", about.sha1 or "-"),
        ("SHA-256", about.sha256 or "-"),
        (texts("serial"), about.serial or "-"),
        (
            texts("validity"),
            f"{about.not_before} \N{EN DASH} {about.not_after}" if about.not_before else "-",
        ),
        (texts("authority"), about.issuer or "-"),
        (texts("leaves"), leaves),
        (texts("names"), ", ".join(names)),
        (texts("network"), [of.networks.label(network.asn) for network in one.networks]),
        (texts("measurements"), number(one.measurements)),
        (texts("probes"), number(one.probes)),
        (texts("first_seen"), instant_cell(one.first_seen)),
        (texts("last_seen"), instant_cell(one.last_seen)),
    ]
    return {"heading": heading, "facts": facts}


def throttling(of: Gathered, texts: ReportTexts) -> PageTable:
    """One row for each place at which something was found slow."""
    heads = ("site", "rate_site", "rate_reference", "ratio")
    rows = []
    for (target, asn), days in rates_by_place(of, only_throttled=True):
        ratios = [one["ratio"] for one in days if one["ratio"] is not None]
        rows.append(
            [
                [target, of.networks.label(asn)],
                rate_text(median(8 * one["rate_target"] for one in days)),
                rate_text(median(8 * one["rate_reference"] for one in days)),
                f"{median(ratios):.2f}" if ratios else "",
                part_of(
                    int(sum(one["throttled"] for one in days)),
                    int(sum(one["measurements"] for one in days)),
                    texts,
                ),
            ]
        )
    titles = [*(texts(head) for head in heads), texts("throttled_measurements")]
    return PageTable(titles, rows, numbers=(1, 2, 3, 4))


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
        ", ".join(one.sources),
    ]


def changes(found: Iterable[ChangeFinding], of: Gathered, texts: ReportTexts) -> PageTable:
    heads = ("site", "how", "change", "changes_before", "changes_now", "mechanism")
    rows = [
        [
            [one.target, of.networks.label(one.asn)],
            texts(f"kind_{one.kind}"),
            [texts(f"change_{one.change}"), *([instant_cell(one.at)] if one.at else [])],
            part_of(one.interfered_before, one.conclusive_before, texts),
            part_of(one.interfered, one.conclusive, texts),
            _words(one),
        ]
        for one in found
    ]
    return PageTable([texts(head) for head in heads], rows, numbers=(3, 4))


def _words(one: ChangeFinding) -> str:
    before, now = " ".join(one.mechanisms_before), " ".join(one.mechanisms)
    return f"{before} → {now}" if before and now and before != now else now or before


def outcomes(of: Gathered, texts: ReportTexts) -> PageTable:
    rows = [[texts.outcome(word), number(before), number(now)] for word, now, before in of.outcomes]
    heads = [texts("outcome"), texts("changes_before"), texts("changes_now")]
    return PageTable(heads, rows, numbers=(1, 2), caption=texts("outcomes_compared"))


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
