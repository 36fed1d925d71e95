"""The findings of a trace as one JSON object, for scripts."""

from collections.abc import Mapping

import msgspec

from probe.analysis import trace_analysis
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
        "reason": verdict.rules[0].reason if verdict and verdict.rules else None,
        "routers": [
            {"hop": ttl, "address": step.address, "owner": owners.get(step.address or "")}
            for ttl, step in routers.items()
        ],
        "layers": {layer: _layer(record, layer, owners) for layer in trace_analysis.LAYERS},
    }
    return msgspec.json.encode(fields).decode()


def _layer(
    record: Record, layer: trace_analysis.Layer, owners: Mapping[str, Owner]
) -> dict[str, object]:
    found = trace_analysis.locate(record.steps, layer)
    fields: dict[str, object] = {
        "hops": trace_analysis.hops(record.steps, layer),
        "server": trace_analysis.server_at(record.steps, layer),
        "proxy": trace_analysis.taken_over(record.steps, layer),
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
            "place": trace_text.location(record, found, owners),
        }
    return fields
