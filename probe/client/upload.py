"""Upload the spool to each collector within a time budget.

Records that a collector reports as stored or duplicate are done. Rejected records are set aside
with the reason and not sent again; the rest of their batch is stored. Unsent records stay in the
spool. Collectors are served in parallel, so that a dead one does not delay the others.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field

from probe import codec
from probe.api_types import BatchReply
from probe.client.collector_client import (
    CollectorClient,
    CollectorError,
    CollectorRefused,
    CollectorUnreachable,
)
from probe.client.endpoint import CollectorEndpoint
from probe.client.enrolment import ensure_enrolled, re_enrol, remember_address
from probe.client.keys import Keys, KeysError, ProbeRole
from probe.client.spool import Batch, Spool
from probe.escape import plain
from probe.i18n import _
from probe.permission import Permission

ATTEMPTS = 4
# Back-off with full jitter, seconds: each wait is drawn from 0 to a limit that doubles.
FIRST_WAIT = 1.0
LONGEST_WAIT = 15.0
T = TypeVar("T")
_TOO_LARGE = 413
_UNKNOWN_KEY = 401
_LOCK_POLL = 0.25
_MAX_REFUSALS = 5


class Sender(Struct, frozen=True):
    """Identity and limits of the sender.

    Attributes:
        budget: Seconds for one collector in total.
        permission: Looked at before each request; `ConsentEnded` is raised when it has ended.
        draw: Returns a random number from 0 to 1. pause: Sleeps.
    """

    keys: Keys
    role: ProbeRole = "probe"
    invite: str | None = None
    network: str | None = None
    budget: float = 60.0
    permission: Permission = field(default_factory=Permission)
    draw: Callable[[], float] = random.random
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


class Delivery(Struct):
    """The result of an upload to one collector.

    Attributes:
        rejected: Number of rejected records. reasons: Their number by reason.
        kept: The file of the rejected records, or None.
        waiting: Records it does not have yet.
        problem: Why the upload is incomplete, in one line, or None.
    """

    collector: str
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    kept: Path | None = None
    waiting: int = 0
    problem: str | None = None
    bytes_out: int = 0
    bytes_in: int = 0

    def __str__(self) -> str:
        counts = _("{stored} stored, {duplicates} duplicates").format(
            stored=self.stored, duplicates=self.duplicates
        )
        return _("{collector}: {counts}, {rejected} rejected, {waiting} waiting").format(
            collector=self.collector, counts=counts, rejected=self.rejected, waiting=self.waiting
        )

    @property
    def refusals(self) -> tuple[str, ...]:
        """One line for each reason for which records were rejected; few lines in any case."""
        where = _("they are not sent again") if self.kept is None else _("kept in {file}")
        counts = sorted(self.reasons.items(), key=lambda one: -one[1])
        shown = dict(counts[:_MAX_REFUSALS])
        if others := sum(count for _reason, count in counts[_MAX_REFUSALS:]):
            shown[_("other reasons")] = others
        text = _("{collector}: rejected {number}: {reason}; {where}")
        return tuple(
            text.format(
                collector=self.collector,
                number=count,
                reason=plain(reason),
                where=where.format(file=self.kept),
            )
            for reason, count in shown.items()
        )


class UploadSummary(Struct, frozen=True):
    """The results of an upload, by collector."""

    deliveries: tuple[Delivery, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to send (otherwise a run exits with 4)."""
        return all(one.waiting == 0 and one.problem is None for one in self.deliveries)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each collector whose upload is incomplete."""
        rest = _("{collector}: not everything could be sent")
        return tuple(
            one.problem or rest.format(collector=one.collector)
            for one in self.deliveries
            if one.problem or one.waiting
        )

    @property
    def refusals(self) -> tuple[str, ...]:
        """One line for each collector and reason for which records were rejected."""
        return tuple(line for one in self.deliveries for line in one.refusals)

    @property
    def bytes_out(self) -> int:
        """Bytes sent, all collectors together."""
        return sum(one.bytes_out for one in self.deliveries)

    @property
    def bytes_in(self) -> int:
        """Bytes received."""
        return sum(one.bytes_in for one in self.deliveries)


async def upload(
    spool: Spool, endpoints: Sequence[CollectorEndpoint], sender: Sender
) -> UploadSummary:
    """Upload to every collector in parallel; network errors are reported, not raised."""
    if not endpoints:
        return UploadSummary()
    sender.permission.check()
    urls = [endpoint.url for endpoint in endpoints]
    if not await _lock(spool, sender):
        busy = _("another upload is in progress; it sends these records too")
        return UploadSummary(
            tuple(Delivery(u, waiting=spool.waiting(u), problem=busy) for u in urls)
        )
    try:
        spool.adopt(urls)
        return UploadSummary(
            tuple(await asyncio.gather(*(_deliver(spool, one, sender) for one in endpoints)))
        )
    finally:
        spool.lock.release()


async def _lock(spool: Spool, sender: Sender) -> bool:
    """Lock the spool, waiting for another uploading process; return whether that succeeded."""
    for _attempt in range(int(sender.budget / _LOCK_POLL) + 1):
        try:
            if spool.lock.acquire():
                return True
        except OSError:
            return True  # no folder and no room for one: nothing on disk is shared
        await sender.pause(_LOCK_POLL)
    return False


async def _deliver(spool: Spool, endpoint: CollectorEndpoint, sender: Sender) -> Delivery:
    """Upload to one collector; any failure is reported in the delivery's `problem`."""
    delivery = Delivery(endpoint.url)
    client = CollectorClient(endpoint)
    try:
        # Without records no client is opened: its roots take memory and time in each heartbeat.
        if spool.waiting(endpoint.url):
            async with asyncio.timeout(sender.budget), client:
                await _send_all(spool, client, sender, delivery)
    except TimeoutError:
        delivery.problem = _("{url}: not finished within {budget:.0f} seconds").format(
            url=endpoint.url, budget=sender.budget
        )
    except (CollectorError, KeysError) as error:
        delivery.problem = str(error)
    except OSError as error:
        delivery.problem = f"{error.filename or spool.folder}: {_(error.strerror or str(error))}"
    delivery.waiting = spool.waiting(endpoint.url)
    delivery.bytes_out, delivery.bytes_in = client.bytes_out, client.bytes_in
    return delivery


