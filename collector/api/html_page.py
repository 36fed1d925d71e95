"""GET /: the current verdicts as a page for people.

Rule: one self-contained page without scripts and external resources; all values are escaped.
"""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime
from html import escape

from aiohttp import web

from collector.detection.quorum import TargetOnNetwork
from collector.metrics.counting import Snapshot, by_outcome, ratio
from collector.service import SERVICE, Service
from collector.target_labels import TargetLabels

ROWS = 300
_ORDER = ("intercepted", "blocked", "throttled", "refused", "down", "ok", "inconclusive")
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}
td.n{text-align:right;font-variant-numeric:tabular-nums}
b.bad{color:#c22}
footer{margin-top:2rem;font-size:.9rem;opacity:.8}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CSP = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


async def get_page(request: web.Request) -> web.Response:
    """The page."""
    service = request.app[SERVICE]

    async def make() -> str:
        snapshot = await service.snapshots.snapshot()
        return await asyncio.to_thread(render, service, snapshot)

    body = await service.results.get("page", service.snapshots.revision, make)
    headers = {"Content-Security-Policy": CSP, "Cache-Control": "no-cache"}
    return web.Response(text=body, content_type="text/html", charset="utf-8", headers=headers)


def render(service: Service, snapshot: Snapshot) -> str:
    """The page as HTML."""
    probes = sum(row[3] for row in snapshot.active)
    measured = sum(row[4] for row in snapshot.totals)
    hours = service.settings.window / 3600
    at = datetime.fromtimestamp(service.clock(), UTC).strftime("%Y-%m-%d %H:%M UTC")
    lab = "<p><b>This is a laboratory: these are no measurements of real networks.</b></p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>qazprobe collector</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>
<body><h1>Interference with these targets, by network</h1>
{lab if service.settings.lab else ""}
<p>{probes} probes were active in the last {hours:g} hours; {measured} measurements were stored.
Each probe has one vote on each target: its newest verdict, judged again here from its evidence.</p>
{_table(snapshot, service.labels)}
<footer><p>{escape(at)} ·
<a href="/v1/verdicts">verdicts</a> · <a href="/v1/events">events</a> ·
<a href="/v1/interceptions">interceptions</a> ·
<a href="/v1/measurements">measurements</a> · <a href="/v1/export?format=csv">CSV</a> ·
<a href="/v1/export?format=jsonl">JSON lines</a> · <a href="/v1/targets">targets</a></p>
<p>“inconclusive” means that a target was measured and the evidence is not sufficient. A verdict by
few probes is a hint, not a finding.</p></footer></body></html>
"""


def _table(snapshot: Snapshot, labels: TargetLabels) -> str:
    found = by_outcome(snapshot.votes)
    if not found:
        return "<p>No target was measured within this time.</p>"
    ranked = sorted(found.items(), key=lambda item: (-(ratio(item[1]) or 0), item[0]))
    head = "".join(f"<th>{word}</th>" for word in ("target", "category", "network", *_ORDER))
    body = "".join(_row(where, outcomes, labels) for where, outcomes in ranked[:ROWS])
    more = f"<p>{len(ranked) - ROWS} more rows are not shown.</p>" if len(ranked) > ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _row(where: TargetOnNetwork, outcomes: dict[str, int], labels: TargetLabels) -> str:
    target, country, asn = where
    network = f"{country} AS{asn}" if asn else country
    cells = "".join(f'<td class="n">{_count(word, outcomes.get(word, 0))}</td>' for word in _ORDER)
    names = "".join(f"<td>{escape(x)}</td>" for x in (target, labels.category(target), network))
    return f"<tr>{names}{cells}</tr>"


def _count(word: str, n: int) -> str:
    if not n:
        return ""
    return f'<b class="bad">{n}</b>' if word in _ORDER[:3] else str(n)
