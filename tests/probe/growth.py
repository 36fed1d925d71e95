"""Records that grow: a golden case's steps many times over, as an attacker would send them."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from probe.model import Dns, Http, Record, Role, Step, Tls

# How the copies of a step differ.
SAME, LATER, DISTINCT, SCATTERED = "same", "later", "distinct", "scattered"
WAYS = (SAME, LATER, DISTINCT, SCATTERED)
HOPS = 32
_ROLES = tuple(Role)


def grown(record: Record, count: int, way: str) -> Record:
    """The record with `count` steps, each a copy of one of its own."""
    steps = tuple(_copies(record.steps, count, way))
    control = record.control
    if control and control[0].steps:
        looked = tuple(_copies(control[0].steps, max(1, count // 2), way))
        control = (replace(control[0], steps=looked), *control[1:])
    return replace(record, steps=steps, control=control)


def _copies(steps: Sequence[Step], count: int, way: str) -> list[Step]:
    chance = random.Random(count)
    span = max((step.id for step in steps), default=0) + 1
    made: list[Step] = []
    for number in range(count):
        step, lap = steps[number % len(steps)], number // len(steps)
        changes: dict[str, Any] = {"id": step.id + lap * span}
        if step.parent is not None:
            changes["parent"] = step.parent + lap * span
        if way != SAME:
            changes["at"] = min(step.at + lap * 7.0, 2e6)
        if way in {DISTINCT, SCATTERED}:
            changes.update(_distinct(step, lap))
        if way == SCATTERED:
            changes["hop"] = chance.randrange(HOPS + 1)
            changes["role"] = chance.choice(_ROLES)
        made.append(replace(step, **changes))
    return made


def _distinct(step: Step, lap: int) -> dict[str, Any]:
    address = (
        f"2001:db8::{lap:x}" if lap % 2 else f"93.{184 + lap // 60000}.{lap // 250}.{lap % 250}"
    )
    changes: dict[str, Any] = {}
    if getattr(step, "address", None) is not None:
        changes["address"] = address
    if isinstance(step, Dns) and step.replies:
        first = step.replies[0]
        answers = (address, *first.answers) if first.answers else ()
        changes["replies"] = (replace(first, answers=answers), *step.replies[1:])
    if isinstance(step, Tls) and step.trust is not None:
        trust = step.trust
        changes["trust"] = replace(trust, leaf_key=f"{lap:064x}", issuer_key=f"{lap:064x}")
    if isinstance(step, Http):
        changes["sha256"] = f"{lap:064x}"
    return changes


def wide(record: Record, count: int) -> Record:
    """The record with about `count` answers, replies, packets and samples instead of more steps."""
    return replace(record, steps=tuple(_wide(step, count) for step in record.steps))


def _wide(step: Step, count: int) -> Step:
    if isinstance(step, Dns) and step.replies:
        answers = tuple(f"10.0.{n // 250}.{n % 250}" for n in range(min(count, 256)))
        reply = replace(step.replies[0], answers=(*answers, *step.replies[0].answers)[:256])
        return replace(step, replies=(reply,) * min(64, max(1, count // 256)))
    samples = getattr(step, "samples", ())
    if samples:
        return replace(step, samples=(samples * (count // len(samples) + 1))[:count])
    if step.travel is not None and step.travel.packets:
        packets = (step.travel.packets * count)[: min(count, 256)]
        return replace(step, travel=replace(step.travel, packets=packets))
    return step


def seconds(work: Callable[[], object], *, times: int = 3) -> float:
    """Processor time of the quickest of some calls."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)
