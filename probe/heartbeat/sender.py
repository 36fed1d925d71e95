"""Send a heartbeat to each collector every five minutes, so that shutdowns can be detected.

Rules: only with the volunteer's separate consent, which is looked at before each one (a control
needs none); a heartbeat is one small signed request; no failure stops a measurement. Undelivered
heartbeats are kept in the state folder and sent when the collector is reachable again
(`uptime.py`).
"""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from probe import atomic_files, consent_record, crash_log
from probe.api_types import Heartbeat
from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.context import ClientContext
from probe.client.endpoint import CollectorEndpoint
from probe.client.enrolment import ensure_enrolled, re_enrol, remember_address
from probe.client.keys import KeysError
from probe.config import Settings
from probe.heartbeat import clocks, uptime
from probe.heartbeat.clocks import Reading
from probe.heartbeat.uptime import EVERY, Reach, UptimeHistory
from probe.i18n import _
from probe.model import Vantage
from probe.permission import ConsentEnded
from probe.vantage import VantageLookup

FILE = "heartbeat.json"
LOCK = "heartbeat.lock"
# Seconds that a finished run still waits for its heartbeat.
FINAL_WAIT = 5.0
SECONDS = 20.0
_JITTER = 10.0
_UNKNOWN_KEY = 401

Log = Callable[[str], None]


class HeartbeatInput(msgspec.Struct, frozen=True):
    """The data of one heartbeat."""

    history: UptimeHistory
    now: Reading
    where: Vantage


def allowed(settings: Settings, state: Path) -> bool:
    """Return whether heartbeats are allowed and a collector is configured to receive them."""
    if not _wanted(settings):
        return False
    if settings.role == "control":
        return True
    given = consent_record.read(state)
    return given is not None and given.current and given.heartbeat


def _wanted(settings: Settings) -> bool:
    return bool(settings.collector) and settings.upload


@asynccontextmanager
async def heartbeats(context: ClientContext, log: Log, until: float = 0.0) -> AsyncIterator[None]:
    """Send heartbeats within this context: one, or one every five minutes in a repeating run.

    At the end a single heartbeat is awaited for `FINAL_WAIT` seconds and at least until `until`
    (monotonic clock): during an outage it takes most of a minute.
    """
    again = context.settings.every is not None
    # A run that repeats looks again each time: the heartbeat may be allowed meanwhile.
    if not (_wanted(context.settings) if again else allowed(context.settings, context.state)):
        yield
        return
    log = (lambda _: None) if context.settings.quiet else log
    task = asyncio.create_task(
        _send_repeatedly(context, log) if again else send_heartbeat(context, log)
    )
    try:
        yield
        if not again:
            await asyncio.wait((task,), timeout=max(until - time.monotonic(), FINAL_WAIT))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _send_repeatedly(context: ClientContext, log: Log) -> None:
    while True:
        began = time.monotonic()
        try:
            if allowed(context.settings, context.state):
                await send_heartbeat(context, log)
        except ConsentEnded:
            return
        except Exception as error:  # noqa: BLE001 - a bug here must not end a run
            name = crash_log.name(error)
            log(
                _("heartbeat: internal error ({name}); {where}").format(
                    name=name, where=crash_log.save_traceback(error)
                )
            )
        pause = EVERY + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - no secret
        await asyncio.sleep(max(began + pause - time.monotonic(), 1.0))


async def send_heartbeat(context: ClientContext, log: Log) -> bool:
    """Send one heartbeat to every collector; return whether all of them received it."""
    context.permission.check()
    lock = atomic_files.Lock(context.state / LOCK)
    if not lock.acquire():
        return True  # another process is sending it
    try:
        return await _send_to_all(context, log)
    finally:
        lock.release()


async def _send_to_all(context: ClientContext, log: Log) -> bool:
    history = read(context.state)
    where = await VantageLookup(context.settings, context.state, None).now()
    now = clocks.read(reached=True)
    urls = [one.url for one in context.collectors]
    answers = await asyncio.gather(
        *(
            _deliver(context, one, HeartbeatInput(history, now, where), log)
            for one in context.collectors
        )
    )
    received = [url for url, answered in zip(urls, answers, strict=True) if answered]
    if len(received) < len(urls):
        reach = await _reach(context)
        now = msgspec.structs.replace(now, reached=reach != "nothing")
        history = uptime.with_interval(history, now, reach, country=where.country, asn=where.asn)
    history = uptime.with_delivery(history, received, now)
    context.permission.check()
    # On a full disk only this history is lost.
    with suppress(OSError):
        write(context.state, uptime.pruned(history, urls, now))
    return len(received) == len(urls)


async def _deliver(
    context: ClientContext, to: CollectorEndpoint, inputs: HeartbeatInput, log: Log
) -> bool:
    """Send the heartbeat to one collector; return whether it was received."""
    try:
        async with asyncio.timeout(SECONDS), CollectorClient(to) as client:
            identity = context.keys.identity(to.url, role=context.settings.role)
            context.permission.check()
            await ensure_enrolled(client, context.keys, identity, context.settings.invite)
            context.permission.check()
            await _send(context, client, _message(client, inputs))
            remember_address(client, context.keys)
    except TimeoutError:
        log(
            _("heartbeat: {url}: no response within {seconds:.0f} seconds").format(
                url=to.url, seconds=SECONDS
            )
        )
    except (CollectorError, KeysError) as error:
        log(_("heartbeat: {error}").format(error=error))
    else:
        return True
    return False


async def _send(context: ClientContext, client: CollectorClient, message: Heartbeat) -> None:
    try:
        await client.heartbeat(message)
    except CollectorRefused as error:
        if error.status != _UNKNOWN_KEY:
            raise
        await re_enrol(client, context.keys, context.settings.invite)
        await client.heartbeat(message)


def _message(client: CollectorClient, inputs: HeartbeatInput) -> Heartbeat:
    identity, now, where = client.identity, inputs.now, inputs.where
    return Heartbeat(
        boot=_boot_token(now.boot, identity.key_id) if identity and now.boot else None,
        at=round(now.wall, 1),
        monotonic=round(now.monotonic, 1),
        slept=uptime.slept(inputs.history, now),
        country=where.country,
        asn=where.asn,
        region=where.region,
        unheard=uptime.unheard(inputs.history, client.endpoint.url, now),
    )


def _boot_token(boot_id: str, key_id: str) -> str:
    """Return a token of this boot that differs for each key, so that collectors cannot link it."""
    return hashlib.sha256(f"{boot_id}\n{key_id}".encode()).hexdigest()[:8]


async def _reach(context: ClientContext) -> Reach:
    from probe.heartbeat.reachability import check_reachability
    from probe.net.session import NetSession
    from probe.runner.wiring import anchors, session_settings

    sites = anchors(context.settings)
    async with NetSession(session_settings(context.settings)) as session:
        return await check_reachability(
            session.net(time.monotonic()), sites, int(time.time() // EVERY)
        )


def read(state: Path) -> UptimeHistory:
    """Read the stored history; empty if it is missing or unreadable."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=UptimeHistory)
    except (OSError, msgspec.MsgspecError):
        return UptimeHistory()


def write(state: Path, history: UptimeHistory) -> None:
    """Store the history."""
    atomic_files.write(state / FILE, msgspec.json.encode(history))
