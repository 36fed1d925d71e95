"""One trace of one target for `qazprobe trace`, from the settings to a finished record."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from probe import reference_data, uuid7
from probe.config import Settings
from probe.experiments import trace as experiment
from probe.experiments.interface import Task
from probe.judge import RULESET, judge
from probe.model import Record
from probe.net.session import NetSession
from probe.ordering import Job
from probe.runner import record_builder
from probe.runner.record_builder import Measurement, RunHeader
from probe.runner.wiring import session_settings
from probe.vantage import VantageLookup


@dataclass(frozen=True, slots=True)
class TraceResult:
    """The record, scrubbed and judged, and the packet captures, if any."""

    record: Record
    captures: tuple[bytes, ...]


async def trace(
    settings: Settings, state: Path, url: str, options: Mapping[str, object]
) -> TraceResult:
    """Measure, scrub, judge."""
    vantage = VantageLookup(settings, state, None)
    async with NetSession(session_settings(settings)) as session:
        started, origin = datetime.now(UTC), time.monotonic()
        net = session.net(origin)
        task = Task(url, settings.seed or 0, harmless=_harmless(url), options=options)
        steps = await experiment.measure(task, net)
    elapsed = time.monotonic() - origin
    id_ = uuid7.new(started.timestamp())
    job = Job(experiment.EXPERIMENT.name, url)
    measurement = Measurement(id_, job, started, origin, net, steps, elapsed)
    header = RunHeader(uuid7.new(started.timestamp()), settings.lab, RULESET)
    record = record_builder.build(measurement, header, await vantage.now())
    record = record_builder.fit(record_builder.scrubbed(record))
    return TraceResult(replace(record, verdict=judge(record)), tuple(net.captures))


def _harmless(url: str) -> tuple[str, ...]:
    """A harmless name, if possible one that is served from the target's own addresses."""
    host = Job("", url).host
    pair = reference_data.harmless_pairs().get(host)
    return (pair,) if pair is not None else reference_data.harmless_names()[:1]
