"""What a serving collector does by itself: its own heartbeat, events, and deleting what is too old.

Rule: nothing that fails here ends the task. Without the heartbeats every silence of probes would be
taken for the collector's own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from collector import conduct
from collector.service import Service
from collector.store import StoreUnavailable, clock_ahead, heartbeats, replays

# Less than a five-minute slot, so that each slot has a heartbeat.
HEARTBEAT_SECONDS = 240.0
EVENT_SECONDS = 30.0

log = logging.getLogger("qazcollector")


async def start(service: Service, stack: AsyncExitStack) -> None:
    """Begin, with a heartbeat at once."""
    await _keep_up(service)
    for seconds, work in ((HEARTBEAT_SECONDS, _keep_up), (EVENT_SECONDS, _keep_events)):
        task = asyncio.create_task(_repeat(service, seconds, work))
        stack.push_async_callback(asyncio.wait, [task])
        stack.callback(task.cancel)


async def _repeat(
    service: Service, seconds: float, work: Callable[[Service], Awaitable[None]]
) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work(service)
        except StoreUnavailable as error:
            log.warning("%s", error)
        except Exception:
            log.exception("the collector's upkeep failed")


async def _keep_events(service: Service) -> None:
    """Tell events soon, also when no reader asks for them; and have readers told nothing old."""
    await service.events.keep()
    await service.snapshots.keep()


async def _keep_up(service: Service) -> None:
    now = service.clock()
    await service.store.write(heartbeats.record_collector_heartbeat(now))
    await service.store.write(clock_ahead.take_back(now))
    settled = await service.store.read(heartbeats.settled(now))
    await service.store.write(heartbeats.retire(settled))
    await service.store.write(conduct.retire(settled))
    await service.store.write(replays.forget(now))
