"""Rechecks: a repeating control measures what probes ask for, within seconds.

It measures only targets that its operator listed, and addresses that probes got for them: only from
a network without interference can it be seen whether an address has a certificate for the name.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from probe import crash_log, uuid7
from probe.api_types import RecheckJob
from probe.client.collector_client import CollectorClient, CollectorError
from probe.client.context import ClientContext
from probe.client.control_client import answer_rechecks
from probe.client.endpoint import CollectorEndpoint
from probe.client.enrolment import ensure_enrolled
from probe.client.keys import KeysError
from probe.compare import is_address
from probe.experiments.operations import TcpConnect, TlsHandshake
from probe.experiments.step_log import StepLog
from probe.i18n import _
from probe.judge import RULESET, judge
from probe.model import Record, Role, Tcp
from probe.ordering import Job, host_of, port_of
from probe.report.console import Console
from probe.runner import record_builder
from probe.runner.bugs import bug_reporter
from probe.runner.byte_budget import ByteBudget
from probe.runner.dependencies import RunDependencies, Session
from probe.runner.jobs import JobList
from probe.runner.measurer import Measurer, NotMeasured
from probe.runner.record_builder import Measurement, RunHeader
from probe.runner.wiring import run_dependencies

MAX_ADDRESSES = 4
# Both directions, for one target.
MAX_BYTES = 8_000_000
_PORTS = frozenset({80, 443})
_TIMEOUT = 5.0
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


@asynccontextmanager
async def recheck_workers(
    context: ClientContext, jobs: JobList, console: Console
) -> AsyncIterator[None]:
    """Answer rechecks meanwhile, if this is a repeating control."""
    settings = context.settings
    if settings.role != "control" or settings.every is None or not settings.upload:
        yield
        return
    listed = frozenset(job.url for job in jobs.jobs)
    tasks = [
        asyncio.create_task(_answer(context, one, listed, console)) for one in context.collectors
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(
    context: ClientContext, endpoint: CollectorEndpoint, listed: Collection[str], console: Console
) -> None:
    """Answer the rechecks of one collector until cancelled; after an error, start again."""
    wait = _FIRST_WAIT
    while True:
        try:
            async with (
                run_dependencies(context) as dependencies,
                CollectorClient(endpoint) as client,
            ):
                identity = context.keys.identity(endpoint.url, role="control")
                await ensure_enrolled(client, context.keys, identity, context.settings.invite)
                wait = _FIRST_WAIT
                worker = RecheckWorker(context, dependencies, console)
                await answer_rechecks(client, worker.measure, listed=listed, warn=console.note)
        except (CollectorError, KeysError) as error:
            console.note(f"rechecks: {error}")
        except Exception as error:  # noqa: BLE001 - a bug must not end a control
            name, where = crash_log.name(error), crash_log.save_traceback(error)
            console.warn(
                _("internal error in rechecks ({name}); {where}").format(name=name, where=where)
            )
        await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - no secret
        wait = min(wait * 2, _LONGEST_WAIT)


class RecheckWorker:
    """Measures one target for each recheck."""

    def __init__(
        self, context: ClientContext, dependencies: RunDependencies, console: Console
    ) -> None:
        self._settings = context.settings
        self._dependencies = dependencies
        self._console = console

    async def measure(self, recheck: RecheckJob) -> Record | None:
        """One finished record, or None when the target could not be measured."""
        experiments = self._dependencies.experiments.values()
        experiment = next(one.name for one in experiments if one.fetches_pages)
        async with self._dependencies.session() as session:
            try:
                measurement = await self._measure(session, Job(experiment, recheck.input))
            except NotMeasured as error:
                self._console.note(
                    _("recheck of {input}: {error}").format(input=recheck.input, error=error)
                )
                return None
            measurement = await self._with_addresses(measurement, recheck.addresses)
        header = RunHeader(uuid7.new(), self._settings.lab, RULESET)
        vantage = await self._dependencies.vantage()
        record = record_builder.build(measurement, header, vantage)
        record = record_builder.fit(record_builder.scrubbed(record))
        return replace(record, verdict=judge(record))

    async def _measure(self, session: Session, job: Job) -> Measurement:
        settings = self._settings
        measurer = Measurer(
            self._dependencies.experiments,
            session,
            ByteBudget(MAX_BYTES, lambda: session.bytes_in + session.bytes_out),
            harmless=self._dependencies.harmless,
            profile=settings.profile,
            options=settings.options,
            seed=settings.seed or 0,
            report_bug=bug_reporter(self._console),
        )
        measurement = await measurer.measure(job)
        # Rules read a failure at a control as "it fails everywhere", so it must be confirmed.
        if measurer.needs_confirmation(measurement):
            return await measurer.confirm(measurement, (), ())
        return measurement

    async def _with_addresses(
        self, measurement: Measurement, addresses: Sequence[str]
    ) -> Measurement:
        """Also connect to the addresses that a probe got, to see whether they prove the name."""
        url, net = measurement.job.url, measurement.net
        port = port_of(url)
        if port not in _PORTS:
            return measurement
        tried = {step.address for step in measurement.steps if isinstance(step, Tcp)}
        untried = [a for a in addresses if is_address(a) and a not in tried and net.safe(a)]
        log = StepLog(measurement.steps)
        for address in untried[:MAX_ADDRESSES]:
            if url.startswith("http:"):
                step = await net.tcp(TcpConnect(address, port, limit=_TIMEOUT))
                log.add(step, role=Role.NEUTRAL)
            else:
                steps = await net.tls(TlsHandshake(address, port, host_of(url), limit=_TIMEOUT))
                log.chain(steps, role=Role.NEUTRAL)
        elapsed = time.monotonic() - measurement.origin
        return replace(measurement, steps=log.steps, elapsed=elapsed)
