"""Run one collector until it is stopped: store, listeners, a ready line, graceful shutdown."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from collector import asn, log_lines, operator_token, target_labels, upkeep
from collector.api.app import make_app, make_operator_app
from collector.api.operator import MainLoop
from collector.http_server import serving
from collector.inherited_sockets import inherited
from collector.operator_thread import operating
from collector.origin_secret import origin_secret
from collector.record_row import Judge
from collector.reload import reload, tls_context
from collector.service import Service
from collector.settings import Address, CollectorSettings, SettingsError, SocketFile
from collector.store import migrate_store, open_store, sqlite_path
from collector.web import rendering
from probe.api_types import BulkReply
from probe.asn_table import AsnTableError
from probe.judge import judge as default_judge
from probe.targets import TargetError

# Those of the store, the children, the operator's listener and the log.
DESCRIPTORS = 256

log = logging.getLogger("qazcollector")


@dataclass(frozen=True, slots=True)
class RunningCollector:
    """A serving collector: the URLs it really listens on, and its parts."""

    url: str
    metrics: str
    service: Service
    context: ssl.SSLContext | None = None
    admin: str | None = None


@asynccontextmanager
async def running(
    settings: CollectorSettings,
    *,
    judge: Judge | None = None,
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[RunningCollector]:
    """Serve until the context ends; `sockets` are listened on instead of the public address.

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
        app = make_app(service)
        at = await stack.enter_async_context(
            serving(app, settings.listen, service.door, context=context, sockets=sockets)
        )
        url = f"{'https' if context else 'http'}://{at}"
        metrics, admin = await _start_operating(service, stack)
        # Runs before the listeners close, so that waiting rechecks get a response.
        stack.callback(service.rechecks.close)
        yield RunningCollector(url, f"{metrics or url}/metrics", service, context, admin)


async def _start_operating(
    service: Service, stack: AsyncExitStack
) -> tuple[str | None, str | None]:
    """Start the operator's listeners; give the URLs of that of `/metrics` and of the other."""
    settings, main = service.settings, MainLoop()

    async def start(address: Address | SocketFile) -> str:
        app = partial(make_operator_app, service, main, pages=_has_pages(settings, address))
        return await stack.enter_async_context(operating(app, address))

    metrics = await start(settings.metrics) if settings.metrics else None
    if settings.admin is None or (settings.admin_free and metrics):
        return metrics, metrics
    try:
        return metrics, await start(settings.admin)
    except SettingsError:
        if not settings.admin_free or not isinstance(settings.admin, Address):
            raise
        return metrics, await start(Address(settings.admin.host, 0))


def _has_pages(settings: CollectorSettings, address: Address | SocketFile) -> bool:
    """Whether the operator's pages are there: the token crosses no network unless they say so."""
    if isinstance(address, SocketFile):
        return True
    chosen = address == settings.admin and not settings.admin_free
    return chosen or address.is_loopback


async def serve(settings: CollectorSettings, sockets: Sequence[socket.socket] = ()) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads certificates and lists again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, sockets=sockets) as collector:
        reloading: set[asyncio.Task[None]] = set()

        def begin_reload() -> None:
            task = asyncio.create_task(reload(collector.service, collector.context))
            reloading.add(task)
            task.add_done_callback(reloading.discard)

        loop.add_signal_handler(signal.SIGHUP, begin_reload)
        _print_ready(settings, collector)
        settling = asyncio.create_task(settle())
        await stop.wait()
        await settling


async def settle() -> None:
    """Do at once what would make some of the first readers wait.

    What lives as long as the process is not looked through by the garbage collector again: that
    would take some 60 ms during one page in ten.
    """
    await asyncio.to_thread(rendering.compile_all)
    gc.collect()
    gc.freeze()


async def _service(settings: CollectorSettings, judge: Judge, stack: AsyncExitStack) -> Service:
    try:
        labels, complaints = target_labels.load(settings.targets)
        table = asn.load(settings.asn_table) if settings.asn_table else None
    except (TargetError, AsnTableError) as error:
        raise SettingsError(str(error)) from error
    token = operator_token.load(file) if (file := settings.operator_token_file) else None
    for complaint in complaints:
        log.warning("%s", complaint)
    if table is None and settings.is_public:
        log.warning("no --asn-table: the networks of probes are unknown, so there are no events")
    step = await migrate_store(settings.store)
    if step.before not in (0, step.after):
        log.warning("the store had schema version %d and now has %d", step.before, step.after)
    store = await open_store(settings.store)
    stack.push_async_callback(store.close)
    secret = await origin_secret(settings.store, store)
    service = Service(
        settings,
        store,
        labels=labels,
        judge=judge,
        asn_table=table,
        origin_secret=secret,
        operator_token=token,
    )
    stack.push_async_callback(service.scrubbing.close)
    stack.push_async_callback(service.events.close)
    stack.push_async_callback(service.snapshots.close)
    stack.push_async_callback(asyncio.to_thread, service.close)
    return service


async def _start_bulk(settings: CollectorSettings, stack: AsyncExitStack) -> BulkReply | None:
    """Start the throughput server; beside an embedded store its key is kept in a file."""
    if settings.bulk is None:
        return None
    from collector.throughput.bulk_process import BulkJob, bulk_process
    from collector.throughput.identity import keep_identity, make_identity

    try:
        if settings.store.startswith("sqlite:"):
            file = sqlite_path(settings.store)
            identity = await asyncio.to_thread(keep_identity, Path(f"{file}.bulk.pem"))
        else:
            identity = await asyncio.to_thread(make_identity)
        job = BulkJob(
            host=settings.bulk.host,
            port=settings.bulk.port,
            pem=identity.pem,
            bytes_per_second=settings.bulk_rate,
            daily_bytes=settings.bulk_daily,
            certificate=str(settings.tls_cert) if settings.tls_cert else None,
            certificate_key=str(settings.tls_key) if settings.tls_key else None,
        )
        started = await stack.enter_async_context(bulk_process(job))
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"cannot listen on {settings.bulk}: {why}") from error
    return BulkReply(address=started.address, port=started.port, spki_sha256=identity.spki_sha256)


def run(settings: CollectorSettings) -> None:
    """Serve until stopped, with log lines and the ready line on stderr."""
    log_lines.install()
    sockets = inherited()
    if sockets:
        settings = replace(settings, listen=Address(*sockets[0].getsockname()[:2]))
    asyncio.run(serve(_within_descriptors(settings), sockets))


def _within_descriptors(settings: CollectorSettings) -> CollectorSettings:
    """Allow as many descriptors as the system does, and no more connections than fit into them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.limits.connections + DESCRIPTORS
    with contextlib.suppress(OSError, ValueError):
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings
    connections = max(16, soft - DESCRIPTORS)
    log.warning("only %d connections: the system allows %d open files", connections, soft)
    return replace(settings, limits=replace(settings.limits, connections=connections))


def _print_ready(settings: CollectorSettings, collector: RunningCollector) -> None:
    line = f"qazcollector: ready on {collector.url}, metrics on {collector.metrics}"
    line += f", enrolment {settings.enrolment}{', LAB' if settings.lab else ''}"
    line += f", admin on {collector.admin}" if collector.admin else ""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
