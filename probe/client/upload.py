"""Send what the spool keeps to each collector, within a short budget of time.

What a collector calls stored or a duplicate is done with. What it rejects is set aside with its
reason and not sent again, and costs its neighbours nothing. What could not be sent stays in the
spool for the next run. One dead collector does not hold up another.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

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

ATTEMPTS = 4
# Full jitter: each wait is anything from nothing up to this, doubled each time.
FIRST_WAIT = 1.0
LONGEST_WAIT = 15.0
T = TypeVar("T")
_TOO_LARGE = 413
_UNKNOWN_KEY = 401
_LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends and how patiently.

    Attributes:
        budget: Seconds for one collector, everything together.
        draw: A random number from 0 to 1. pause: how to wait.
    """

    keys: Keys
    role: ProbeRole = "probe"
    invite: str | None = None
    network: str | None = None
    budget: float = 60.0
    draw: Callable[[], float] = random.random
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(slots=True)
class Delivery:
    """How it went with one collector.

    Attributes:
        rejected: Records it would not take; they are set aside. reasons: how many, for what.
        waiting: Records it does not have yet.
        problem: Why, in one line, or None.
    """

    collector: str
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    problem: str | None = None
    bytes_out: int = 0
    bytes_in: int = 0

    def told(self) -> str:
        """How it went, in a line."""
        counts = f"{self.stored} stored, {self.duplicates} known already"
        return f"{self.collector}: {counts}, {self.rejected} rejected, {self.waiting} waiting"


@dataclass(frozen=True, slots=True)
class UploadSummary:
    """How an upload went, collector by collector."""

    deliveries: tuple[Delivery, ...] = ()

    @property
    def complete(self) -> bool:
        """Nothing is left to send (otherwise a run exits with 4)."""
        return all(one.waiting == 0 and one.problem is None for one in self.deliveries)

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each collector that does not have everything."""
        return tuple(one.problem for one in self.deliveries if one.problem)

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
    """Send everything that waits to every collector, all at once; never raises for a network."""
    if not endpoints:
        return UploadSummary()
    urls = [endpoint.url for endpoint in endpoints]
    if not await _turn(spool, sender):
        busy = "another upload is still under way; it takes these records too"
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


async def _turn(spool: Spool, sender: Sender) -> bool:
    """Wait for another process that is sending from the same spool."""
    for _ in range(int(sender.budget / _LOOK_EVERY) + 1):
        if spool.lock.acquire():
            return True
        await sender.pause(_LOOK_EVERY)
    return False


async def _deliver(spool: Spool, endpoint: CollectorEndpoint, sender: Sender) -> Delivery:
    """Send to one collector; whatever goes wrong is its delivery's `problem`."""
    delivery = Delivery(endpoint.url)
    client = CollectorClient(endpoint)
    try:
        async with asyncio.timeout(sender.budget), client:
            if spool.waiting(endpoint.url):
                await _send_all(spool, client, sender, delivery)
    except TimeoutError:
        delivery.problem = f"{endpoint.url}: not finished within {sender.budget:.0f} seconds"
    except (CollectorError, KeysError) as error:
        delivery.problem = str(error)
    except OSError as error:
        delivery.problem = f"{error.filename or spool.folder}: {error.strerror or error}"
    delivery.waiting = spool.waiting(endpoint.url)
    delivery.bytes_out, delivery.bytes_in = client.bytes_out, client.bytes_in
    return delivery


async def _send_all(
    spool: Spool, client: CollectorClient, sender: Sender, delivery: Delivery
) -> None:
    identity = sender.keys.identity(client.endpoint.url, role=sender.role, network=sender.network)
    client.identity = identity
    await _patiently(lambda: ensure_enrolled(client, sender.keys, identity, sender.invite), sender)
    size = codec.BATCH_RECORDS
    while batch := spool.batch(client.endpoint.url, records=size):
        try:
            reply = await _patiently(_sending(client, sender, batch), sender)
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


def _sending(
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


async def _patiently(action: Callable[[], Awaitable[T]], sender: Sender) -> T:
    """Try again, with full jitter, what may do better later; the last failure is raised."""
    longest = FIRST_WAIT
    for _ in range(ATTEMPTS - 1):
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
    return await action()


def _checked(client: CollectorClient, reply: BatchReply, batch: Batch) -> BatchReply:
    """Believe a reply only if it accounts for every record that was sent."""
    sent = len(batch.lines)
    rejected = _rejected(reply)
    covered = reply.stored + reply.duplicates + reply.rejected == sent
    if not covered or len(rejected) != reply.rejected or not set(rejected) <= set(range(sent)):
        raise CollectorRefused(f"{client.endpoint.url}: its answer does not cover the batch")
    return reply


def _rejected(reply: BatchReply) -> dict[int, str]:
    """Reasons by position in the batch."""
    return {
        one.line: plain(one.reason or "no reason given", 200)
        for one in reply.records
        if one.status == "rejected"
    }


def _settle(spool: Spool, batch: Batch, rejected: Mapping[int, str], delivery: Delivery) -> None:
    for reason in rejected.values():
        delivery.reasons[reason] = delivery.reasons.get(reason, 0) + 1
    delivery.rejected += len(rejected)
    spool.settle(batch, rejected)
