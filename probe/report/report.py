"""One HTML file that says what was found and why: to be mailed, printed, or opened years later.

Rule: it holds everything it needs and runs nothing. No script, no font, no picture from elsewhere;
a policy in its head forbids browsers to fetch any. Every word that a stranger may have written is
escaped on its way in.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from types import MappingProxyType

from probe.escape import plain
from probe.model import Outcome, Record
from probe.report.explain import explain, place
from probe.report.glossary import MECHANISMS, OUTCOMES

# Told apart by people who do not see red and green, in light and in dark.
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
    """The report on some records; `made` says when, in words."""
    judged = [record for record in records if record.verdict]
    judged.sort(key=lambda record: (_rank(record), record.input, record.started_at))
    parts = (
        _head(records, made),
        _bar(Counter(_outcome(record) for record in judged)),
        _table(judged),
        "<h2>Evidence</h2>",
        *(_evidence(record) for record in judged if _outcome(record) is not Outcome.OK),
        _words(judged),
        "</body></html>\n",
    )
    return "\n".join(part for part in parts if part)


def _head(records: Sequence[Record], made: str) -> str:
    places = {
        place(one.vantage.country, one.vantage.asn, one.vantage.network)
        for one in records
        if one.experiment != "run"
    }
    times = sorted(one.started_at for one in records)
    span = f"{times[0]} to {times[-1]}" if times else "nothing measured"
    lab = any(one.lab for one in records)
    warning = (
        "<p><strong>Made in a laboratory: it says nothing about the real internet.</strong></p>"
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>What this network does</title><style>{_STYLE}</style></head><body>"
        "<h1>What this network does</h1>"
        f"<p>Seen from {_text('; '.join(sorted(places)) or 'an unknown network')}.<br>"
        f"{_text(span)}.</p>{warning if lab else ''}"
        f'<p class="soft">Made {_text(made)} by qazprobe. A verdict is a claim; the steps under '
        "“Evidence” are what it rests on.</p>"
    )


def _bar(counts: Counter[Outcome]) -> str:
    """How many of each outcome, as one bar and one line of text."""
    total = sum(counts.values())
    if not total:
        return "<p>Nothing was judged.</p>"
    pieces, said, left = [], [], 0.0
    for outcome in Outcome:
        if count := counts[outcome]:
            width = 100 * count / total
            pieces.append(
                f'<rect x="{left:.3f}%" y="0" width="{width:.3f}%" height="28" '
                f'fill="{COLOURS[outcome]}"><title>{count} {outcome}</title></rect>'
            )
            left += width
            said.append(f"{count} {outcome}")
    label = ", ".join(said)
    return f'<svg role="img" aria-label="{label}">{"".join(pieces)}</svg><p>{label}.</p>'


def _table(records: Iterable[Record]) -> str:
    rows = "".join(
        f"<tr><td>{_text(record.input)}</td><td>{_tag(_outcome(record))}</td>"
        f'<td>{_text(_reason(record))}</td><td class="soft">{_sure(record)}</td></tr>'
        for record in records
    )
    head = "<tr><th>Site</th><th>Outcome</th><th>Why</th><th>Sure</th></tr>"
    return f"<h2>Sites</h2><table>{head}{rows}</table>" if rows else ""


def _evidence(record: Record) -> str:
    told = explain(record)
    sections = "".join(
        f"<h3>{_text(section.title)}</h3><pre>{_block(section.lines)}</pre>"
        for section in told.sections
    )
    return f"<details><summary>{_text(told.headline)}</summary>{sections}</details>"


def _words(records: Iterable[Record]) -> str:
    """What the words in this report mean, those that occur."""
    verdicts = [record.verdict for record in records if record.verdict]
    outcomes = sorted({verdict.outcome for verdict in verdicts}, key=list(Outcome).index)
    mechanisms = sorted({one for verdict in verdicts for one in verdict.mechanisms})
    rows = [f"<tr><td>{_tag(one)}</td><td>{escape(OUTCOMES[one])}</td></tr>" for one in outcomes]
    rows += [f"<tr><td>{one}</td><td>{escape(MECHANISMS[one])}</td></tr>" for one in mechanisms]
    return f"<h2>Words</h2><table>{''.join(rows)}</table>" if rows else ""


def _outcome(record: Record) -> Outcome:
    return record.verdict.outcome if record.verdict else Outcome.INCONCLUSIVE


def _rank(record: Record) -> int:
    """What interferes first, what works last."""
    order = (Outcome.INTERCEPTED, Outcome.BLOCKED, Outcome.THROTTLED, Outcome.INCONCLUSIVE)
    found = _outcome(record)
    return order.index(found) if found in order else len(order) + list(Outcome)[::-1].index(found)


def _reason(record: Record) -> str:
    rules = record.verdict.rules if record.verdict else ()
    return rules[0].reason if rules else ""


def _sure(record: Record) -> str:
    verdict = record.verdict
    return f"{verdict.confidence:.0%}, {verdict.stage}" if verdict else ""


def _tag(outcome: Outcome) -> str:
    return f'<span class="tag" style="background:{COLOURS[outcome]}">{outcome}</span>'


def _text(text: str) -> str:
    return escape(plain(text, 500))


def _block(lines: Iterable[str]) -> str:
    return "\n".join(_text(line) for line in lines)
