"""The HTML report: one self-contained file with findings and evidence, for mail, print or archive.

Rule: it contains no script and loads nothing. A Content-Security-Policy in its head forbids the
browser to fetch anything. All text from the network is escaped.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from types import MappingProxyType

from probe.escape import plain
from probe.model import Outcome, Record
from probe.report.explain import explain, network_label
from probe.report.glossary import MECHANISMS, OUTCOMES

# Distinguishable with red-green colour blindness, on light and dark backgrounds.
COLOURS = MappingProxyType(
    {
        Outcome.OK: "#2f8f6b",
        Outcome.BLOCKED: "#c8443a",
        Outcome.INTERCEPTED: "#8d3fb5",
        Outcome.THROTTLED: "#d98218",
        Outcome.REFUSED: "#4a7fc1",
        Outcome.DOWN: "#7d7d7d",
        Outcome.INCONCLUSIVE: "#b3a04b",
    }
)

_STYLE = """
:root{color-scheme:light dark;
--ink:#1c1e21;--soft:#5b6068;--line:#d8dbe0;--paper:#fff;--tint:#f5f6f8}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a2a8b0;--line:#3a3f46;--paper:#16181b;
--tint:#1f2226}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}h3{font-size:.95rem;margin:1rem 0 .2rem}
p.soft,td.soft{color:var(--soft)}svg{display:block;width:100%;height:28px;border-radius:4px}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .6rem;
border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
.tag{display:inline-block;padding:0 .5rem;border-radius:4px;color:#fff;font-size:.85rem}
details{border:1px solid var(--line);border-radius:6px;margin:.6rem 0;padding:.4rem .8rem;
background:var(--tint)}summary{cursor:pointer;overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font-size:.85rem}
@media print{details{break-inside:avoid}}
"""


def html(records: Sequence[Record], *, made: str) -> str:
    """Return the report on these records; `made` is the time of the report as text."""
    judged = [record for record in records if record.verdict]
    judged.sort(key=lambda record: (_rank(record), record.input, record.started_at))
    parts = (
        _head(records, made),
        _bar(Counter(_outcome(record) for record in judged)),
        _table(judged),
        "<h2>Evidence</h2>",
        *(_evidence(record) for record in judged if _outcome(record) is not Outcome.OK),
        _glossary(judged),
        "</body></html>\n",
    )
    return "\n".join(part for part in parts if part)


def _head(records: Sequence[Record], made: str) -> str:
    networks = {
        network_label(one.vantage.country, one.vantage.asn, one.vantage.network)
        for one in records
        if one.experiment != "run"
    }
    times = sorted(one.started_at for one in records)
    span = f"{times[0]} to {times[-1]}" if times else "no measurements"
    lab = any(one.lab for one in records)
    warning = (
        "<p><strong>Made in a test laboratory: says nothing about the real internet.</strong></p>"
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Network interference report</title><style>{_STYLE}</style></head><body>"
        "<h1>Network interference report</h1>"
        f"<p>Measured from {_text('; '.join(sorted(networks)) or 'an unknown network')}.<br>"
        f"{_text(span)}.</p>{warning if lab else ''}"
        f'<p class="soft">Created {_text(made)} by qazprobe. Each verdict is based on the '
        "observations under “Evidence”.</p>"
    )


def _bar(counts: Counter[Outcome]) -> str:
    """Return the number of each outcome as one bar and one line of text."""
    total = sum(counts.values())
    if not total:
        return "<p>No results.</p>"
    pieces, labels, left = [], [], 0.0
    for outcome in Outcome:
        if count := counts[outcome]:
            width = 100 * count / total
            pieces.append(
                f'<rect x="{left:.3f}%" y="0" width="{width:.3f}%" height="28" '
                f'fill="{COLOURS[outcome]}"><title>{count} {outcome}</title></rect>'
            )
            left += width
            labels.append(f"{count} {outcome}")
    label = ", ".join(labels)
    return f'<svg role="img" aria-label="{label}">{"".join(pieces)}</svg><p>{label}.</p>'


def _table(records: Iterable[Record]) -> str:
    rows = "".join(
        f"<tr><td>{_text(record.input)}</td><td>{_tag(_outcome(record))}</td>"
        f'<td>{_text(_reason(record))}</td><td class="soft">{_confidence(record)}</td></tr>'
        for record in records
    )
    head = "<tr><th>Site</th><th>Outcome</th><th>Reason</th><th>Confidence</th></tr>"
    return f"<h2>Sites</h2><table>{head}{rows}</table>" if rows else ""


def _evidence(record: Record) -> str:
    explanation = explain(record)
    sections = "".join(
        f"<h3>{_text(section.title)}</h3><pre>{_text_lines(section.lines)}</pre>"
        for section in explanation.sections
    )
    return f"<details><summary>{_text(explanation.headline)}</summary>{sections}</details>"


def _glossary(records: Iterable[Record]) -> str:
    """Explain the outcomes and mechanisms that occur in this report."""
    verdicts = [record.verdict for record in records if record.verdict]
    outcomes = sorted({verdict.outcome for verdict in verdicts}, key=list(Outcome).index)
    mechanisms = sorted({one for verdict in verdicts for one in verdict.mechanisms})
    rows = [f"<tr><td>{_tag(one)}</td><td>{escape(OUTCOMES[one])}</td></tr>" for one in outcomes]
    rows += [f"<tr><td>{one}</td><td>{escape(MECHANISMS[one])}</td></tr>" for one in mechanisms]
    return f"<h2>Glossary</h2><table>{''.join(rows)}</table>" if rows else ""


def _outcome(record: Record) -> Outcome:
    return record.verdict.outcome if record.verdict else Outcome.INCONCLUSIVE


def _rank(record: Record) -> int:
    """Sort key: interference first, working targets last."""
    order = (Outcome.INTERCEPTED, Outcome.BLOCKED, Outcome.THROTTLED, Outcome.INCONCLUSIVE)
    found = _outcome(record)
    return order.index(found) if found in order else len(order) + list(Outcome)[::-1].index(found)


def _reason(record: Record) -> str:
    rules = record.verdict.rules if record.verdict else ()
    return rules[0].reason if rules else ""


def _confidence(record: Record) -> str:
    verdict = record.verdict
    return f"{verdict.confidence:.0%}, {verdict.stage}" if verdict else ""


def _tag(outcome: Outcome) -> str:
    return f'<span class="tag" style="background:{COLOURS[outcome]}">{outcome}</span>'


def _text(text: str) -> str:
    return escape(plain(text, 500))


def _text_lines(lines: Iterable[str]) -> str:
    return "\n".join(map(_text, lines))
