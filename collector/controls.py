"""Observations of controls: trimmed to the compared steps, stored with a time, given with an age.

Rule: an observation counts only when the control's own line was alive; a control that was offline
observed nothing.
"""

import logging
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from collector.store.interface import Operation, Query, QueryEach
from probe.failure import Failure
from probe.model import Control, Dns, Http, Quic, Record, Role, Step, Steps, Tcp, Tls

# Older observations are not used; those within a quarter of an hour have full weight.
RECENT_SECONDS = 24 * 3600.0
NEAR_SECONDS = 15 * 60.0
STEPS_LIMIT = 48
# A service has many endpoints, and a summary step for each.
SERVICE_STEPS_LIMIT = 256
SERVICE = "service:"
LEAVES_LIMIT = 256
# The compared steps of each experiment: a measurement of QUIC is none of the page.
_COMPARED: Mapping[str, tuple[type[Step], ...]] = MappingProxyType(
    {"web": (Dns, Tcp, Tls, Http), "quic": (Quic,)}
)
log = logging.getLogger("qazcollector")
_steps = msgspec.json.Decoder(Steps)


class Observation(NamedTuple):
    """One measurement of a control of one input; `at` is Unix time."""

    id: str
    at: float
    steps: Steps


def as_control(
    observation: Observation, *, asked_at: float, leaves: Mapping[str, str] | None = None
) -> Control:
    """An observation with its age in seconds at an instant: negative is before it."""
    age = round(observation.at - asked_at, 3)
    served = _leaves(observation) if leaves else ()
    certs = {one: leaves[one] for one in served if one in leaves} if leaves else {}
    return Control(id=observation.id, age=age, steps=observation.steps, certs=certs)


def leaves(observations: Iterable[Observation]) -> Operation[Mapping[str, str]]:
    """The leaf certificates that controls were served: base64 of the DER by SHA-256."""
    wanted = dict.fromkeys(one for seen in observations for one in _leaves(seen))
    found: dict[str, str] = {}
    for sha256 in list(wanted)[:LEAVES_LIMIT]:
        rows = yield Query("certificate_get", {"sha256": sha256})
        found.update((sha256, b64encode(row[0]).decode()) for row in rows)
    return found


def _leaves(observation: Observation) -> tuple[str, ...]:
    steps = observation.steps
    return tuple(dict.fromkeys(s.chain[0] for s in steps if isinstance(s, Tls) and s.chain))


def _compares(step: Step) -> bool:
    """Whether it measures the target or, on a recheck, an address that a probe was given for it."""
    requested = step.role is Role.NEUTRAL and isinstance(step, Tcp | Tls)
    return step.role is Role.TARGET or requested


def trim(record: Record) -> Steps:
    """The compared steps of a control's record; none when its line was not alive."""
    if record.input == SERVICE + record.experiment and _alive(record):
        return tuple(s for s in record.steps if s.role is Role.TARGET)[:SERVICE_STEPS_LIMIT]
    kinds = _COMPARED.get(record.experiment, ())
    if not kinds or not _alive(record):
        return ()
    compared = [s for s in record.steps if isinstance(s, kinds) and _compares(s)]
    return tuple(
        replace(step, body=None) if isinstance(step, Http) else step
        for step in compared[:STEPS_LIMIT]
    )


def _alive(record: Record) -> bool:
    line, verdict = record.line, record.verdict
    dead = line and (line.alive_before is False or line.alive_after is False)
    if dead and not _last_was_answered(record.steps):
        return False
    if line and line.references and line.references_failed >= line.references:
        return False
    return not (verdict and any(word.startswith("access.") for word in verdict.mechanisms))


def _last_was_answered(steps: Steps) -> bool:
    """Whether the last connection was answered.

    A control that measures a single site has no other sign of a working line.
    """
    dialled = [step for step in steps if isinstance(step, Tcp)]
    if dialled:
        return dialled[-1].failure in {None, Failure.REFUSED, Failure.RESET}
    last = max((step.try_ for step in steps), default=1)
    asked = [step for step in steps if isinstance(step, Dns) and step.try_ == last]
    return any(step.failure in {Failure.DNS_NXDOMAIN, Failure.DNS_NO_ANSWER} for step in asked)


def pack(steps: Steps) -> bytes:
    """Encode steps for the store."""
    return zlib.compress(msgspec.json.encode(steps), 1)


def observation_of(record: Record) -> bytes | None:
    """What a control's record is worth as an observation, packed; None if nothing."""
    trimmed = trim(record)
    return pack(trimmed) if trimmed else None


def unpack(body: bytes) -> Steps:
    """StoredRecord steps."""
    return _steps.decode(zlib.decompress(body))


def _readable(rows: Iterable[tuple[str, float, bytes]]) -> Iterator[Observation]:
    """Observations from their rows; one that is not readable is left out, and logged."""
    for id_, at, body in rows:
        try:
            yield Observation(id_, at, unpack(body))
        except (zlib.error, msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            log.warning("an observation is left out: not readable (%s)", type(error).__name__)


def newest_of(
    inputs: Sequence[str], *, since: float, until: float
) -> Operation[Mapping[str, tuple[Observation, ...]]]:
    """The newest few observations of each of these inputs, newest first."""
    found: dict[str, tuple[Observation, ...]] = {}
    for input_ in inputs:
        rows = yield Query("observations_of", {"input": input_, "since": since, "until": until})
        found[input_] = tuple(_readable((row[1], row[2], row[3]) for row in rows))
    return found


def newest_of_all(
    *, since: float, until: float, each: int
) -> Operation[Mapping[str, tuple[Observation, ...]]]:
    """The newest `each` observations of every input in this time."""
    rows = yield Query("observations_all", {"since": since, "until": until})
    found: dict[str, tuple[Observation, ...]] = {}
    for input_, id_, at, body in rows:
        known = found.get(input_, ())
        if len(known) < each:
            found[input_] = (*known, *_readable([(id_, at, body)]))
    return found


def near(
    wanted: Sequence[tuple[str, float]], *, within: float
) -> Operation[tuple[tuple[Observation, ...], ...]]:
    """For each (input, instant): the nearest observations before and after it."""
    every = [
        {"input": input_, "at": at, "since": at - within, "until": at + within}
        for input_, at in wanted
    ]
    found = yield QueryEach("observations_near", every)
    return tuple(tuple(_readable((row[0], row[1], row[2]) for row in rows)) for rows in found)


def issued(ids: Iterable[str]) -> Operation[Mapping[str, Observation]]:
    """The observations of this collector among these ids."""
    found: dict[str, Observation] = {}
    for rows in (
        yield QueryEach("observation_issued", [{"id": id_} for id_ in dict.fromkeys(ids)])
    ):
        found.update((one.id, one) for one in _readable((row[0], row[1], row[2]) for row in rows))
    return found


def is_known(input_: str, *, since: float) -> Operation[bool]:
    """Whether a control measured this input since then."""
    return bool((yield Query("observation_known", {"input": input_, "since": since})))
