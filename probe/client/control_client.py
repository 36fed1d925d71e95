"""What controls see of the same targets: ask for it as a probe, answer for it as a control.

Rule: nobody waits for a helper. A collector that is dead, slow or blocked costs a few seconds once
and is then left alone; that nothing is known is a fact like any other, and never an exception.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Self, TypeVar

from msgspec.structs import replace

from probe import codec
from probe.api_types import BulkReply, ControlReply, RecheckAsk, RecheckJob, VantageReply
from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.endpoint import CollectorEndpoint, is_loopback
from probe.client.enrolment import ensure_enrolled, re_enrol
from probe.client.keys import Keys, KeysError, ProbeRole
from probe.model import Control, Record

T = TypeVar("T")
ControlsByInput = dict[str, tuple[Control, ...]]

PATIENCE = 4.0
RECHECK_WAIT = 8.0
# What one collector may say of one target, and how much a probe asks it to look at again.
OBSERVATIONS = 8
ASKS = 64
# So many targets are asked about at once: their names fit a URL, and the answer our patience.
PIECE = 50
POLL_SECONDS = 25.0
RECHECKS_ABREAST = 4
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
_UNKNOWN_KEY = 401


class ControlClient:
    """Where a run asks what others see; an async context manager.

    Attributes:
        answered: Some collector answered something, so this line is not dead.
        heard: When one beyond this machine answered, Unix time: the line worked then.
        problems: One line for each collector that could not be asked.
    """

    def __init__(
        self,
        endpoints: Sequence[CollectorEndpoint],
        keys: Keys,
        *,
        invite: str | None = None,
        role: ProbeRole = "probe",
        patience: float = PATIENCE,
    ) -> None:
        self.answered = False
        self.heard: list[float] = []
        self.problems: dict[str, str] = {}
        self._keys = keys
        self._invite = invite
        self._role: ProbeRole = role
        self._patience = patience
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
        """Our clock minus a collector's, seconds, where one has said its time."""
        offsets = (client.clock_offset for client in self._clients)
        return next((offset for offset in offsets if offset is not None), None)

    async def controls(self, inputs: Sequence[str]) -> ControlsByInput:
        """What controls saw of these targets lately; each `age` is relative to now."""
        found: ControlsByInput = {}
        for at in range(0, len(inputs), PIECE):
            piece = inputs[at : at + PIECE]
            found |= await self._controls(piece)
            if not self.answered:
                break
        return found

    async def _controls(self, inputs: Sequence[str]) -> ControlsByInput:
        replies = await self._ask_all(lambda client: client.controls(inputs), self._patience)
        return _merge(replies, set(inputs))

    async def recheck(self, asks: Sequence[RecheckAsk]) -> ControlsByInput:
        """Ask controls to look now, and wait a few seconds for what they see."""
        if not asks:
            return {}
        wanted = asks[:ASKS]

        async def ask(client: CollectorClient) -> ControlReply:
            return await self._as_ourselves(
                client, lambda: client.recheck(wanted, wait=RECHECK_WAIT)
            )

        replies = await self._ask_all(ask, RECHECK_WAIT + self._patience)
        return _merge(replies, {one.input for one in wanted})

    async def vantage(self) -> VantageReply | None:
        """Our country and network by the first collector that knows them."""
        replies = await self._ask_all(lambda client: client.vantage(), self._patience)
        return next((reply for reply in replies if reply.asn or reply.country), None)

    async def bulk(self) -> tuple[BulkReply, ...]:
        """The bulk servers that collectors announce."""
        replies = await self._ask_all(lambda client: client.service(), self._patience)
        return tuple(server for reply in replies for server in reply.bulk)

    async def _ask_all(
        self, ask: Callable[[CollectorClient], Awaitable[T]], seconds: float
    ) -> list[T]:
        """Every collector at once; those that do not answer in time have said nothing."""
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
            self.problems[where] = f"{where}: no answer within {seconds:.0f} seconds"
        except (CollectorError, KeysError) as error:
            self.problems[where] = str(error)
            if isinstance(error, CollectorRefused) and error.status > 0:
                self._hear(client)
        else:
            self._hear(client)
            return reply
        return None

    def _hear(self, client: CollectorClient) -> None:
        self.answered = True
        if not is_loopback(client.endpoint.host):
            self.heard.append(time.time())

    async def _as_ourselves(self, client: CollectorClient, ask: Callable[[], Awaitable[T]]) -> T:
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
    """As a control, look at what probes ask for, and send it at once; runs until it is cancelled.

    `client` is enrolled as a control and open. `measure` looks at one job and gives a finished,
    scrubbed record. With `listed`, jobs for other targets are passed over: a control fetches
    nothing that its operator did not list, whoever asks.
    """
    slots = asyncio.Semaphore(RECHECKS_ABREAST)
    longest = _FIRST_WAIT
    async with asyncio.TaskGroup() as looking:
        while True:
            try:
                jobs = (await client.recheck_jobs(wait=poll)).jobs
                longest = _FIRST_WAIT
            except CollectorError as error:
                warn(str(error))
                longest = min(_LONGEST_WAIT, longest * 2)
                await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter
                continue
            for job in _wanted(jobs, listed):
                await slots.acquire()
                looking.create_task(_answer(client, job, measure, slots, warn))
            # A collector that answers at once with nothing must not be asked in a tight circle.
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


def _wanted(jobs: Iterable[RecheckJob], listed: Collection[str] | None) -> list[RecheckJob]:
    """Each target once, and only listed ones."""
    once = {job.input: job for job in jobs}
    return [job for job in once.values() if listed is None or job.input in listed]


def _merge(replies: Iterable[ControlReply], wanted: Collection[str]) -> ControlsByInput:
    """By target, nearest first, each observation once; nobody has seen the future."""
    seen: dict[str, dict[str, Control]] = {}
    for reply in replies:
        for found in reply.controls:
            if found.input in wanted:
                known = seen.setdefault(found.input, {})
                known.update(
                    {one.id: replace(one, age=min(one.age, 0.0)) for one in found.observations}
                )
    return {
        input_: tuple(sorted(known.values(), key=lambda one: -one.age)[:OBSERVATIONS])
        for input_, known in seen.items()
        if known
    }
