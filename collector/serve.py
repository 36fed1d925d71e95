"""Run one collector until it is stopped: store, listeners, a ready line, graceful shutdown."""

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

from collector import asn, target_labels, upkeep
from collector.api.app import make_app, make_metrics_app
from collector.origin_secret import origin_secret
from collector.record_row import Judge
from collector.reload import reload, tls_context
from collector.service import Service
from collector.settings import Address, CollectorSettings, SettingsError
from collector.store import migrate_store, open_store, sqlite_path
from collector.throughput.connection_limit import ConnectionLimiter
from probe.api_types import BulkReply
from probe.asn_table import AsnTableError
from probe.judge import judge as default_judge
from probe.targets import TargetError

STOP_SECONDS = 5.0
# Requests for controls have many `input=` parameters.
_LINE_BYTES = 32 * 1024

log = logging.getLogger("qazcollector")


@dataclass(frozen=True, slots=True)
class RunningCollector:
    """A serving collector: the URLs it really listens on, and its parts."""

    url: str
    metrics: str
    service: Service
    context: ssl.SSLContext | None = None


@asynccontextmanager
async def running(
    settings: CollectorSettings, *, judge: Judge | None = None
) -> AsyncIterator[RunningCollector]:
    """Serve until the context ends.

    Raises:
        SettingsError, StoreError: It cannot start.
    """
    async with AsyncExitStack() as stack:
        service = await _service(settings, judge or default_judge, stack)
        service.bulk = await _start_bulk(settings, stack)
        await upkeep.start(service, stack)
        await service.judging.start()
        stack.push_async_callback(service.judging.close)
        context = tls_context(settings)
        limit = settings.limits.connections
        url = await _listen(make_app(service), settings.listen, stack, limit, context)
        metrics = url
        if settings.metrics is not None:
            metrics = await _listen(make_metrics_app(service), settings.metrics, stack, limit)
        # Runs before the listeners close, so that waiting rechecks get a response.
        stack.callback(service.rechecks.close)
        yield RunningCollector(url, f"{metrics}/metrics", service, context)


async def serve(settings: CollectorSettings) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads certificates and lists again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as collector:
        reloading: set[asyncio.Task[None]] = set()

        def begin_reload() -> None:
            task = asyncio.create_task(reload(collector.service, collector.context))
            reloading.add(task)
            task.add_done_callback(reloading.discard)

        loop.add_signal_handler(signal.SIGHUP, begin_reload)
        _print_ready(settings, collector)
        await stop.wait()


async def _service(settings: CollectorSettings, judge: Judge, stack: AsyncExitStack) -> Service:
    try:
        labels, complaints = target_labels.load(settings.targets)
        table = asn.load(settings.asn_table) if settings.asn_table else None
    except (TargetError, AsnTableError) as error:
        raise SettingsError(str(error)) from error
    for complaint in complaints:
        log.warning("%s", complaint)
    step = await migrate_store(settings.store)
    if step.before not in (0, step.after):
        log.warning("the store had schema version %d and now has %d", step.before, step.after)
    store = await open_store(settings.store)
    stack.push_async_callback(store.close)
    secret = await origin_secret(settings.store, store)
    service = Service(
        settings, store, labels=labels, judge=judge, asn_table=table, origin_secret=secret
    )
    stack.push_async_callback(service.scrubbing.close)
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
    """Listen on an address and return the URL, with the port in use."""
    # aiohttp's own log lines contain client addresses, so they are discarded.
    discarded = logging.Logger("qazcollector.http")  # noqa: LOG001 - apart from every handler
    discarded.addHandler(logging.NullHandler())
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=discarded,
        auto_decompress=False,
        max_line_size=_LINE_BYTES,
        keepalive_timeout=75,
        shutdown_timeout=STOP_SECONDS,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    if runner.server is None:
        raise RuntimeError("no server was set up")
    limiter = ConnectionLimiter(runner.server, limit)
    try:
        server = await asyncio.get_running_loop().create_server(
            limiter, address.host, address.port, ssl=context, backlog=512
        )
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {address}: {why}") from error
    stack.callback(server.close)
    host, port = server.sockets[0].getsockname()[:2]
    scheme = "https" if context else "http"
    return f"{scheme}://{Address(host, port)}"


async def _start_bulk(settings: CollectorSettings, stack: AsyncExitStack) -> BulkReply | None:
    """Start the throughput server; beside an embedded store its key is kept in a file."""
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


def run(settings: CollectorSettings) -> None:
    """Serve until stopped, with log lines and the ready line on stderr."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="qazcollector: %(levelname)s: %(message)s"
    )
    asyncio.run(serve(settings))


def _print_ready(settings: CollectorSettings, collector: RunningCollector) -> None:
    line = f"qazcollector: ready on {collector.url}, metrics on {collector.metrics}"
    line += f", enrolment {settings.enrolment}{', LAB' if settings.lab else ''}\n"
    sys.stderr.write(line)
    sys.stderr.flush()
