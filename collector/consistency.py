"""Whether the steps of one record can have happened together.

A probe that invents a record has to invent times, bytes and connections that fit each other. These
checks need nothing but the record, so they cost an inventor some care and an honest probe nothing:
each of them holds for every record that the laboratory produced. A record with a contradiction is
kept and shown; it does not count in any vote.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from probe.failure import Failure
from probe.model import Dns, Http, Quic, Record, Step, Tcp, Tls, Transfer

Contradiction: TypeAlias = Literal["times", "connections", "bytes", "addresses"]

# Seconds. Clocks are read one after the other, and a busy machine resumes a task late.
SLACK = 5.0
_CONNECTED = (Tls, Http)


def contradictions(record: Record) -> tuple[Contradiction, ...]:
    """Which kinds of contradiction the steps of a record have; empty for a possible record."""
    return tuple(dict.fromkeys(_find(record)))


def _find(record: Record) -> Iterator[Contradiction]:
    steps = {step.id: step for step in record.steps}
    if len(steps) != len(record.steps):
        yield "connections"
    known = _known_addresses(record)
    for step in record.steps:
        if not _times_are_possible(step, record):
            yield "times"
        if not _parent_is_possible(step, steps):
            yield "connections"
        if not _bytes_are_possible(step):
            yield "bytes"
        if known is not None and isinstance(step, Tcp) and _is_unexplained(step, known):
            yield "addresses"


def _times_are_possible(step: Step, record: Record) -> bool:
    """It took time, within its limit and within the record, and a timeout waited for its limit."""
    ended = step.at + step.elapsed
    if step.elapsed < 0 or ended > record.elapsed + SLACK:
        return False
    if step.limit and step.elapsed > step.limit + SLACK:
        return False
    waited = step.elapsed >= 0.8 * step.limit
    return waited or step.failure is not Failure.TIMEOUT or not isinstance(step, Tcp)


def _parent_is_possible(step: Step, steps: Mapping[int, Step]) -> bool:
    """Its parent came before it, and what goes through a connection has that connection's end."""
    if step.parent is None:
        return True
    parent = steps.get(step.parent)
    if parent is None or parent.id >= step.id:
        return False
    if not isinstance(step, _CONNECTED) or not isinstance(parent, Tcp | Tls):
        return True
    if parent.failure is not None or parent.at + parent.elapsed > step.at + SLACK:
        return False
    return (step.address, step.port) == (parent.address, parent.port)


def _bytes_are_possible(step: Step) -> bool:
    """An answer has bytes, and ciphertext is no shorter than what it carried."""
    if isinstance(step, Tls | Quic):
        answered = step.failure is None or (step.alert is not None and _by_peer(step))
        return bool(step.bytes_in) or not answered
    if isinstance(step, Http):
        return step.status is None or step.bytes_in > 0
    if isinstance(step, Transfer):
        return step.wire_bytes >= step.received_bytes
    return True


def _by_peer(step: Tls | Quic) -> bool:
    return isinstance(step, Tls) and step.alert_by == "peer"


def _known_addresses(record: Record) -> frozenset[str] | None:
    """The addresses that a page's name resolved to, here or at a control; None where unknown."""
    if record.experiment != "web":
        return None
    control = tuple(step for one in record.control for step in one.steps)
    literal = urlsplit(record.input).hostname or ""
    return frozenset((literal, *_resolved(record.steps), *_resolved(control)))


def _resolved(steps: tuple[Step, ...]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Dns):
            for reply in step.replies:
                yield from reply.answers
        elif isinstance(step, Tcp) and step.role != "target":
            yield step.address


def _is_unexplained(step: Tcp, known: frozenset[str]) -> bool:
    return step.role == "target" and step.hop == 0 and step.address not in known