async def _send_all(
    spool: Spool, client: CollectorClient, sender: Sender, delivery: Delivery
) -> None:
    identity = sender.keys.identity(client.endpoint.url, role=sender.role, network=sender.network)
    client.identity = identity
    await _with_retries(
        lambda: ensure_enrolled(client, sender.keys, identity, sender.invite), sender
    )
    size = codec.BATCH_RECORDS
    while batch := spool.batch(client.endpoint.url, records=size):
        try:
            reply = await _with_retries(_sender_of(client, sender, batch), sender)
        except CollectorRefused as error:
            if error.status != _TOO_LARGE:
                raise
            if len(batch.lines) == 1:
                _settle(spool, batch, {0: "too large for the collector"}, delivery)
            size = max(1, len(batch.lines) // 2)
            continue
        size = min(codec.BATCH_RECORDS, size * 2)
        delivery.stored += reply.stored
        delivery.duplicates += reply.duplicates
        _settle(spool, batch, _rejected(reply), delivery)
    remember_address(client, sender.keys)


def _sender_of(
    client: CollectorClient, sender: Sender, batch: Batch
) -> Callable[[], Awaitable[BatchReply]]:
    body = codec.pack(batch.lines)

    async def send() -> BatchReply:
        try:
            return _checked(client, await client.upload(body), batch)
        except CollectorRefused as error:
            if error.status != _UNKNOWN_KEY:
                raise
        await re_enrol(client, sender.keys, sender.invite)
        return _checked(client, await client.upload(body), batch)

    return send


async def _with_retries(action: Callable[[], Awaitable[T]], sender: Sender) -> T:
    """Retry temporary failures with jittered back-off; raise the last failure."""
    longest = FIRST_WAIT
    for _attempt in range(ATTEMPTS - 1):
        sender.permission.check()
        try:
            return await action()
        except CollectorUnreachable:
            wait = sender.draw() * longest
        except CollectorRefused as error:
            if not error.temporary:
                raise
            wait = error.retry_after or sender.draw() * longest
        longest = min(LONGEST_WAIT, longest * 2)
        await sender.pause(wait)
    sender.permission.check()
    return await action()


def _checked(client: CollectorClient, reply: BatchReply, batch: Batch) -> BatchReply:
    """Return the reply if it accounts for every record sent; else raise `CollectorRefused`."""
    sent = len(batch.lines)
    rejected = _rejected(reply)
    covered = reply.stored + reply.duplicates + reply.rejected == sent
    if not covered or len(rejected) != reply.rejected or not set(rejected) <= set(range(sent)):
        raise CollectorRefused(
            _("{url}: its response does not account for the whole batch").format(
                url=client.endpoint.url
            )
        )
    return reply


def _rejected(reply: BatchReply) -> dict[int, str]:
    """Return the reasons of rejected records by their position in the batch."""
    return {
        one.line: plain(one.reason or "no reason given", 200)
        for one in reply.records
        if one.status == "rejected"
    }


def _settle(spool: Spool, batch: Batch, rejected: Mapping[int, str], delivery: Delivery) -> None:
    for reason in rejected.values():
        delivery.reasons[reason] = delivery.reasons.get(reason, 0) + 1
    delivery.rejected += len(rejected)
    if spool.settle(batch, rejected):
        delivery.kept = spool.rejected
