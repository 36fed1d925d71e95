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
from probe.buglog import keep
from probe.experiments.trail import Trail
from probe.infer import RULESET
from probe.job.assignment import Assignment
from probe.job.outfit import kit
from probe.messages import RecheckJob
from probe.model import Record, Role, Tcp
from probe.plan import LIMITS, Job, host_of, port_of
from probe.sharing.collector_client import CollectorClient, CollectorError
from probe.sharing.control import answer_rechecks
from probe.sharing.endpoint import Endpoint
from probe.sharing.enrolment import introduce
from probe.sharing.keys import KeysError
from probe.sharing.post import Outfit
from probe.sweep import draft
from probe.sweep.allowance import Allowance
from probe.sweep.draft import Heading, Look
from probe.sweep.kit import Kit, Session
from probe.sweep.looker import Looker, NotMeasured
from probe.telling.console import Console

ADDRESSES = 4
_PORTS = frozenset({80, 443})
_LIMIT = 5.0
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


@asynccontextmanager
async def answering(outfit: Outfit, found: Assignment, console: Console) -> AsyncIterator[None]:
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
    outfit: Outfit, endpoint: Endpoint, listed: Collection[str], console: Console
) -> None:
    """Answer one collector for ever; what breaks is begun again."""
    wait = _FIRST_WAIT
    while True:
        try:
            async with kit(outfit) as tools, CollectorClient(endpoint) as client:
                identity = outfit.keys.identity(endpoint.url, role="control")
                await introduce(client, outfit.keys, identity, outfit.settings.invite)
                wait = _FIRST_WAIT
                worker = Worker(outfit, tools, console)
                await answer_rechecks(client, worker.measure, listed=listed, warn=console.note)
        except (CollectorError, KeysError) as error:
            console.note(f"rechecks: {error}")
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end a control
            console.warn(f"a bug of ours in rechecks ({type(error).__name__}); {keep(error)}")
        await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - no secret
        wait = min(wait * 2, _LONGEST_WAIT)


class Worker:
    """Looks at one target whenever it is asked to."""

    def __init__(self, outfit: Outfit, tools: Kit, console: Console) -> None:
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
        heading = Heading(uuid7.new(), self._settings.lab, RULESET)
        record = draft.build(look, heading, await self._kit.whereabouts())
        clean = draft.fit(self._kit.scrub(record))
        return replace(clean, verdict=self._kit.judge(clean))

    async def _look(self, session: Session, job: Job) -> Look:
        settings = self._settings
        limit = LIMITS["watch"].bytes
        looker = Looker(
            self._kit.experiments,
            session,
            Allowance(limit, lambda: session.bytes_in + session.bytes_out),
            harmless=self._kit.harmless,
            profile=settings.profile,
            options=settings.options,
            seed=settings.seed or 0,
            bug=self._bug,
        )
        look = await looker.first(job)
        # One failure here would be taken for "it fails everywhere": look twice before saying so.
        return await looker.second(look, (), ()) if looker.wanted(look) else look

    async def _addresses(self, look: Look, addresses: Sequence[str]) -> Look:
        """Whether the addresses that a probe was given are reached, and can prove the name."""
        url = look.job.url
        port = port_of(url)
        seen = {step.address for step in look.steps if isinstance(step, Tcp)}
        fresh = [a for a in addresses if _is_address(a) and a not in seen and look.net.safe(a)]
        if port not in _PORTS:
            return look
        trail = Trail(look.steps)
        for address in fresh[:ADDRESSES]:
            if url.startswith("http:"):
                trail.add(await look.net.tcp(address, port, limit=_LIMIT), role=Role.NEUTRAL)
                continue
            shaken = await look.net.tls(address, port, host_of(url), limit=_LIMIT)
            trail.chain(shaken, role=Role.NEUTRAL)
        elapsed = time.monotonic() - look.origin
        return dataclasses.replace(look, steps=trail.steps, elapsed=elapsed)

    def _bug(self, job: Job, error: BaseException) -> None:
        where = keep(error, job.url)
        self._console.warn(f"a bug of ours while looking at {job.url}; {where}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
