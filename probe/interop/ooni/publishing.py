"""Send measurements to a collector that speaks OONI's protocol, where they become public.

One `POST /api/v1/submit_measurement` each, one after another, without a credential. What was
accepted is noted at once, so that a later run sends nothing twice. Who may be sent to, and whether
at all, is decided before (`probe/commands/results_publish.py`).
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from probe import atomic_files
from probe.client.collector_client import (
    CollectorClient,
    CollectorError,
    CollectorRefused,
)
from probe.client.endpoint import CollectorEndpoint
from probe.i18n import N_
from probe.interop.ooni.kept import encode
from probe.interop.ooni.out.exporting import OoniTally
from probe.interop.ooni.out.from_record import OoniRefusal, measurement
from probe.model import Record

SUBMIT = "/api/v1/submit_measurement"
FILE = "published.jsonl"
_SECONDS = 30.0
# So many refusals in a row are not about one measurement.
_REFUSALS = 3

OF_A_LAB = N_("made in a laboratory")
FOREIGN = N_("imported from OONI, which has it")
DONE_BEFORE = N_("published before")


class _Said(msgspec.Struct):
    """The part of an answer that we read; an answer without it is none."""

    measurement_uid: str


class _Published(msgspec.Struct, frozen=True):
    to: str
    id: str
    uid: str = ""


@dataclass
class Publication:
    """What was sent.

    Attributes:
        ready: The ids of the records that may be sent.
        tally: What is left out, and why.
        accepted: How many the receiver took. refused: what it said of those that it did not take.
        problem: Why the sending ended early, or None.
    """

    ready: set[str] = field(default_factory=set)
    tally: OoniTally = field(default_factory=OoniTally)
    accepted: int = 0
    refused: list[str] = field(default_factory=list)
    problem: str | None = None

    @property
    def complete(self) -> bool:
        """Whether everything that may be sent was taken."""
        return self.accepted == len(self.ready)


def submission(record: Record) -> bytes:
    """The body of a submission: the measurement as a string, and no credential."""
    content = encode(measurement(record)).decode()
    body: dict[str, Any] = {"format": "json", "content": content}
    without = dict.fromkeys(("nym", "zkp_request", "manifest_version", "protocol_version"))
    return msgspec.json.encode(body | without)


class PublishedList:
    """What was published from this machine: one line each, where to and under which id."""

    def __init__(self, state: Path, to: str) -> None:
        self._path = state / FILE
        self._to = to

    def ids(self) -> set[str]:
        """The records that this receiver has."""
        return {one.id for one in self._lines() if one.to == self._to}

    def note(self, record: Record, uid: str) -> None:
        """Note that the receiver took a record."""
        # Its own end of line in front: the note before it may be cut off.
        line = b"\n" + msgspec.json.encode(_Published(self._to, record.id, uid)) + b"\n"
        handle = atomic_files.private_file(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(handle, "ab", buffering=0) as file:
            file.write(line)

    def _lines(self) -> Iterator[_Published]:
        try:
            read = self._path.read_bytes()
        except FileNotFoundError:
            return
        for line in read.splitlines():
            try:
                yield msgspec.json.decode(line, type=_Published)
            except (msgspec.MsgspecError, UnicodeError):
                continue  # cut off when the disk was full


def prepare(records: Iterable[Record], known: set[str]) -> Publication:
    """Choose what may be sent, each record once; `known`: what the receiver has."""
    made = Publication()
    for record in records:
        reason = _objection(record)
        if reason is None and (record.id in known or record.id in made.ready):
            reason = DONE_BEFORE
        try:
            if reason is None:
                measurement(record)
        except OoniRefusal as refusal:
            made.tally.leave_out(refusal.reason, refusal.experiment)
            continue
        if reason is None:
            made.ready.add(record.id)
        else:
            made.tally.leave_out(reason)
    return made


def _objection(record: Record) -> str | None:
    if record.lab:
        return OF_A_LAB
    return FOREIGN if record.origin is not None else None


async def publish(
    endpoint: CollectorEndpoint,
    records: Iterable[Record],
    made: Publication,
    published: PublishedList,
) -> None:
    """Send records, each once, until all is sent or the receiver takes nothing more."""
    in_a_row, left = 0, set(made.ready)
    async with CollectorClient(endpoint) as client:
        for record in records:
            if record.id not in left:
                continue  # two of the chosen files have it
            left.remove(record.id)
            try:
                uid = await _submit(client, record)
            except CollectorRefused as refusal:
                in_a_row += 1
                if refusal.temporary or in_a_row >= _REFUSALS:
                    made.problem = str(refusal)
                    break
                made.refused.append(str(refusal))
                continue
            except CollectorError as error:
                made.problem = str(error)
                break
            in_a_row = 0
            made.accepted += 1
            published.note(record, uid)


async def _submit(client: CollectorClient, record: Record) -> str:
    answer = await client.ask_helper(submission(record), seconds=_SECONDS)
    try:
        return msgspec.json.decode(answer, type=_Said).measurement_uid[:200]
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise CollectorRefused(f"{client.endpoint.url}: {error}") from error
