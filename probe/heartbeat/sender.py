"""Say "I am here" every five minutes, to each collector: how an internet shutdown is noticed.

Rules: only with the volunteer's separate yes (a control's operator gave it by running one); a
heartbeat is one small signed request; whatever happens, measuring goes on. What is not heard is
kept in the state folder and told when a collector can be reached again (`presence.py`).
"""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from probe import atomic_files
from probe.admin import consent
from probe.api_types import Heartbeat
from probe.client.collector_client import CollectorClient, CollectorError, CollectorRefused
from probe.client.context import ClientContext
from probe.client.endpoint import CollectorEndpoint
from probe.client.enrolment import ensure_enrolled, re_enrol, remember_address
from probe.client.keys import KeysError
from probe.config import Settings
from probe.crash_log import save_traceback
from probe.heartbeat import clocks, uptime
from probe.heartbeat.clocks import Reading
from probe.heartbeat.uptime import EVERY, Reach, UptimeHistory
from probe.model import Vantage
from probe.vantage import VantageLookup

FILE = "heartbeat.json"
LOCK = "heartbeat.lock"
# A run that ends sooner than its heartbeat waits for it this long.
PATIENCE = 5.0
SECONDS = 20.0
_JITTER = 10.0
_UNKNOWN_KEY = 401

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What one heartbeat is made of."""

    history: UptimeHistory
    now: Reading
    where: Vantage


def allowed(settings: Settings, state: Path) -> bool:
    """Whether heartbeats may be sent at all, and there is somebody to hear them."""
    if not settings.collector or not settings.upload:
        return False
    if settings.role == "control":
        return True
    given = consent.read(state)
    return given is not None and given.current and given.heartbeat


@asynccontextmanager
async def heartbeats(outfit: ClientContext, say: Say, until: float = 0.0) -> AsyncIterator[None]:
    """While in here, heartbeats are sent: one, or one every five minutes in a run that repeats.

    A single one is waited for at the end, for a moment and up to this instant of the monotonic
    clock: in the dark it takes most of a minute to be sure.
    """
    if not allowed(outfit.settings, outfit.state):
        yield
        return
    again = outfit.settings.every is not None
    say = (lambda _: None) if outfit.settings.quiet else say
    task = asyncio.create_task(_beat_for_ever(outfit, say) if again else beat(outfit, say))
    try:
        yield
        if not again:
            await asyncio.wait((task,), timeout=max(until - time.monotonic(), PATIENCE))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _beat_for_ever(outfit: ClientContext, say: Say) -> None:
    while True:
        began = time.monotonic()
        try:
            await beat(outfit, say)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end a run
            say(f"a bug of ours in the heartbeat ({type(error).__name__}); {save_traceback(error)}")
        pause = EVERY + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - no secret
        await asyncio.sleep(max(began + pause - time.monotonic(), 1.0))


async def beat(outfit: ClientContext, say: Say) -> bool:
    """One heartbeat to every collector; whether all of them heard it."""
    lock = atomic_files.Lock(outfit.state / LOCK)
    if not lock.acquire():
        return True  # another process of ours is at it
    try:
        return await _beat(outfit, say)
    finally:
        lock.release()


async def _beat(outfit: ClientContext, say: Say) -> bool:
    history = read(outfit.state)
    where = await VantageLookup(outfit.settings, outfit.state, None).now()
    now = clocks.read(reached=True)
    urls = [one.url for one in outfit.collectors]
    answers = await asyncio.gather(
        *(_tell(outfit, one, Moment(history, now, where), say) for one in outfit.collectors)
    )
    heard = [url for url, answered in zip(urls, answers, strict=True) if answered]
    if len(heard) < len(urls):
        reach = await _reach(outfit)
        now = msgspec.structs.replace(now, reached=reach != "nothing")
        history = uptime.noted(history, now, reach, country=where.country, asn=where.asn)
    history = uptime.heard_by(history, heard, now)
    # A full disk costs a memory, nothing else.
    with suppress(OSError):
        write(outfit.state, uptime.tidied(history, urls, now))
    return len(heard) == len(urls)


async def _tell(outfit: ClientContext, to: CollectorEndpoint, moment: Moment, say: Say) -> bool:
    """Whether one collector heard it."""
    try:
        async with asyncio.timeout(SECONDS), CollectorClient(to) as client:
            identity = outfit.keys.identity(to.url, role=outfit.settings.role)
            await ensure_enrolled(client, outfit.keys, identity, outfit.settings.invite)
            await _send(outfit, client, _message(client, moment))
            remember_address(client, outfit.keys)
    except TimeoutError:
        say(f"heartbeat: {to.url}: no answer within {SECONDS:.0f} seconds")
    except (CollectorError, KeysError) as error:
        say(f"heartbeat: {error}")
    else:
        return True
    return False


async def _send(outfit: ClientContext, client: CollectorClient, beat_: Heartbeat) -> None:
    try:
        await client.heartbeat(beat_)
    except CollectorRefused as error:
        if error.status != _UNKNOWN_KEY:
            raise
        await re_enrol(client, outfit.keys, outfit.settings.invite)
        await client.heartbeat(beat_)


def _message(client: CollectorClient, moment: Moment) -> Heartbeat:
    identity, now, where = client.identity, moment.now, moment.where
    return Heartbeat(
        boot=_word(now.boot, identity.key_id) if identity and now.boot else None,
        at=round(now.wall, 1),
        monotonic=round(now.monotonic, 1),
        slept=uptime.slept(moment.history, now),
        country=where.country,
        asn=where.asn,
        region=where.region,
        unheard=uptime.unheard(moment.history, client.endpoint.url, now),
    )


def _word(boot_id: str, key_id: str) -> str:
    """The same for one start of the machine and one key, and nothing that anybody could compare."""
    return hashlib.sha256(f"{boot_id}\n{key_id}".encode()).hexdigest()[:8]


async def _reach(outfit: ClientContext) -> Reach:
    from probe.heartbeat.reachability import check_reachability
    from probe.net.session import Session
    from probe.runner.wiring import anchors, session_settings

    sites = anchors(outfit.settings)
    async with Session(session_settings(outfit.settings)) as session:
        return await check_reachability(
            session.net(time.monotonic()), sites, int(time.time() // EVERY)
        )


def read(state: Path) -> UptimeHistory:
    """What is kept; nothing where it cannot be understood."""
    try:
        return msgspec.json.decode((state / FILE).read_bytes(), type=UptimeHistory)
    except (OSError, msgspec.MsgspecError):
        return UptimeHistory()


def write(state: Path, history: UptimeHistory) -> None:
    """Keep it."""
    atomic_files.write(state / FILE, msgspec.json.encode(history))
