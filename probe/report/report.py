"""The HTML report: one self-contained file with findings and evidence, for mail, print or archive.

Rule: it contains no script and loads nothing. A Content-Security-Policy in its head forbids the
browser to fetch anything. All text from the network is escaped. It is in the user's language.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from msgspec import Struct

from probe.escape import plain
from probe.i18n import _, current, ngettext, reason
from probe.model import Mechanism, Outcome, Record
from probe.report import unmeasured
from probe.report.charts import COLOURS, by_category, sign, transfer_curves
from probe.report.explain import certainty, explain, headline, network_label
from probe.report.findings import TargetFinding, findings, gravity
from probe.report.glossary import MECHANISMS, OUTCOMES, amount, counted, seconds, word
from probe.report.page_style import STYLE
from probe.report.table import seen, target_label

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
# Longer names than this many characters may be broken over lines; phones have room for it.
_WHOLE = 34


class Row(Struct, frozen=True):
    """One site in the report.

    Attributes:
        finding: Of the run in which it was gravest; of equal ones the newest.
        same: In how many runs it had this outcome. runs: in how many it was measured.
    """

    finding: TargetFinding[Record]
    same: int
    runs: int


def html(records: Sequence[Record], *, made: str) -> str:
    """Return the report on these records; `made` is the time of the report as text."""
    rows = _rows(records)
    found = [row.finding for row in rows]
    parts = (
        _head(),
        _about(records, made),
        _overview(found, records),
        _sites(rows),
        _curves(found),
        _evidence(found),
        _glossary(found),
        "</body></html>\n",
    )
    return "\n".join(part for part in parts if part)


def _rows(records: Iterable[Record]) -> list[Row]:
    """Return one row for each target, over all runs."""
    by_run: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_run[record.run].append(record)
    by_target: dict[str, list[TargetFinding[Record]]] = defaultdict(list)
    for run in sorted(by_run, key=lambda run: min(one.started_at for one in by_run[run])):
        for one in findings(by_run[run]):
            # The connection itself has no name; its experiments stay apart.
            by_target[one.target or f":{one.gravest.experiment}"].append(one)
    rows = []
    for several in by_target.values():
        worst = min(reversed(several), key=lambda one: gravity(one.gravest))
        same = sum(one.outcome is worst.outcome for one in several)
        rows.append(Row(worst, same, len(several)))
    order = list(COLOURS)
    return sorted(rows, key=lambda row: (order.index(row.finding.outcome), row.finding.target))


def _head() -> str:
    title = escape(_("Network interference report"))
    return (
        f'<!DOCTYPE html><html lang="{current()}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
    )


def _about(records: Sequence[Record], made: str) -> str:
    """Return when, where and by what this was measured."""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{_text(it)}</dd>" for name, it in _facts(records))
    lab = _("Made in a test laboratory: says nothing about the real internet.")
    warning = f'<p class="warn"><strong>{escape(lab)}</strong></p>'
    created = _(
        "Created {time} by qazprobe. Each verdict rests on the observations under “{title}”."
    )
    return (
        f"{warning if any(one.lab for one in records) else ''}<dl>{facts}</dl>"
        f'<p class="soft">{_text(created.format(time=made, title=_("Evidence")))}</p>'
    )


def _facts(records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    times = sorted(one.started_at for one in records)
    if not times:
        return
    first, last = _moment(times[0]), _moment(times[-1])
    yield _("Measured"), first if first == last else f"{first} … {last}"
    vantages = {one.vantage for one in records if one.vantage.asn or one.vantage.country}
    networks = {network_label(one.country, one.asn, one.network) for one in vantages}
    yield _("Network"), "; ".join(sorted(networks)) or _("an unknown network")
    if regions := sorted({one.region for one in vantages if one.region}):
        yield _("Region"), ", ".join(regions)
    runs = dict.fromkeys(one.run for one in records)
    if len(runs) == 1:
        yield _("Run"), next(iter(runs))
    else:
        yield _("Runs"), str(len(runs))
    if cost := sum(one.facts.bytes_in + one.facts.bytes_out for one in records if one.facts):
        took = sum(one.elapsed for one in records if one.facts)
        yield _("Cost"), f"{amount(cost)}, {seconds(took)}"
    if versions := sorted({one.vantage.version for one in records if one.vantage.version}):
        yield _("Version"), f"qazprobe {', '.join(versions)}"


def _moment(text: str) -> str:
    """Return a record's time to the minute."""
    return f"{text[:10]} {text[11:16]} UTC" if len(text) >= 16 else text


