"""The result of a run as Prometheus text, for the textfile collector of node_exporter.

The names are those of the collector's metrics where both mean the same. Every label is from a
closed list or escaped; of targets only those of a list are named, since every user of the machine
may read the file: the others are counted together as `unlisted`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from statistics import median

from msgspec import Struct, field
from msgspec.structs import replace

from probe.analysis.shown_arms import shown_arms
from probe.model import Record, Transfer
from probe.ordering import SERVICE
from probe.report import unmeasured
from probe.report.findings import findings
from probe.urls import slug

UNLISTED = "unlisted"
CONNECTION = "connection"
_RUN = "run"
_MAX_LABEL = 100

Labels = tuple[tuple[str, str], ...]
Samples = Mapping[Labels, float]


class Collected(Struct):
    """The records of a round, without what the text does not need."""

    records: list[Record] = field(default_factory=list)

    def take(self, record: Record) -> None:
        """Keep one record."""
        steps = tuple(
            replace(step, samples=()) for step in record.steps if isinstance(step, Transfer)
        )
        self.records.append(replace(record, steps=steps, certs={}, control=()))


def render(
    records: Iterable[Record], run: Record, *, unlisted: frozenset[str], offline: bool
) -> str:
    """Return the text.

    Args:
        run: The run's own record.
        unlisted: Inputs that are on no list.
        offline: Nothing answered in this run.
    """
    kept = list(records)
    lines: list[str] = []
    for name, meaning, samples in (
        *_targets(kept, unlisted),
        *_throughput(kept, unlisted),
        *_run(run, offline=offline),
    ):
        if samples:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_text(labels)} {_number(samples[labels])}" for labels in samples]
    return "\n".join([*lines, ""])


def _targets(
    records: Sequence[Record], unlisted: frozenset[str]
) -> Iterator[tuple[str, str, Samples]]:
    outcomes: Counter[Labels] = Counter()
    mechanisms: Counter[Labels] = Counter()
    named: set[str] = set()
    # Of several URLs of one target (http and https) the gravest counts; `findings` begins with it.
    for one in findings(records):
        target = _target(one.target, unlisted)
        if target in named:
            continue
        category = "" if target == UNLISTED else one.category or ""
        outcomes[("target", target), ("category", category), ("outcome", one.outcome)] += 1
        for mechanism in one.verdict.mechanisms:
            mechanisms[("target", target), ("mechanism", mechanism)] += 1
        named |= {target} - {UNLISTED}
    meaning = "1 for the outcome of each target in the last run; a number for those on no list."
    yield "qazprobe_target_outcome", meaning, outcomes
    yield "qazprobe_target_mechanism", "How the network interferes with a target.", mechanisms


def _throughput(
    records: Sequence[Record], unlisted: frozenset[str]
) -> Iterator[tuple[str, str, Samples]]:
    rates: dict[Labels, float] = {}
    ratios: dict[Labels, float] = {}
    for record in records:
        target = _target(record.input, unlisted)
        if target == UNLISTED:
            continue
        found = _median_rates(record)
        rates |= {(("target", target), ("arm", arm)): rate for arm, rate in found.items()}
        if len(found) == 2:
            ratios[(("target", target),)] = found["target"] / found["reference"]
    yield (
        "qazprobe_throughput_bytes_per_second",
        "The median rate under the target's name, and under the reference's.",
        rates,
    )
    yield "qazprobe_throttle_ratio", "The target's rate divided by the reference's.", ratios


def _median_rates(record: Record) -> dict[str, float]:
    """The median rate of each arm that moved bytes."""
    arms = zip(("target", "reference"), shown_arms(record.steps), strict=True)
    moved = [(s.arm, s.rate) for s in record.steps if isinstance(s, Transfer) and s.rate]
    rates = {arm: [rate for its, rate in moved if its in chosen] for arm, chosen in arms}
    return {arm: median(found) for arm, found in rates.items() if found}


def _run(run: Record, *, offline: bool) -> Iterator[tuple[str, str, Samples]]:
    facts, line = run.facts, run.line
    yield (
        "qazprobe_run_timestamp_seconds",
        "When the last run began, in seconds since 1970.",
        {(): datetime.fromisoformat(run.started_at).timestamp()},
    )
    yield "qazprobe_run_duration_seconds", "How long the last run took.", {(): run.elapsed}
    yield "qazprobe_run_offline", "1 if nothing answered in the last run.", {(): float(offline)}
    if facts is not None:
        skipped = sum(unmeasured.counts(facts).values())
        traffic: dict[Labels, float] = {
            (("direction", "in"),): float(facts.bytes_in),
            (("direction", "out"),): float(facts.bytes_out),
        }
        ended = float(facts.ended == "finished")
        yield "qazprobe_run_targets", "Targets of the last run.", {(): facts.targets}
        yield "qazprobe_run_measured", "Records of the last run.", {(): facts.measured}
        yield "qazprobe_run_skipped", "Targets that were not measured.", {(): skipped}
        yield "qazprobe_run_bytes", "Bytes of the measurements.", traffic
        yield "qazprobe_run_complete", "1 if the last run was not cut short.", {(): ended}
    if line is not None:
        classes = {"foreign": line.foreign_alive, "domestic": line.domestic_alive}
        known: dict[Labels, float] = {
            (("class", name),): share for name, share in classes.items() if share is not None
        }
        yield "qazprobe_connectivity_ratio", "The share of anchors that answered.", known


def _target(target: str, unlisted: frozenset[str]) -> str:
    if not target:
        return CONNECTION
    if target in unlisted:
        return UNLISTED
    return target if target.startswith(SERVICE) else slug(target)


def _text(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    short = value if len(value) <= _MAX_LABEL else f"{value[: _MAX_LABEL - 1]}…"
    text = short.encode("utf-8", "replace").decode()
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "")


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else "NaN"
