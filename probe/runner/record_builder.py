"""From steps to a record that may be written: built, and small enough to send."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe import codec
from probe.model import Control, Http, Record, RunFacts, Span, Steps, Vantage
from probe.ordering import Job
from probe.runner.ports import TargetNet

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Measurement:
    """One target as it was measured, not judged yet.

    Attributes:
        origin: The monotonic instant its steps count from.
        net: Kept for the second look, which goes on counting.
        loaded: When another experiment loaded the line meanwhile.
    """

    id: str
    job: Job
    started: datetime
    origin: float
    net: TargetNet
    steps: Steps
    elapsed: float
    loaded: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What all records of one run share."""

    run: str
    lab: bool
    ruleset: str = "1"


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def build(
    look: Measurement, heading: RunHeader, vantage: Vantage, controls: "Sequence[Control]" = ()
) -> Record:
    """The record of one look, without facts of the line and without a verdict."""
    certs = {digest: base64.b64encode(der).decode() for digest, der in look.net.certs.items()}
    return Record(
        id=look.id,
        run=heading.run,
        experiment=look.job.experiment,
        input=look.job.url,
        category=look.job.category,
        lab=heading.lab,
        started_at=instant(look.started),
        elapsed=round(look.elapsed, 6),
        vantage=vantage,
        steps=look.steps,
        certs=certs,
        control=tuple(controls),
        loaded=look.loaded,
        ruleset=heading.ruleset,
    )


def fit(record: Record, limit: int = codec.LINE_LIMIT - 16 * 1024) -> Record:
    """Leave out the bulkiest evidence, page bodies and then certificates, of an overlong record.

    The limit leaves room for a verdict.
    """
    if len(codec.encode(record)) <= limit:
        return record
    steps = tuple(
        replace(step, body=None) if isinstance(step, Http) else step for step in record.steps
    )
    smaller = replace(record, steps=steps)
    if len(codec.encode(smaller)) <= limit:
        return smaller
    smaller = replace(smaller, certs={})
    # What is still too long after that came from somebody who wanted it to be.
    while len(codec.encode(smaller)) > limit and smaller.steps:
        smaller = replace(smaller, steps=smaller.steps[: len(smaller.steps) // 2])
    return smaller


def run_record(
    heading: RunHeader,
    vantage: Vantage,
    *,
    started: datetime,
    elapsed: float,
    steps: Steps,
    facts: RunFacts,
) -> Record:
    """The one record that speaks of the run itself; its id is the run's."""
    return Record(
        id=heading.run,
        run=heading.run,
        experiment="run",
        input="",
        lab=heading.lab,
        started_at=instant(started),
        elapsed=round(elapsed, 6),
        vantage=vantage,
        steps=steps,
        facts=facts,
        ruleset=heading.ruleset,
    )
