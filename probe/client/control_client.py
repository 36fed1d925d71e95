"""Control measurements: request them as a probe, provide them as a control.

Rule: a run never depends on a collector. One that is dead, slow or blocked costs a few seconds once
and is then skipped; missing control measurements are a normal result, not an exception.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Self, TypeVar

from msgspec.structs import replace

from probe import codec
from probe.api_types import BulkReply, ControlReply, RecheckJob, RecheckTarget, VantageReply
from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.endpoint import CollectorEndpoint, is_loopback
from probe.client.enrolment import ensure_enrolled, re_enrol
from probe.client.keys import Keys, KeysError, ProbeRole
from probe.i18n import _
from probe.model import Control, Record

T = TypeVar("T")
ControlsByInput = dict[str, tuple[Control, ...]]

TIMEOUT = 4.0
RECHECK_WAIT = 8.0
# Observations used for one target, and targets of one recheck request.
OBSERVATIONS = 8
MAX_ASKS = 64
# Targets of one query: their URLs fit the request line, and the response the timeout.
QUERY_TARGETS = 50
POLL_SECONDS = 25.0
PARALLEL_RECHECKS = 4
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_UNKNOWN_KEY = 401


class ControlClient:
    """Client for control measurements, an async context manager.

    Attributes:
        answered: Whether any collector answered, so the connection is not dead.
        answer_times: Times at which a collector beyond this machine answered, Unix seconds.
        problems: One line for each collector whose last request failed.
    """

    def __init__(
        self,
        endpoints: Sequence[CollectorEndpoint],
        keys: Keys,
        *,
        invite: str | None = None,
        role: ProbeRole = "probe",
        timeout: float = TIMEOUT,
    ) -> None:
        self.answered = False
        self.answer_times: list[float] = []
        self.problems: dict[str, str] = {}
        self._keys = keys
        self._invite = invite
        self._role: ProbeRole = role
        self._timeout = timeout
        self._clients = [CollectorClient(endpoint) for endpoint in endpoints]

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.__aexit__()

    @property
    def clock_offset(self) -> float | None:
        """Our clock minus a collector's, seconds; None if none has answered."""
        offsets = (client.clock_offset for client in self._clients)
        return next((offset for offset in offsets if offset is not None), None)

    async def controls(self, inputs: Sequence[str]) -> ControlsByInput:
        """Fetch recent control measurements of these targets; each `age` is relative to now."""
        found: ControlsByInput = {}
        for at in range(0, len(inputs), QUERY_TARGETS):
            part = inputs[at : at + QUERY_TARGETS]
            found |= await self._controls(part)
            if not self.answered:
                break
        return found

    async def _controls(self, inputs: Sequence[str]) -> ControlsByInput:
        replies = await self._ask_all(lambda client: client.controls(inputs), self._timeout)
        return _merge(replies, set(inputs))

    async def recheck(self, asks: Sequence[RecheckTarget]) -> ControlsByInput:
        """Request control measurements now and wait a few seconds for their results."""
        if not asks:
            return {}
        wanted = asks[:MAX_ASKS]

        async def ask(client: CollectorClient) -> ControlReply:
            return await self._enrolled(client, lambda: client.recheck(wanted, wait=RECHECK_WAIT))

        replies = await self._ask_all(ask, RECHECK_WAIT + self._timeout)
        return _merge(replies, {one.input for one in wanted})

    async def vantage(self) -> VantageReply | None:
        """Return our country and network from the first collector that knows them."""
        replies = await self._ask_all(lambda client: client.vantage(), self._timeout)
        return next((reply for reply in replies if reply.asn or reply.country), None)

    async def bulk(self) -> tuple[BulkReply, ...]:
        """Return the bulk servers that collectors announce."""
        replies = await self._ask_all(lambda client: client.service(), self._timeout)
        return tuple(server for reply in replies for server in reply.bulk)

    async def _ask_all(
        self, ask: Callable[[CollectorClient], Awaitable[T]], seconds: float
    ) -> list[T]:
        """Ask every collector in parallel; return the replies that came in time."""
        asked = (self._ask(client, ask, seconds) for client in self._clients)
        return [reply for reply in await asyncio.gather(*asked) if reply is not None]

    async def _ask(
        self,
        client: CollectorClient,
        ask: Callable[[CollectorClient], Awaitable[T]],
        seconds: float,
    ) -> T | None:
        where = client.endpoint.url
        try:
            async with asyncio.timeout(seconds):
                reply = await ask(client)
        except TimeoutError:
            self.problems[where] = _("{where}: no response within {seconds:.0f} seconds").format(
                where=where, seconds=seconds
            )
        except (CollectorError, KeysError) as error:
            self.problems[where] = str(error)
            if isinstance(error, CollectorRefused) and error.status > 0:
                self._note_answer(client)
        else:
            self._note_answer(client)
            return reply
        return None

    def _note_answer(self, client: CollectorClient) -> None:
        self.answered = True
        if not is_loopback(client.endpoint.host):
            self.answer_times.append(time.time())

    async def _enrolled(self, client: CollectorClient, ask: Callable[[], Awaitable[T]]) -> T:
        if client.identity is None:
            identity = self._keys.identity(client.endpoint.url, role=self._role)
            await ensure_enrolled(client, self._keys, identity, self._invite)
        try:
            return await ask()
        except CollectorRefused as error:
            if error.status != _UNKNOWN_KEY:
                raise
        await re_enrol(client, self._keys, self._invite)
        return await ask()


