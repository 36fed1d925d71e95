"""Large metric families as Prometheus text: fast, escaped, with a limit on the number of series.

Rule: dropped series are counted. Families are given their series in order, so that a later one
cannot displace an earlier one; each keeps a small share of the limit for itself. Within a family
the series with the greatest weight (mostly the number of probes) are kept, so that invented small
series cannot displace real ones.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

# The part of the limit that a family is sure of, however many series come before it.
RESERVED = 0.02

Labels = tuple[str, ...]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One series: label values, its value, and its weight when series are dropped."""

    labels: Labels
    value: float
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class HistogramSeries:
    """One histogram: values of the family's labels, and counts per bucket (not cumulative)."""

    labels: Labels
    counts: Sequence[int]
    total_seconds: float


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One metric with its labels."""

    name: str
    help: str
    type: Literal["gauge", "counter", "histogram"]
    labels: Labels
    samples: Sequence[MetricSample] = ()
    histograms: Sequence[HistogramSeries] = ()
    bounds: Sequence[float] = field(default=())

    @property
    def unit(self) -> int:
        """The number of series that one sample or one histogram takes."""
        return len(self.bounds) + 2 if self.type == "histogram" else 1

    @property
    def wanted(self) -> int:
        """The number of series that it has."""
        return self.unit * (len(self.samples) + len(self.histograms))


@dataclass(frozen=True, slots=True)
class Exposition:
    """Encoded families, and the number of series in them and left out."""

    body: bytes
    shown: int
    dropped: int


def encode(families: Iterable[MetricFamily], limit: int) -> Exposition:
    """All families in Prometheus's text format, with at most `limit` series together."""
    every = list(families)
    lines: list[str] = []
    shown = dropped = 0
    for family, budget in zip(every, budgets([one.wanted for one in every], limit), strict=True):
        lines += [f"# HELP {family.name} {family.help}", f"# TYPE {family.name} {family.type}"]
        kept = budget // family.unit
        shown += kept * family.unit
        dropped += family.wanted - kept * family.unit
        if family.type == "histogram":
            lines += _histograms(family, kept)
        else:
            lines += _samples(family, kept)
    return Exposition("\n".join([*lines, ""]).encode(), shown, dropped)


def budgets(wanted: Sequence[int], limit: int) -> list[int]:
    """The number of series for each family, in order, with a small reserve for later ones."""
    sure = [min(one, int(RESERVED * limit)) for one in wanted]
    found: list[int] = []
    for number, one in enumerate(wanted):
        free = limit - sum(found) - sum(sure[number + 1 :])
        found.append(max(0, min(one, free)))
    return found


def _samples(family: MetricFamily, kept: int) -> list[str]:
    samples = family.samples
    if kept < len(samples):
        samples = sorted(samples, key=lambda sample: (-sample.weight, sample.labels))[:kept]
    return [
        f"{family.name}{braced(family.labels, sample.labels)} {_number(sample.value)}"
        for sample in samples
    ]


def _histograms(family: MetricFamily, kept: int) -> list[str]:
    heaviest = sorted(family.histograms, key=lambda one: (-sum(one.counts), one.labels))
    lines: list[str] = []
    for one in heaviest[:kept]:
        so_far = 0
        for bound, count in zip(family.bounds, one.counts, strict=True):
            so_far += count
            braces = braced((*family.labels, "le"), (*one.labels, _number(bound)))
            lines.append(f"{family.name}_bucket{braces} {so_far}")
        braces = braced(family.labels, one.labels)
        lines.append(f"{family.name}_sum{braces} {_number(one.total_seconds)}")
        lines.append(f"{family.name}_count{braces} {so_far}")
    return lines


def braced(names: Labels, values: Labels) -> str:
    """Labels as they are written after the name of a metric."""
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in pairs) + "}"


def _escape(value: str) -> str:
    if "\\" not in value and '"' not in value and "\n" not in value:
        return value
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
