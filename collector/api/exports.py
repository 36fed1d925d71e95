"""GET /v1/export: the selected records as one file, made in a process of its own."""

from asyncio.subprocess import Process
from collections.abc import AsyncIterator

from aiohttp import web

from collector.admin import export_process
from collector.admin.export import TYPES, Format
from collector.admin.export_process import CHUNK, ExportJob
from collector.api import parameters
from collector.api.http import Refused, stream
from collector.api.parameters import SelectionParameters
from collector.child_process import child
from collector.service import SERVICE, Service
from collector.store import StoreUnavailable


class ExportParameters(SelectionParameters, frozen=True, kw_only=True):
    """Which records are wanted, and how."""

    format: Format = "jsonl"


async def get_export(request: web.Request) -> web.StreamResponse:
    """The selected records, oldest first, as one file."""
    service, asked = request.app[SERVICE], parameters.of(request, ExportParameters)
    job = ExportJob(store=service.settings.store, selection=asked.selection(), format=asked.format)
    headers = {
        "Content-Type": TYPES[asked.format],
        "Content-Disposition": f'attachment; filename="measurements.{asked.format}"',
    }
    async with child(export_process.__name__, job) as process:
        return await stream(request, headers, _pieces(service, process))


async def _pieces(service: Service, process: Process) -> AsyncIterator[bytes]:
    """What the process writes; an error if it does not say at its end that this was all."""
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the process has no pipes")
    while piece := await process.stdout.read(CHUNK):
        yield piece
    said = await process.stderr.read(CHUNK)
    code = await process.wait()
    if code == export_process.NO_PARQUET:
        message = "Parquet is not offered here: it needs qazprobe[analytics]"
        raise Refused(501, "no_parquet", message)
    if code == export_process.NO_STORE:
        raise StoreUnavailable("store could not be read for an export")
    if code != export_process.DONE:
        raise RuntimeError(f"an export failed: {said[-500:].decode('utf-8', 'replace')}")
    service.instruments.unreadable.inc(int(said or b"0"))
