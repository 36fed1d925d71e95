"""The throughput server in a process of its own, so that it takes no time from taking records."""

import asyncio
import logging
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from collector.child_process import child, take_job
from collector.throughput.identity import BulkIdentity, read_identity
from collector.throughput.server import BulkLimits, BulkServer, start_bulk
from collector.throughput.site_certificate import SiteCertificate

# One that ended by itself is started again after so long, and longer each time.
AGAIN_SECONDS, AGAIN_LIMIT_SECONDS = 1.0, 60.0
START_SECONDS = 60.0

log = logging.getLogger("qazcollector")


class BulkJob(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, with which key, and the rate and daily amount of a client.

    Attributes:
        certificate, certificate_key: Files of the collector's own certificate, if it has one.
    """

    host: str
    port: int
    pem: bytes
    bytes_per_second: float | None = None
    daily_bytes: int | None = None
    certificate: str | None = None
    certificate_key: str | None = None


class BulkStarted(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says when it has started: where it listens, or why it does not."""

    address: str = ""
    port: int = 0
    error: str | None = None


@asynccontextmanager
async def bulk_process(job: BulkJob) -> AsyncIterator[BulkStarted]:
    """Run the server until the context ends; it is started again if it ends by itself.

    Raises:
        OSError: It cannot listen there.
    """
    started: asyncio.Future[BulkStarted] = asyncio.get_running_loop().create_future()
    keeping = asyncio.create_task(_keep(job, started))
    try:
        yield await started
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _keep(job: BulkJob, started: asyncio.Future[BulkStarted]) -> None:
    pause = AGAIN_SECONDS
    while True:
        try:
            async with asyncio.timeout(None) as limit, child(__name__, job) as process:
                limit.reschedule(asyncio.get_running_loop().time() + START_SECONDS)
                said = await _said(process)
                limit.reschedule(None)
                if not started.done():
                    job = msgspec.structs.replace(job, port=said.port)
                    started.set_result(said)
                pause = AGAIN_SECONDS
                await process.wait()
            log.warning("the throughput server ended with %s", process.returncode)
        except (OSError, msgspec.MsgspecError, ConnectionError) as error:
            if not started.done():
                started.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
                return
            log.warning("the throughput server could not be started again: %s", error)
        await asyncio.sleep(pause)
        pause = min(2 * pause, AGAIN_LIMIT_SECONDS)


async def _said(process: Process) -> BulkStarted:
    if process.stdout is None:
        raise RuntimeError("the process has no pipes")
    said = msgspec.json.decode(await process.stdout.readline(), type=BulkStarted)
    if said.error is not None:
        raise OSError(said.error)
    return said


def main() -> int:
    """Serve until stopped."""
    asyncio.run(_serve(take_job(BulkJob)))
    return 0


async def _serve(job: BulkJob) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        server = await _start(job, read_identity(job.pem))
    except OSError as error:
        _say(BulkStarted(error=error.strerror or str(error)))
        return
    _say(BulkStarted(address=server.address, port=server.port))
    await stop.wait()
    await server.close()


async def _start(job: BulkJob, identity: BulkIdentity) -> BulkServer:
    limits = BulkLimits(
        client_bytes_per_second=job.bytes_per_second, client_daily_bytes=job.daily_bytes
    )
    server = await start_bulk(job.host, job.port, identity=identity, limits=limits)
    if job.certificate is not None:
        key = Path(job.certificate_key) if job.certificate_key is not None else None
        server.context.sni_callback = SiteCertificate(Path(job.certificate), key).choose
        sys.unraisablehook = _unless_of_a_name
    return server


def _unless_of_a_name(event: "sys.UnraisableHookArgs") -> None:
    """Log exceptions that Python could not raise, except those of names that are no ASCII.

    The `ssl` module refuses such a hello by itself; a line for each would be a flood.
    """
    if not isinstance(event.exc_value, UnicodeDecodeError):
        sys.__unraisablehook__(event)


def _say(started: BulkStarted) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(started) + b"\n")
    sys.stdout.buffer.flush()
