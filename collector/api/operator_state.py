"""How a serving collector is: what waits, who works, and how much of each limit is used.

Rule: it runs on the collector's own loop, whose parts it reads, and asks the store for nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import Counter, Gauge

from collector.service import Service
from collector.web.rendering import number

# A limit that is used to this part is shown as a trouble.
NEARLY = 0.9
_ROWS = 12


class StateLine(NamedTuple):
    """One line: a name, its value, the limit, and whether it is a trouble."""

    name: str
    value: str
    limit: str = ""
    bad: bool = False


class Group(NamedTuple):
    """Lines under one heading."""

    title: str
    rows: tuple[StateLine, ...]

    @property
    def limited(self) -> bool:
        """Whether any line has a limit."""
        return any(row.limit for row in self.rows)


def groups(service: Service) -> tuple[Group, ...]:
    """All of it, group by group; without those that have nothing to say."""
    every = (
        Group("Waiting to be judged", tuple(_backlog(service))),
        Group("Workers", tuple(_workers(service))),
        Group("Limits", tuple(_limits(service))),
        Group("Refused since the start", _by_label(service.instruments.rejected)),
        Group("Doubted since the start", _by_label(service.instruments.doubted)),
    )
    return tuple(group for group in every if group.rows)


def troubles(service: Service) -> tuple[str, ...]:
    """What needs the operator, in a few words each."""
    found = {
        "the store refused the last write": service.store.unhealthy,
        "no batch was stored for two minutes": service.ingesting.stalled,
        "no waiting record was judged for two minutes": service.backlog.stalled,
        "so much waits that nothing more is taken": service.backlog.full,
    }
    return tuple(word for word, holds in found.items() if holds)


def _backlog(service: Service) -> Iterator[StateLine]:
    state, limit = service.backlog.state, service.settings.limits.backlog_records
    yield _used("records", state.records, limit)
    age = 0.0 if state.since is None else max(0.0, service.clock() - state.since)
    yield StateLine("age of the oldest", f"{age:.0f} s", bad=service.backlog.stalled)


def _workers(service: Service) -> Iterator[StateLine]:
    wanted, pids = service.settings.workers, service.judging.pids
    if wanted:
        yield StateLine("processes", str(len(pids)), str(wanted), bad=len(pids) < wanted)
        if pids:
            yield StateLine("their process ids", " ".join(map(str, pids)))
    else:
        yield StateLine("processes", "none: this process judges")
    restarts = _total(service.instruments.judging_restarts)
    yield StateLine("ended and started again", f"{restarts:.0f}", bad=restarts > 0)
    yield StateLine("records judged since the start", number(_total(service.instruments.judged)))
    for row in _by_label(service.instruments.unjudged):
        yield StateLine(f"stored without a verdict: {row.name}", row.value, bad=True)


def _limits(service: Service) -> Iterator[StateLine]:
    limits = service.settings.limits
    yield _used("open connections", len(service.door.connections), limits.connections)
    yield _used("TLS handshakes", len(service.door.handshakes), limits.handshakes)
    megabyte = 1024 * 1024
    held = _used("held in memory", service.memory.held, limits.held_bytes)
    yield held._replace(
        value=f"{service.memory.held / megabyte:.1f} MB",
        limit=f"{limits.held_bytes / megabyte:.0f} MB",
    )
    for name, queue in service.queues.items():
        yield _used(f"readers: {name}", queue.taken, queue.limit)
    instruments = service.instruments
    yield _used("series", int(_total(instruments.series)), service.settings.max_series)
    dropped = int(_total(instruments.series_dropped))
    yield StateLine("series left out", str(dropped), bad=dropped > 0)
    for row in _by_label(instruments.closed):
        yield StateLine(f"connections closed: {row.name}", row.value)


def _used(name: str, value: int, limit: int) -> StateLine:
    return StateLine(name, number(value), number(limit), bad=value > NEARLY * limit)


def _by_label(counter: Counter) -> tuple[StateLine, ...]:
    """The values of a counter with one label, the largest first."""
    found = {
        next(iter(sample.labels.values())): sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.labels and sample.value
    }
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple(StateLine(name, number(value)) for name, value in ranked[:_ROWS])


def _total(counter: Counter | Gauge) -> float:
    """The value of an instrument without labels."""
    return sum(sample.value for metric in counter.collect() for sample in metric.samples)