def _overview(found: Sequence[TargetFinding[Record]], records: Sequence[Record]) -> str:
    if not found:
        return f"<p>{escape(_('No results.'))}</p>"
    counts = Counter(one.outcome for one in found)
    missing = [unmeasured.sentence(one.facts) for one in records if one.facts]
    legend = " ".join(_tag(one, counted(counts[one], one)) for one in COLOURS if counts[one])
    lines = dict.fromkeys(text for text in missing if text)
    said = f"<p>{legend}</p>" + "".join(f"<p>{_text(line)}.</p>" for line in lines)
    return f"<h2>{escape(_('Overview'))}</h2>{by_category(found)}{said}"


def _sites(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    names = (_("Site"), _("Outcome"), _("Mechanism and reason"), _("Confidence"))
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(map(_site, rows))
    table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<h2>{escape(_("Sites"))}</h2><table class="sites">{table}</table>'


def _site(row: Row) -> str:
    one = row.finding
    verdict = one.verdict
    mechanisms = " ".join(f"<code>{_text(name)}</code>" for name in verdict.mechanisms)
    why = _text(reason(verdict.rules[0].reason)) if verdict.rules else ""
    notes = [seen(one.records)] if len(one.records) > 1 else []
    if row.runs > 1:
        text = ngettext("in {same} of {number} run", "in {same} of {number} runs", row.runs)
        notes.append(text.format(same=row.same, number=row.runs))
        notes.append(_moment(one.gravest.started_at))
    small = "".join(f"<small>{_text(note)}</small>" for note in notes)
    return (
        f'<tr><td class="site">{_name(target_label(one.target, one.gravest.experiment))}</td>'
        f'<td class="out">{_tag(one.outcome)}</td><td class="what">{mechanisms} {why}{small}</td>'
        f'<td class="sure">{_text(certainty(verdict))}</td></tr>'
    )


def _name(label: str) -> str:
    """Return the name of a site, which is broken over lines only if it is long."""
    return f'<span class="whole">{_text(label)}</span>' if len(label) <= _WHOLE else _text(label)


def _curves(found: Iterable[TargetFinding[Record]]) -> str:
    """Return the transfers of what was throttled, beside those of the reference."""
    figures = [
        f"<figure><figcaption>{_text(target_label(one.target, record.experiment))}</figcaption>"
        f"{chart}</figure>"
        for one in found
        if one.outcome is Outcome.THROTTLED
        for record in one.records
        if (chart := transfer_curves(record))
    ]
    if not figures:
        return ""
    title, what = _("Transfers"), _("Bytes received over time: this name, and the reference")
    return (
        f'<h2>{escape(title)}</h2><p class="soft">{escape(what)}</p>'
        f'<div class="grid">{"".join(figures)}</div>'
    )


def _evidence(found: Iterable[TargetFinding[Record]]) -> str:
    parts = [
        _record(record)
        for one in found
        if one.outcome is not Outcome.OK
        for record in sorted(one.records, key=lambda it: it is not one.gravest)
    ]
    return f"<h2>{escape(_('Evidence'))}</h2>{''.join(parts)}" if parts else ""


def _record(record: Record) -> str:
    sections = "".join(
        f"<h4>{_text(section.title)}</h4><ul>{_items(section.lines)}</ul>"
        for section in explain(record).sections
    )
    mark = sign(record.verdict.outcome) if record.verdict else ""
    title = f"{mark}<code>{_text(record.experiment)}</code> {_text(headline(record))}"
    return f'<details><summary>{title}</summary></details><div class="evidence">{sections}</div>'


def _items(lines: Iterable[str]) -> str:
    return "".join(f"<li>{_text(line)}</li>" for line in lines)


def _glossary(found: Sequence[TargetFinding[Record]]) -> str:
    """Explain the outcomes and mechanisms that occur in this report."""
    verdicts = [record.verdict for one in found for record in one.records if record.verdict]
    outcomes = {verdict.outcome for verdict in verdicts}
    mechanisms = {one for verdict in verdicts for one in verdict.mechanisms}
    rows = [(_tag(one), _(OUTCOMES[one])) for one in COLOURS if one in outcomes]
    rows += [(f"<code>{one}</code>", _(MECHANISMS[one])) for one in Mechanism if one in mechanisms]
    body = "".join(f"<tr><td>{name}</td><td>{escape(text)}</td></tr>" for name, text in rows)
    title = escape(_("Glossary"))
    return f"<h2>{title}</h2><table><tbody>{body}</tbody></table>" if rows else ""


def _tag(outcome: Outcome, text: str = "") -> str:
    return f'<span class="tag">{sign(outcome)}{escape(text or word(outcome))}</span>'


def _text(text: str) -> str:
    return escape(plain(text, 500))
