"""What a serving collector does every few minutes: its own heartbeat, and deleting what is too old.

Rule: nothing that fails here ends the task. Without the heartbeats every silence of probes would be
taken for the collector's own.
"""

import asyncio
import logging
from contextlib import AsyncExitStack

from collector import conduct
from collector.service import Service
from collector.store import StoreUnavailable, clock_ahead, heartbeats, replays

# Less than a five-minute slot, so that each slot has a heartbeat.
HEARTBEAT_SECONDS = 240.0

log = logging.getLogger("qazcollector")


async def start(service: Service, stack: AsyncExitStack) -> None:
    """Begin, with a heartbeat at once."""
    await _keep_up(service)
    task = asyncio.create_task(_repeat(service))
    stack.push_async_callback(asyncio.wait, [task])
    stack.callback(task.cancel)


async def _repeat(service: Service) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        try:
            await _keep_up(service)
        except StoreUnavailable as error:
            log.warning("%s", error)
        except Exception:
            log.exception("the collector could not record that it runs")


async def _keep_up(service: Service) -> None:
    now = service.clock()
    await service.store.write(heartbeats.record_collector_heartbeat(now))
    await service.store.write(clock_ahead.take_back(now))
    settled = await service.store.read(heartbeats.settled(now))
    await service.store.write(heartbeats.retire(settled))
    await service.store.write(conduct.retire(settled))
    await service.store.write(replays.forget(now))
