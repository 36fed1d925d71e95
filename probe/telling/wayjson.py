"""A trace for a script: what was found, as one JSON object."""

from collections.abc import Mapping

import msgspec

from probe.model import Record
from probe.owners import Owner
from probe.reading import path
from probe.telling import waytext


def summary(record: Record, owners: Mapping[str, Owner]) -> str:
    """Routers and findings, and the verdict's one reason."""
    routers = waytext.routers_at(record)
    verdict = record.verdict
    said = {
        "id": record.id,
        "input": record.input,
        "outcome": verdict.outcome if verdict else None,
        "reason": verdict.rules[0].reason if verdict and verdict.rules else None,
        "routers": [
            {"hop": ttl, "address": step.address, "owner": owners.get(step.address or "")}
            for ttl, step in routers.items()
        ],
        "layers": {layer: _layer(record, layer, owners) for layer in path.LAYERS},
    }
    return msgspec.json.encode(said).decode()


def _layer(record: Record, layer: path.Layer, owners: Mapping[str, Owner]) -> dict[str, object]:
    found = path.locate(record.steps, layer)
    said: dict[str, object] = {
        "hops": path.hops(record.steps, layer),
        "server": path.server_at(record.steps, layer),
        "proxy": path.taken_over(record.steps, layer),
        "residual": path.residual(record.steps, layer),
        "finding": None,
    }
    if found is not None:
        said["finding"] = {
            "fate": found.fate,
            "after": found.after,
            "by": found.by,
            "stands": found.stands,
            "trigger": found.trigger,
            "injected": found.injected,
            "own": found.own,
            "place": waytext.place(record, found, owners),
        }
    return said
