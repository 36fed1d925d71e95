"""The findings of a trace as one JSON object, for scripts."""

from collections.abc import Mapping

import msgspec

from probe.analysis import trace_analysis, trace_hops
from probe.analysis.evidence import Evidence
from probe.analysis.trace_hops import LAYERS, Layer
from probe.asn_table import Owner
from probe.model import Record
from probe.report import trace_text


def summary(record: Record, owners: Mapping[str, Owner]) -> str:
    """Return the routers, the findings by layer, and the verdict's first reason."""
    routers = trace_text.routers_at(record)
    verdict = record.verdict
    fields = {
        "id": record.id,
        "input": record.input,
        "outcome": verdict.outcome if verdict else None,
        "rule": verdict.rules[0].id if verdict and verdict.rules else None,
        "reason": verdict.rules[0].reason if verdict and verdict.rules else None,
        "routers": [
            {"hop": ttl, "address": step.address, "owner": owners.get(step.address or "")}
            for ttl, step in routers.items()
        ],
        "place": verdict.place if verdict else None,
        "layers": {layer: _layer(record, layer) for layer in LAYERS},
    }
    return msgspec.json.encode(fields).decode()


def _layer(record: Record, layer: Layer) -> dict[str, object]:
    found = trace_analysis.locate(record.steps, layer)
    fields: dict[str, object] = {
        "hops": trace_hops.hops(record.steps, layer),
        "server": trace_hops.server_at(record.steps, layer),
        "spread": trace_hops.spread(record.steps, layer),
        "proxy": trace_hops.taken_over(record.steps, layer),
        "once": _single(record, layer),
        "residual": trace_analysis.residual(record.steps, layer),
        "finding": None,
    }
    if found is not None:
        fields["finding"] = {
            "fate": found.result,
            "after": found.after,
            "by": found.by,
            "stands": found.position,
            "trigger": found.trigger,
            "injected": found.injected,
            "own": found.own,
            "early": found.early,
            "where": Evidence(record).stop_of(found),
            "place": trace_text.location(record, found),
        }
    return fields


def _single(record: Record, layer: Layer) -> dict[str, object] | None:
    """A difference in too few attempts to locate anything."""
    found = trace_analysis.single_look(record.steps, layer)
    if found is None:
        return None
    return {
        "hop": found.ttl,
        "target": found.result,
        "harmless": found.harmless,
        "punished": found.punished,
    }
