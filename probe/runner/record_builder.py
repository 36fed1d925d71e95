"""From steps to a record that may be written: built, scrubbed, within the size limit."""

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe import codec
from probe.clip import within_bounds
from probe.model import Control, Http, Record, RunFacts, Span, Steps, Vantage
from probe.ordering import Job
from probe.packed import Packed
from probe.runner.dependencies import TargetNet

if TYPE_CHECKING:
    from collections.abc import Sequence

VERDICT_ROOM = 64 * 1024


class Measurement(Struct, frozen=True):
    """One target as it was measured, before judging.

    Attributes:
        origin: The monotonic instant that the times of its steps count from.
        net: Kept for the confirmation, whose steps count from the same origin.
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


class HeldMeasurement:
    """A measurement that waits: its steps, which are most of it, are packed meanwhile."""

    __slots__ = ("_rest", "_steps")

    def __init__(self, measurement: Measurement) -> None:
        self._rest = replace_steps(measurement, ())
        self._steps: Packed[Steps] = Packed(measurement.steps, Steps)

    @property
    def elapsed(self) -> float:
        """Seconds that it took."""
        return self._rest.elapsed

    def whole(self) -> Measurement:
        """The measurement as it was."""
        return replace_steps(self._rest, self._steps.value())


def replace_steps(measurement: Measurement, steps: Steps) -> Measurement:
    """The same measurement with other steps."""
    return replace(measurement, steps=steps)


class RunHeader(Struct, frozen=True):
    """The fields that all records of a run share."""

    run: str
    lab: bool
    ruleset: str = "1"
    resolver_asn: int | None = None


def instant(moment: datetime) -> str:
    """Format an instant as RFC 3339, in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def build(
    measurement: Measurement,
    header: RunHeader,
    vantage: Vantage,
    controls: "Sequence[Control]" = (),
) -> Record:
    """The record of one measurement, without facts of the line and without a verdict."""
    certs = {
        digest: base64.b64encode(der).decode() for digest, der in measurement.net.certs.items()
    }
    return Record(
        id=measurement.id,
        run=header.run,
        experiment=measurement.job.experiment,
        input=measurement.job.url,
        category=measurement.job.category,
        lab=header.lab,
        started_at=instant(measurement.started),
        elapsed=round(measurement.elapsed, 6),
        vantage=vantage,
        steps=measurement.steps,
        certs=certs,
        resolver_asn=header.resolver_asn,
        control=tuple(controls),
        loaded=measurement.loaded,
        ruleset=header.ruleset,
    )


def scrubbed(record: Record) -> Record:
    """The record without any address except those that were answered for the target or dialled."""
    from probe.scrub import allowed_addresses, scrub  # patterns: long to compile

    return scrub(record, allowed=allowed_addresses(record.steps))


def fit(record: Record, limit: int = codec.LINE_LIMIT - VERDICT_ROOM) -> Record:
    """Bring a record within its bounds, so that no collector refuses it.

    Where it is too long, drop page bodies, then certificates, then steps. The default limit leaves
    room for a verdict.
    """
    if _is_fit(record, limit):
        return record
    record = within_bounds(record)
    if len(codec.encode(record)) <= limit:
        return record
    steps = tuple(
        replace(step, body=None) if isinstance(step, Http) else step for step in record.steps
    )
    smaller = replace(record, steps=steps)
    if len(codec.encode(smaller)) <= limit:
        return smaller
    smaller = replace(smaller, certs={})
    # Only a hostile server makes a record that is still too long.
    while len(codec.encode(smaller)) > limit and smaller.steps:
        smaller = replace(smaller, steps=smaller.steps[: len(smaller.steps) // 2])
    return smaller


def _is_fit(record: Record, limit: int) -> bool:
    """Whether it is within its bounds: most are, and decoding is faster than looking at fields."""
    try:
        line = codec.encode(record)
        codec.check(line)
    except (codec.CodecError, UnicodeError):
        return False
    return len(line) <= limit


def run_record(
    header: RunHeader,
    vantage: Vantage,
    *,
    started: datetime,
    elapsed: float,
    steps: Steps,
    facts: RunFacts,
) -> Record:
    """The record of the run itself; its id is the run's."""
    return Record(
        id=header.run,
        run=header.run,
        experiment="run",
        input="",
        lab=header.lab,
        started_at=instant(started),
        elapsed=round(elapsed, 6),
        vantage=vantage,
        steps=steps,
        resolver_asn=header.resolver_asn,
        facts=facts,
        ruleset=header.ruleset,
    )