async def answer_rechecks(
    client: CollectorClient,
    measure: Callable[[RecheckJob], Awaitable[Record | None]],
    *,
    listed: Collection[str] | None = None,
    poll: float = POLL_SECONDS,
    warn: Callable[[str], None] = lambda _: None,
) -> None:
    """As a control, measure what probes request and send each record at once; runs until cancelled.

    `client` is open and enrolled as a control. `measure` returns the finished, scrubbed record of
    one job. With `listed`, jobs for other targets are ignored: a control fetches only what its
    operator listed.
    """
    slots = asyncio.Semaphore(PARALLEL_RECHECKS)
    longest = _FIRST_WAIT
    async with asyncio.TaskGroup() as measuring:
        while True:
            try:
                jobs = (await client.recheck_jobs(wait=poll)).jobs
                longest = _FIRST_WAIT
            except CollectorError as error:
                warn(str(error))
                longest = min(_LONGEST_WAIT, longest * 2)
                await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter
                continue
            unique = {job.input: job for job in jobs}.values()
            for job in (one for one in unique if listed is None or one.input in listed):
                await slots.acquire()
                measuring.create_task(_answer(client, job, measure, slots, warn))
            # Do not poll in a tight loop if a collector returns no jobs at once.
            await asyncio.sleep(0 if jobs else 0.2)


async def _answer(
    client: CollectorClient,
    job: RecheckJob,
    measure: Callable[[RecheckJob], Awaitable[Record | None]],
    slots: asyncio.Semaphore,
    warn: Callable[[str], None],
) -> None:
    try:
        record = await measure(job)
        if record is not None:
            await client.upload(codec.pack([codec.encode(record)]))
    except CollectorError as error:
        warn(str(error))
    finally:
        slots.release()


def _merge(replies: Iterable[ControlReply], wanted: Collection[str]) -> ControlsByInput:
    """Merge replies by target: newest first, each observation once, no `age` in the future."""
    merged: dict[str, dict[str, Control]] = {}
    for reply in replies:
        for found in reply.controls:
            if found.input in wanted:
                known = merged.setdefault(found.input, {})
                known.update(
                    {one.id: replace(one, age=min(one.age, 0.0)) for one in found.observations}
                )
    return {
        input_: tuple(sorted(known.values(), key=lambda one: -one.age)[:OBSERVATIONS])
        for input_, known in merged.items()
        if known
    }
