"""Run one collector until it is told to stop: store, listeners, a ready line, a graceful end."""

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from collector import asn, target_labels
from collector.api.app import make_app, make_metrics_app
from collector.record_row import Judge
from collector.service import Service
from collector.settings import Address, Settings, SettingsError
from collector.store import StoreUnavailable, heartbeats, open_store, sqlite_path
from collector.throughput.connection_limit import ConnectionLimiter
from probe.api_types import BulkReply
from probe.targets import TargetError

STOP_SECONDS = 5.0
# Less than the five minutes in which a heartbeat counts.
LISTEN_SECONDS = 240.0
# A request line holds a good many `input=` parameters.
_LINE_BYTES = 32 * 1024

log = logging.getLogger("qazcollector")


@dataclass(frozen=True, slots=True)
class Running:
    """A collector that serves: where it really listens, and its parts."""

    url: str
    metrics: str
    service: Service


@asynccontextmanager
async def running(settings: Settings, *, judge: Judge | None = None) -> AsyncIterator[Running]:
    """Serve for as long as the context lasts.

    Raises:
        SettingsError, StoreError: it cannot even begin.
    """
    async with AsyncExitStack() as stack:
        service = await _service(settings, judge or _judge(), stack)
        service.bulk = await _bulk(settings, stack)
        await _listening(service, stack)
        context = _context(settings)
        limit = settings.limits.connections
        url = await _listen(make_app(service), settings.listen, stack, limit, context)
        metrics = url
        if settings.metrics is not None:
            metrics = await _listen(make_metrics_app(service), settings.metrics, stack, limit)
        # Before the listeners close: who waits for a recheck is sent home, not cut off.
        stack.callback(service.rechecks.close)
        yield Running(url, f"{metrics}/metrics", service)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as place:
        _say_ready(settings, place)
        await stop.wait()


async def _listening(service: Service, stack: AsyncExitStack) -> None:
    """Note every few minutes that somebody listens: silence means nothing where nobody does."""
    await service.store.write(heartbeats.listen(service.clock()))
    task = asyncio.create_task(_go_on_listening(service))
    stack.push_async_callback(asyncio.wait, [task])
    stack.callback(task.cancel)


async def _go_on_listening(service: Service) -> None:
    while True:
        await asyncio.sleep(LISTEN_SECONDS)
        try:
            await service.store.write(heartbeats.listen(service.clock()))
            await service.store.write(heartbeats.retire(service.clock()))
        except StoreUnavailable as error:
            log.warning("%s", error)


def _judge() -> Judge:
    from probe.judge import judge

    return judge


async def _service(settings: Settings, judge: Judge, stack: AsyncExitStack) -> Service:
    try:
        shown, complaints = target_labels.load(settings.targets)
        table = asn.load(settings.asn_table) if settings.asn_table else None
    except (TargetError, asn.TableError) as error:
        raise SettingsError(str(error)) from error
    for complaint in complaints:
        log.warning("%s", complaint)
    store = await open_store(settings.store)
    stack.push_async_callback(store.close)
    service = Service(settings, store, listed=shown, judge=judge, asn_table=table)
    stack.push_async_callback(service.snapshots.close)
    stack.push_async_callback(asyncio.to_thread, service.close)
    return service


async def _listen(
    app: web.Application,
    address: Address,
    stack: AsyncExitStack,
    limit: int,
    context: ssl.SSLContext | None = None,
) -> str:
    """Listen, and give back the URL that is really listened on."""
    # The server's own log lines name the asker's address: nobody reads them.
    silent = logging.Logger("qazcollector.http")  # noqa: LOG001 - apart from every handler
    silent.addHandler(logging.NullHandler())
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=silent,
        auto_decompress=False,
        max_line_size=_LINE_BYTES,
        keepalive_timeout=75,
        shutdown_timeout=STOP_SECONDS,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    if runner.server is None:
        raise RuntimeError("no server was set up")
    doorkeeper = ConnectionLimiter(runner.server, limit)
    try:
        server = await asyncio.get_running_loop().create_server(
            doorkeeper, address.host, address.port, ssl=context, backlog=512
        )
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {address}: {why}") from error
    stack.callback(server.close)
    host, port = server.sockets[0].getsockname()[:2]
    scheme = "https" if context else "http"
    return f"{scheme}://{Address(host, port)}"


def _context(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"TLS certificate {settings.tls_cert}: {error}") from error
    return context


async def _bulk(settings: Settings, stack: AsyncExitStack) -> BulkReply | None:
    """Start the throughput server, with a key that stays the same beside an embedded store."""
    if settings.bulk is None:
        return None
    from collector.throughput.identity import keep_identity, make_identity
    from collector.throughput.server import start_bulk

    try:
        if settings.store.startswith("sqlite:"):
            file = sqlite_path(settings.store)
            identity = await asyncio.to_thread(keep_identity, Path(f"{file}.bulk.pem"))
        else:
            identity = await asyncio.to_thread(make_identity)
        server = await start_bulk(settings.bulk.host, settings.bulk.port, identity=identity)
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {settings.bulk}: {why}") from error
    stack.push_async_callback(server.close)
    return BulkReply(address=server.address, port=server.port, spki_sha256=server.spki_sha256)


def run(settings: Settings) -> None:
    """Serve, with log lines and the ready line on stderr."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="qazcollector: %(levelname)s: %(message)s"
    )
    asyncio.run(serve(settings))


def _say_ready(settings: Settings, place: Running) -> None:
    line = f"qazcollector: ready on {place.url}, metrics on {place.metrics}"
    line += f", enrolment {settings.enrolment}{', LAB' if settings.lab else ''}\n"
    sys.stderr.write(line)
    sys.stderr.flush()
