"""The parts of a report's page on certificates, rates and changes. Pure."""

from collections.abc import Iterable, Mapping
from statistics import median

from collector.api.interceptions import InterceptionRow
from collector.report.cells import PageTable, instant_cell, number, part_of, rate_text
from collector.report.changes import ChangeFinding
from collector.report.drawings import rates_by_place
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
