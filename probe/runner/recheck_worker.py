"""A control that repeats also looks at what probes ask for, within seconds.

It looks only at what its operator listed, and at addresses that probes were given for it: whether
an address can prove the name is best seen from where nobody interferes.
"""

import asyncio
import dataclasses
import ipaddress
import random
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from probe import uuid7
from probe.api_types import RecheckJob
from probe.client.collector_client import CollectorClient, CollectorError
from probe.client.context import ClientContext
from probe.client.control_client import answer_rechecks
from probe.client.endpoint import CollectorEndpoint
from probe.client.enrolment import ensure_enrolled
from probe.client.keys import KeysError
from probe.crash_log import save_traceback
from probe.experiments.operations import TcpConnect, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.judge import RULESET
from probe.model import Record, Role, Tcp
from probe.ordering import LIMITS, Job, host_of, port_of
from probe.report.console import Console
from probe.runner import record_builder
from probe.runner.byte_budget import ByteBudget
from probe.runner.jobs import JobList
from probe.runner.measurer import Measurer, NotMeasured
from probe.runner.ports import RunDependencies, Session
from probe.runner.record_builder import Measurement, RunHeader
from probe.runner.wiring import kit

ADDRESSES = 4
_PORTS = frozenset({80, 443})
_LIMIT = 5.0
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


@asynccontextmanager
async def answering(outfit: ClientContext, found: JobList, console: Console) -> AsyncIterator[None]:
    """While in here, answer; does nothing unless this is a control that repeats."""
    settings = outfit.settings
    if settings.role != "control" or settings.every is None or not settings.upload:
        yield
        return
    listed = frozenset(job.url for job in found.jobs)
    tasks = [
        asyncio.create_task(_answer(outfit, one, listed, console)) for one in outfit.collectors
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(
    outfit: ClientContext, endpoint: CollectorEndpoint, listed: Collection[str], console: Console
) -> None:
    """Answer one collector for ever; what breaks is begun again."""
    wait = _FIRST_WAIT
    while True:
        try:
            async with kit(outfit) as tools, CollectorClient(endpoint) as client:
                identity = outfit.keys.identity(endpoint.url, role="control")
                await ensure_enrolled(client, outfit.keys, identity, outfit.settings.invite)
                wait = _FIRST_WAIT
                worker = RecheckWorker(outfit, tools, console)
                await answer_rechecks(client, worker.measure, listed=listed, warn=console.note)
        except (CollectorError, KeysError) as error:
            console.note(f"rechecks: {error}")
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end a control
            console.warn(
                f"a bug of ours in rechecks ({type(error).__name__}); {save_traceback(error)}"
            )
        await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - no secret
        wait = min(wait * 2, _LONGEST_WAIT)


class RecheckWorker:
    """Looks at one target whenever it is asked to."""

    def __init__(self, outfit: ClientContext, tools: RunDependencies, console: Console) -> None:
        self._settings = outfit.settings
        self._kit = tools
        self._console = console

    async def measure(self, job: RecheckJob) -> Record | None:
        """One finished record, or None when it could not be measured."""
        async with self._kit.session() as session:
            try:
                look = await self._look(session, Job("web", job.input))
            except NotMeasured as why:
                self._console.note(f"recheck of {job.input}: {why}")
                return None
            look = await self._addresses(look, job.addresses)
        heading = RunHeader(uuid7.new(), self._settings.lab, RULESET)
        record = record_builder.build(look, heading, await self._kit.whereabouts())
        clean = record_builder.fit(self._kit.scrub(record))
        return replace(clean, verdict=self._kit.judge(clean))

    async def _look(self, session: Session, job: Job) -> Measurement:
        settings = self._settings
        limit = LIMITS["watch"].bytes
        looker = Measurer(
            self._kit.experiments,
            session,
            ByteBudget(limit, lambda: session.bytes_in + session.bytes_out),
            harmless=self._kit.harmless,
            profile=settings.profile,
            options=settings.options,
            seed=settings.seed or 0,
            bug=self._bug,
        )
        look = await looker.first(job)
        # One failure here would be taken for "it fails everywhere": look twice before saying so.
        return await looker.second(look, (), ()) if looker.wanted(look) else look

    async def _addresses(self, look: Measurement, addresses: Sequence[str]) -> Measurement:
        """Whether the addresses that a probe was given are reached, and can prove the name."""
        url = look.job.url
        port = port_of(url)
        seen = {step.address for step in look.steps if isinstance(step, Tcp)}
        fresh = [a for a in addresses if _is_address(a) and a not in seen and look.net.safe(a)]
        if port not in _PORTS:
            return look
        trail = StepLog(look.steps)
        for address in fresh[:ADDRESSES]:
            if url.startswith("http:"):
                trail.add(
                    await look.net.tcp(TcpConnect(address, port, limit=_LIMIT)), role=Role.NEUTRAL
                )
                continue
            shaken = await look.net.tls(TlsHandshake(address, port, host_of(url), limit=_LIMIT))
            trail.chain(shaken, role=Role.NEUTRAL)
        elapsed = time.monotonic() - look.origin
        return dataclasses.replace(look, steps=trail.steps, elapsed=elapsed)

    def _bug(self, job: Job, error: BaseException) -> None:
        where = save_traceback(error, job.url)
        self._console.warn(f"a bug of ours while looking at {job.url}; {where}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
